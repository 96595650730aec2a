"""Draws one jointed figure: from joint angles to joint positions, and from these to pixels.

A pose is ten absolute limb directions in radians. An angle is measured from straight down, positive
towards the side the figure faces, so ``0`` hangs down, ``pi/2`` points forward and ``pi`` points
up. Absolute (not joint-relative) angles make blending two poses a plain weighted sum. Everything is
computed for all frames of a video at once; only the drawing itself is a loop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

# Order of the ten columns of a pose.
TORSO, HEAD, NEAR_UPPER_ARM, NEAR_FOREARM, FAR_UPPER_ARM, FAR_FOREARM = range(6)
NEAR_THIGH, NEAR_SHIN, FAR_THIGH, FAR_SHIN = range(6, 10)
NUM_ANGLES = 10

# Order of the eleven joints.
(
    HIP,
    NECK,
    CROWN,
    NEAR_ELBOW,
    NEAR_HAND,
    FAR_ELBOW,
    FAR_HAND,
    NEAR_KNEE,
    NEAR_ANKLE,
    FAR_KNEE,
    FAR_ANKLE,
) = range(11)
NUM_JOINTS = 11

# Each limb: (joint it starts at, joint it ends at, pose column, length as a fraction of the
# standing height).
_LIMBS = (
    (HIP, NECK, TORSO, 0.30),
    (NECK, CROWN, HEAD, 0.115),
    (NECK, NEAR_ELBOW, NEAR_UPPER_ARM, 0.17),
    (NEAR_ELBOW, NEAR_HAND, NEAR_FOREARM, 0.18),
    (NECK, FAR_ELBOW, FAR_UPPER_ARM, 0.17),
    (FAR_ELBOW, FAR_HAND, FAR_FOREARM, 0.18),
    (HIP, NEAR_KNEE, NEAR_THIGH, 0.24),
    (NEAR_KNEE, NEAR_ANKLE, NEAR_SHIN, 0.23),
    (HIP, FAR_KNEE, FAR_THIGH, 0.24),
    (FAR_KNEE, FAR_ANKLE, FAR_SHIN, 0.23),
)
# How far the drawn body reaches below each joint, as a fraction of the height: who touches the
# ground.
_RADII = np.array([0.065, 0.065, 0.085, 0.04, 0.055, 0.04, 0.055, 0.04, 0.035, 0.04, 0.035])

# OpenCV draws at 1/16 pixel, so slow motion is smooth instead of stepping by whole pixels.
_SHIFT = 4
_ONE = 1 << _SHIFT

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Appearance:
    """Describes what one figure looks like for a whole video.

    Colors are RGB 0..255, `height` is in pixels.
    """

    height: float
    girth: float
    skin: Color
    hair: Color
    shirt: Color
    stripe: Color
    trousers: Color
    shoes: Color
    paper: Color
    ink: Color


def compute_joints(
    angles: np.ndarray, facing: np.ndarray, center_x: np.ndarray, ground_y: float, height: float
) -> np.ndarray:
    """Places the skeleton so that its lowest part rests on the ground.

    Args:
        angles: [F, 10] limb directions in radians.
        facing: [F] +1 facing right, -1 facing left.
        center_x: [F] pixel column of the middle of the body (mean of hip, crown and ankles).
        ground_y: pixel row of the ground under this figure.
        height: standing height in pixels.

    Returns:
        [F, 11, 2] joint positions (x, y) in pixels.
    """
    joints = np.zeros((len(angles), NUM_JOINTS, 2))
    for start, end, column, length in _LIMBS:
        direction = np.stack(
            [np.sin(angles[:, column]) * facing, np.cos(angles[:, column])], axis=1
        )
        joints[:, end] = joints[:, start] + direction * (length * height)
    middle = joints[:, [HIP, CROWN, NEAR_ANKLE, FAR_ANKLE], 0].mean(axis=1)
    lowest = (joints[:, :, 1] + _RADII * height).max(axis=1)
    joints[:, :, 0] += (center_x - middle)[:, None]
    joints[:, :, 1] += (ground_y - lowest)[:, None]
    return joints


Point = tuple[float, float]


def _fixed(point: Point) -> tuple[int, int]:
    return (round(point[0] * _ONE), round(point[1] * _ONE))


def _line(image: np.ndarray, a: Point, b: Point, color: Color, thickness: float) -> None:
    cv2.line(image, _fixed(a), _fixed(b), color, max(1, round(thickness)), cv2.LINE_AA, _SHIFT)


def _disc(image: np.ndarray, center: Point, radius: float, color: Color) -> None:
    cv2.circle(image, _fixed(center), round(radius * _ONE), color, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _rectangle(
    image: np.ndarray,
    center: Point,
    half: Point,
    sides: tuple[float, float, float, float],
    color: Color,
) -> None:
    """Draws a rectangle.

    `sides` (left, top, right, bottom) are in units of `half` a width and height from `center`.
    """
    left = center[0] + sides[0] * half[0]
    right = center[0] + sides[2] * half[0]
    top = center[1] + sides[1] * half[1]
    bottom = center[1] + sides[3] * half[1]
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    cv2.fillConvexPoly(image, np.rint(corners * _ONE).astype(np.int32), color, cv2.LINE_AA, _SHIFT)


def _darker(color: Color) -> Color:
    return (color[0] * 3 // 4, color[1] * 3 // 4, color[2] * 3 // 4)


def _between(a: Point, b: Point, fraction: float) -> Point:
    return (a[0] + (b[0] - a[0]) * fraction, a[1] + (b[1] - a[1]) * fraction)


def _draw_leg(
    image: np.ndarray,
    hip: Point,
    knee: Point,
    ankle: Point,
    facing: float,
    appearance: Appearance,
    color: Color,
) -> None:
    unit = appearance.height * appearance.girth
    _line(image, hip, knee, color, 0.085 * unit)
    _line(image, knee, ankle, color, 0.065 * unit)
    # The foot points forward, at a right angle to the shin.
    dx = ankle[0] - knee[0]
    dy = ankle[1] - knee[1]
    step = facing * 0.055 * appearance.height / (math.hypot(dx, dy) or 1.0)
    _line(image, ankle, (ankle[0] + dy * step, ankle[1] - dx * step), appearance.shoes, 0.05 * unit)


def _draw_arm(
    image: np.ndarray,
    shoulder: Point,
    elbow: Point,
    hand: Point,
    appearance: Appearance,
    sleeve: Color,
) -> None:
    unit = appearance.height * appearance.girth
    _line(image, shoulder, elbow, sleeve, 0.08 * unit)
    _line(image, elbow, hand, sleeve, 0.07 * unit)
    _disc(image, hand, 0.055 * unit, appearance.skin)


def _draw_held(
    image: np.ndarray, hands: Point, facing: float, appearance: Appearance, held: str, size: float
) -> None:
    """Draws a parcel (one upright band) or a newspaper (lines of text) of equal size and colors."""
    half = (0.16 * appearance.height * size, 0.135 * appearance.height * size)
    center = (hands[0] + 0.03 * appearance.height * facing, hands[1] - 0.02 * appearance.height)
    _rectangle(image, center, half, (-1, -1, 1, 1), appearance.paper)
    if held == "parcel":
        _rectangle(image, center, half, (-0.3, -1, 0.3, 1), appearance.ink)
    else:
        for row in (-0.45, 0.45):
            _rectangle(image, center, half, (-0.85, row - 0.2, 0.85, row + 0.2), appearance.ink)


def draw_figure(
    image: np.ndarray,
    joints: np.ndarray,
    facing: float,
    appearance: Appearance,
    held: str,
    held_size: float,
) -> None:
    """Draws one figure over an image in place, far limbs first.

    Args:
        image: RGB uint8 [H, W, 3].
        joints: [11, 2] pixels, one row of :func:`compute_joints`.
        facing: +1 right, -1 left.
        appearance: Colors and sizes.
        held: "parcel", "newspaper" or "" for empty hands.
        held_size: 0..1, so that an object can grow into the hands instead of popping up.
    """
    unit = appearance.height * appearance.girth
    at: list[Point] = [(x, y) for x, y in joints.tolist()]
    hip = at[HIP]
    neck = at[NECK]
    crown = at[CROWN]
    _draw_arm(image, neck, at[FAR_ELBOW], at[FAR_HAND], appearance, _darker(appearance.shirt))
    _draw_leg(
        image, hip, at[FAR_KNEE], at[FAR_ANKLE], facing, appearance, _darker(appearance.trousers)
    )
    _draw_leg(image, hip, at[NEAR_KNEE], at[NEAR_ANKLE], facing, appearance, appearance.trousers)
    _line(image, hip, neck, appearance.shirt, 0.13 * unit)
    _line(
        image, _between(hip, neck, 0.45), _between(hip, neck, 0.58), appearance.stripe, 0.1 * unit
    )
    _disc(image, crown, 0.08 * unit, appearance.hair)
    face = (crown[0] + 0.02 * facing * appearance.height, crown[1] + 0.012 * appearance.height)
    _disc(image, face, 0.066 * unit, appearance.skin)
    if held and held_size > 0.2:
        _draw_held(
            image, _between(at[NEAR_HAND], at[FAR_HAND], 0.5), facing, appearance, held, held_size
        )
    _draw_arm(image, neck, at[NEAR_ELBOW], at[NEAR_HAND], appearance, appearance.shirt)


def compute_mask(
    shape: tuple[int, int],
    joints: np.ndarray,
    facing: float,
    appearance: Appearance,
    held: str,
    held_size: float,
) -> np.ndarray:
    """Computes which pixels a figure covers by at least half: bool [H, W] = `shape`."""
    white = (255, 255, 255)
    silhouette = Appearance(
        appearance.height, appearance.girth, white, white, white, white, white, white, white, white
    )
    canvas = np.zeros((*shape, 3), np.uint8)
    # Far limbs are drawn a quarter darker, hence the threshold at half of three quarters.
    draw_figure(canvas, joints, facing, silhouette, held, held_size)
    return canvas[:, :, 0] > 95
