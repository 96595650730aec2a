"""Changes the colors of a clip at random: brightness, contrast, saturation and PCA lighting.

These are PySlowFast's options for AVA. Each step mixes a color with black, with the clip's mean
gray or with its own gray, or adds a constant. All are affine, so together they are one 3 x 4
matrix on RGB, applied to uint8 once, rounded and clipped once.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

GRAY = np.array([0.299, 0.587, 0.114])  # BT.601

# Principal directions of the colors of ImageNet and their standard deviations, of RGB 0..1
# (Krizhevsky et al., 2012; in this order in PySlowFast).
DIRECTIONS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
DEVIATIONS = np.array([0.225, 0.224, 0.229])


@dataclass
class ColorChange:
    """Describes one change of the colors of a clip.

    Attributes:
        steps: Brightness, contrast and saturation in the order they are applied, each with the
            factor by which it is multiplied.
        shift: Added after the steps to R, G and B of 0..255.
    """

    steps: tuple[tuple[str, float], ...]
    shift: tuple[float, float, float]


def draw_color_change(
    jitter: float, lighting: float, generator: torch.Generator
) -> ColorChange | None:
    """Draws a random change of colors.

    Args:
        jitter: The factors are uniform in 1 - jitter .. 1 + jitter; their order is random.
        lighting: The shift along each principal direction of color is normal with this many times
            the direction's standard deviation.
        generator: Source of the random numbers.

    Returns:
        The change; None where both strengths are 0, and then nothing is drawn from `generator`.
    """
    if jitter == 0 and lighting == 0:
        return None
    order = torch.randperm(3, generator=generator).tolist()
    factors = (1 + jitter * (2 * torch.rand(3, generator=generator) - 1)).tolist()
    amounts = lighting * torch.randn(3, generator=generator, dtype=torch.float64).numpy()
    red, green, blue = (255 * DIRECTIONS @ (amounts * DEVIATIONS)).tolist()
    names = ("brightness", "contrast", "saturation")
    return ColorChange(tuple((names[index], factors[index]) for index in order), (red, green, blue))


def compute_color_matrix(change: ColorChange, mean: np.ndarray) -> np.ndarray:
    """Computes the matrix of a change of colors.

    Args:
        change: The change.
        mean: Mean RGB [3] of the whole clip, which contrast needs.

    Returns:
        float64 [3, 4], applied to (R, G, B, 1) of 0..255.
    """
    linear = np.eye(3)
    constant = np.zeros(3)
    for name, factor in change.steps:
        # what the picture is mixed with: black for brightness,
        others = np.zeros((3, 3)), np.zeros(3)
        if name == "contrast":
            # the mean gray after the steps so far for contrast,
            others = np.zeros((3, 3)), np.full(3, GRAY @ (linear @ mean + constant))
        elif name == "saturation":
            # each color's own gray for saturation
            others = np.tile(GRAY @ linear, (3, 1)), np.full(3, GRAY @ constant)
        linear = factor * linear + (1 - factor) * others[0]
        constant = factor * constant + (1 - factor) * others[1]
    return np.concatenate((linear, (constant + change.shift)[:, None]), axis=1)


def change_colors(frames: np.ndarray, change: ColorChange) -> np.ndarray:
    """Changes the colors of every frame of a clip by the same matrix.

    Args:
        frames: uint8 RGB [T, H, W, 3].
        change: The change.

    Returns:
        uint8 RGB [T, H, W, 3].
    """
    matrix = compute_color_matrix(change, frames[:, ::4, ::4].mean(axis=(0, 1, 2)))
    return np.stack([cv2.transform(np.ascontiguousarray(frame), matrix) for frame in frames])
