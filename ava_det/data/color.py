"""Random colors of a clip, as PySlowFast offers them for AVA: brightness, contrast, saturation,
and PCA lighting.

Each step mixes a color with black, with the clip's mean gray or with its own gray, or adds a
constant: all are affine, so together they are one 3 x 4 matrix on RGB, applied to uint8 once,
rounded and clipped once.
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
    """steps: brightness, contrast and saturation in the order they come, each with the factor it is
    multiplied by. shift: then added to R, G and B, which count 0..255.
    """

    steps: tuple[tuple[str, float], ...]
    shift: tuple[float, float, float]


def draw_color_change(
    jitter: float, lighting: float, generator: torch.Generator
) -> ColorChange | None:
    """Factors uniform in 1 - jitter .. 1 + jitter, in random order; a shift along each principal
    direction of color, normal with `lighting` times its deviation. None where both are 0, and then
    nothing is drawn.
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
    """float64 [3, 4], on (R, G, B, 1) of 0..255. mean: RGB of the whole clip, to which contrast
    refers.
    """
    linear = np.eye(3)
    constant = np.zeros(3)
    for name, factor in change.steps:
        others = np.zeros((3, 3)), np.zeros(3)  # what the picture is mixed with: black,
        if name == "contrast":
            # its mean gray as it is by now,
            others = np.zeros((3, 3)), np.full(3, GRAY @ (linear @ mean + constant))
        elif name == "saturation":
            # or each color's own gray
            others = np.tile(GRAY @ linear, (3, 1)), np.full(3, GRAY @ constant)
        linear = factor * linear + (1 - factor) * others[0]
        constant = factor * constant + (1 - factor) * others[1]
    return np.concatenate((linear, (constant + change.shift)[:, None]), axis=1)


def change_colors(frames: np.ndarray, change: ColorChange) -> np.ndarray:
    """uint8 RGB [T, H, W, 3] to the same shape and type, every frame by the same matrix."""
    matrix = compute_color_matrix(change, frames[:, ::4, ::4].mean(axis=(0, 1, 2)))
    return np.stack([cv2.transform(np.ascontiguousarray(frame), matrix) for frame in frames])
