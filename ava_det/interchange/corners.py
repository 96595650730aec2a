"""Turns boxes as annotation tools draw them into fractions of the frame, and back."""

from __future__ import annotations

from ava_det.interchange.clock import FrameClock
from ava_det.interchange.labeled import Corners

SAME_SHAPE = 0.02  # proportions of a rescaled copy differ by a smaller share


def corners_from_pixels(
    where: str, x: float, y: float, width: float, height: float, size: tuple[float, float]
) -> Corners:
    """Returns xyxy in fractions of the frame, what lies outside cut off.

    Args:
        where: The place of the box, for messages.
        x: Left side, in the unit of `size`.
        y: Upper side.
        width: To the right of x.
        height: Below y.
        size: Width and height of the frame: pixels, or (100, 100) of boxes in percent.

    Raises:
        ValueError: The box has no area, or none within the frame, or is far larger.
    """
    shown = f"x={x:g} y={y:g} width={width:g} height={height:g}"
    if width <= 0 or height <= 0:
        raise ValueError(f"{where}: expected a box with a width and a height, found {shown}")
    corners = (x / size[0], y / size[1], (x + width) / size[0], (y + height) / size[1])
    x1, y1, x2, y2 = (min(max(side, 0.0), 1.0) for side in corners)
    if min(corners) < -0.5 or max(corners) > 1.5 or x1 >= x2 or y1 >= y2:
        raise ValueError(
            f"{where}: expected a box within the frame of {size[0]:g}x{size[1]:g}, found {shown}"
        )
    return x1, y1, x2, y2


def corners_to_pixels(corners: Corners, size: tuple[int, int]) -> list[float]:
    """Returns x, y, width and height in pixels, to a millionth.

    Args:
        corners: xyxy in fractions of the frame.
        size: Width and height of the frame, in pixels.
    """
    width, height = size
    x1, y1, x2, y2 = corners
    sides = (x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height)
    return [round(side, 6) for side in sides]


def check_shape(where: str, size: tuple[int, int], clock: FrameClock) -> None:
    """Checks that a video has the shape of what was annotated; a rescaled copy of it has.

    Args:
        where: The place that states the size, for messages.
        size: Width and height of what was annotated, in pixels.
        clock: Of the video; one without a size is not checked.

    Raises:
        ValueError: It has another shape.
    """
    if (
        clock.size is not None
        and abs(size[0] * clock.size[1] / (size[1] * clock.size[0]) - 1) > SAME_SHAPE
    ):
        raise ValueError(
            f"{where}: expected a video of the shape that was annotated, {size[0]}x{size[1]}, "
            f"found {clock.name} of {clock.size[0]}x{clock.size[1]}"
        )
