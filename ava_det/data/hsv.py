"""Shifts hue, saturation and value of a clip at random, as VideoMAE-Action-Detection trains.

It is not affine in RGB, so it is no step of `ColorChange`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

NO_HSV_JITTER = (0.0, 0.0, 0.0)


class HsvChange(NamedTuple):
    """Describes one shift of a clip's colors.

    Attributes:
        hue: Added to the hue, in degrees of 360; it wraps around.
        saturation: Added to the saturation 0..1, which is kept in that range.
        value: Likewise of the value, the largest of R, G and B as 0..1.
    """

    hue: float
    saturation: float
    value: float


def draw_hsv_change(limits: Sequence[float], generator: torch.Generator) -> HsvChange | None:
    """Draws a random shift of hue, saturation and value.

    Args:
        limits: The largest shift of each, in the units of `HsvChange`; it is uniform up to there
            in both directions.
        generator: Source of the random numbers.

    Returns:
        The shift; None where all limits are 0, and then nothing is drawn from `generator`.
    """
    if not any(limits):
        return None
    drawn = (2 * torch.rand(3, generator=generator, dtype=torch.float64) - 1).tolist()
    return HsvChange(*(limit * share for limit, share in zip(limits, drawn, strict=True)))


def change_hsv(frames: np.ndarray, change: HsvChange) -> np.ndarray:
    """Shifts the colors of every frame of a clip alike.

    Args:
        frames: uint8 RGB [T, H, W, 3].
        change: The shift.

    Returns:
        uint8 RGB [T, H, W, 3]; frames without a shift stay as they are to 1 of 255.
    """
    shifted = np.empty_like(frames)
    for frame, out in zip(frames, shifted, strict=True):
        # float32: of uint8, OpenCV keeps the hue in steps of two degrees
        hsv = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + change.hue) % 360
        hsv[..., 1:] = (hsv[..., 1:] + np.array(change[1:], np.float32)).clip(0, 1)
        np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255, out=out, casting="unsafe")
    return shifted
