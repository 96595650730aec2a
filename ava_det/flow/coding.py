"""Codes optical flow in 8 bits and back, and flips and resizes it.

A coded field has 256 levels from -range to +range, 2 range / 255 pixels apart; what is faster is
clipped. So did those who trained TSN and I3D, with a range of 20 pixels. No level is zero: a point
at rest is 128, which is read as half a level.
"""

from __future__ import annotations

import cv2
import numpy as np

PUBLISHED_RANGE = 20.0  # pixels a step, of TSN's (dense_flow -b 20) and I3D's inputs
LEVELS = 255  # steps between the lowest and the highest level
REST = 128  # the level of a point at rest


def encode_flow(flow: np.ndarray, flow_range: float = PUBLISHED_RANGE) -> np.ndarray:
    """Codes flow as the nearest of 256 levels, the even one of two that are equally near.

    Args:
        flow: float [...], pixels a step.
        flow_range: The largest speed that is coded, pixels a step.

    Returns:
        uint8 [...]: 0 is -flow_range or less, 255 is flow_range or more.
    """
    levels = np.rint((flow + flow_range) * (LEVELS / (2 * flow_range)))
    return levels.clip(0, LEVELS).astype(np.uint8)


def decode_flow(coded: np.ndarray, flow_range: float = PUBLISHED_RANGE) -> np.ndarray:
    """Decodes what `encode_flow` coded.

    Args:
        coded: uint8 [...].
        flow_range: As it was coded, pixels a step.

    Returns:
        float32 [...], pixels a step; off by at most half a level, flow_range / 255, from what was
        coded and lay within the range.
    """
    decoded: np.ndarray = coded.astype(np.float32) * np.float32(2 * flow_range / LEVELS)
    return decoded - np.float32(flow_range)


def flip_flow(flow: np.ndarray) -> np.ndarray:
    """Mirrors flow as its frames are mirrored, left to right: u changes its sign too.

    Args:
        flow: float [2, ..., W], u and v.

    Returns:
        The same shape.
    """
    mirrored: np.ndarray = flow[..., ::-1].copy()
    mirrored[0] *= -1
    return mirrored


def flip_coded(coded: np.ndarray) -> np.ndarray:
    """Mirrors coded flow as `flip_flow` does the flow itself, without any loss.

    Args:
        coded: uint8 [2, ..., W].

    Returns:
        The same shape.
    """
    mirrored: np.ndarray = coded[..., ::-1].copy()
    mirrored[0] = LEVELS - mirrored[0]
    return mirrored


def center_coded(coded: np.ndarray) -> np.ndarray:
    """Takes its own mean from every component of every coded field, in whole levels.

    So did Simonyan and Zisserman (2014, section 3.1), against the motion of the camera. The mean
    that is left is at most half a level from zero, where nothing is clipped.

    Args:
        coded: uint8 [..., H, W].

    Returns:
        The same shape.
    """
    means = coded.mean(axis=(-2, -1), keepdims=True, dtype=np.float64)
    shifted = coded.astype(np.int16) - np.rint(means - LEVELS / 2).astype(np.int16)
    centered: np.ndarray = shifted.clip(0, LEVELS).astype(np.uint8)
    return centered


def resize_flow(flow: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resizes a field (bilinear) as its frames are resized: u and v grow with their axes.

    Args:
        flow: float32 [2, H, W], pixels a step.
        width: Of the result.
        height: Of the result.

    Returns:
        float32 [2, height, width], pixels a step.
    """
    scales = width / flow.shape[2], height / flow.shape[1]
    return np.stack(
        [
            cv2.resize(component, (width, height), interpolation=cv2.INTER_LINEAR)
            * np.float32(scale)
            for component, scale in zip(flow, scales, strict=True)
        ]
    )


def resize_coded(coded: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resizes a coded field as `resize_flow` does, and codes it again with the same range.

    Args:
        coded: uint8 [2, H, W].
        width: Of the result.
        height: Of the result.

    Returns:
        uint8 [2, height, width]; the same array where it has this size already.
    """
    if coded.shape[1:] == (height, width):
        return coded
    return encode_flow(resize_flow(decode_flow(coded), width, height))  # by any range alike
