"""Converts between RGB and the planes that decoders give and encoders take.

Planes are I420 in limited range: uint8 [H * 3 / 2, W], the luma Y [H, W] and below it, one after
the other, the chroma U and V, each of half the height and width. A picture with an odd side gets
its last row or column twice.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

BT601 = "bt601"
BT709 = "bt709"
WEIGHTS = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722)}  # of red and blue in Y (H.273)


@lru_cache
def compute_matrix(name: str) -> np.ndarray:
    """Computes the matrix from RGB to YUV of BT601 or BT709.

    Returns:
        float32 [3, 4], from (R, G, B, 1) of 0..255 to Y of 16..235, U and V of 16..240.
    """
    red, blue = WEIGHTS[name]
    luma = np.array([red, 1 - red - blue, blue])
    rows = [219 / 255 * luma, *(112 / 255 / (1 - luma[c]) * (np.eye(3)[c] - luma) for c in (2, 0))]
    return np.hstack((rows, [[16], [128], [128]])).astype(np.float32)


def split_planes(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns Y, U and V as views into contiguous `planes`."""
    rows, width = planes.shape
    height = rows * 2 // 3
    half = (2, height // 2, width // 2)
    u, v = planes.reshape(-1)[height * width :].reshape(half)
    return planes[:height], u, v


def rgb_to_planes(picture: np.ndarray, matrix: str) -> np.ndarray:
    """Converts RGB uint8 [H, W, 3] to planes by `matrix`, BT601 or BT709."""
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    if matrix == BT601:
        # a fifth of swscale's time
        planes: np.ndarray = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        return planes
    whole = cv2.transform(picture, compute_matrix(matrix))
    half = cv2.resize(whole[..., 1:], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    parts = (whole[..., 0], half[..., 0], half[..., 1])
    return np.concatenate([part.reshape(-1) for part in parts]).reshape(-1, picture.shape[1])


def planes_to_rgb(planes: np.ndarray, matrix: str) -> np.ndarray:
    """Converts planes to RGB uint8 [H, W, 3] by `matrix`; the sides are even."""
    y, u, v = split_planes(planes)
    color = cv2.resize(np.dstack((u, v)), y.shape[::-1], interpolation=cv2.INTER_NEAREST)
    forward = np.vstack((compute_matrix(matrix), [0, 0, 0, 1]))
    picture: np.ndarray = cv2.transform(np.dstack((y, color)), np.linalg.inv(forward)[:3])
    return picture


def rotate_planes(planes: np.ndarray, turns: int) -> np.ndarray:
    """Rotates planes by quarter turns to the left."""
    parts = [np.rot90(part, turns) for part in split_planes(planes)]
    return np.concatenate([part.reshape(-1) for part in parts]).reshape(-1, parts[0].shape[1])


def scale_planes(planes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resizes planes to `width` x `height`, even numbers (bilinear).

    Planes that have this size already are returned as they are.
    """
    if planes.shape == (height * 3 // 2, width):
        return planes
    sizes = ((width, height), (width // 2, height // 2), (width // 2, height // 2))
    parts = [
        cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
        for part, size in zip(split_planes(planes), sizes, strict=True)
    ]
    return np.concatenate([part.reshape(-1) for part in parts]).reshape(-1, width)


@lru_cache
def convert_color(color: tuple[int, int, int], matrix: str) -> tuple[int, int, int]:
    """Converts one color from R, G, B to Y, U, V by `matrix`."""
    y, u, v = (
        round(float(value)) for value in compute_matrix(matrix) @ np.array([*color, 1], np.float32)
    )
    return y, u, v
