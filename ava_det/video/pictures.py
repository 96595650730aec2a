"""Converts decoded frames: upright, in RGB, with the size that is asked for."""

from __future__ import annotations

from fractions import Fraction
from threading import Lock
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace

from ava_det.video.notes import describe_change, describe_hdr
from ava_det.video.planes import BT601, BT709, rgb_to_planes, rotate_planes, scale_planes
from ava_det.video.reader import TAGGED
from ava_det.video.tone import ToneMapper, is_hdr

# "unspecified", BT.470BG and SMPTE 170M in H.273: OpenCV's conversion assumes their matrix
BT601_TAGS = {2, 5, 6}
BT709_TAG = 1
UNTAGGED = 2
BT2020_TAGS = {9, 10}
LIMITED_RANGE = {0, 1}
SQUARE = Fraction(1)
NEARLY_SQUARE = Fraction(1, 100)
HD_LINES = 720  # players assume BT.709 for untagged pictures of at least as many lines


class DecodedPicture:
    """Holds a decoded frame and converts it to RGB at most once for each size and color.

    Args:
        frame: The frame as decoded.
        pts: Its time, in ticks since the first frame.
        seconds: Its annotation time.
        converter: The converter of the video it belongs to.
        aspect: Width of its pixels by their height.

    Attributes:
        pts: As given.
        seconds: As given.
        duration: Ticks that the frame lasts, or None.
        num_bytes: About what the frame takes in memory.
        derived: As in `Picture`.
    """

    def __init__(
        self,
        frame: av.VideoFrame,
        pts: int,
        seconds: float,
        converter: FrameConverter,
        aspect: Fraction = SQUARE,
    ):
        self.pts = pts
        self.seconds = seconds
        self.duration = frame.duration
        self.num_bytes = frame.width * frame.height * 3 // 2
        self.derived: dict[Any, np.ndarray] = {}
        self._frame = frame
        self._aspect = aspect
        self._converter = converter
        self._rgb: dict[tuple[int | None, str, bool], np.ndarray] = {}
        self._lock = Lock()  # one thread may read clips while another draws
        converter.begin(frame, aspect)

    def rgb(self, short_side: int | None, color: str = TAGGED, stored: bool = False) -> np.ndarray:
        """Returns uint8 RGB [H, W, 3], see `Picture.rgb`."""
        key = short_side, color, stored
        with self._lock:
            if key not in self._rgb:
                self._make_sdr()
                self._rgb[key] = self._converter(
                    self._frame, self._aspect, short_side, color, stored
                )
            return self._rgb[key]

    @property
    def matrix(self) -> str:
        """Returns the matrix (planes.py) by which the frame is coded."""
        return find_matrix(self._frame)

    def planes(self, matrix: str) -> np.ndarray:
        """Returns the planes of the frame, see planes.py, as an array that the caller may change.

        They are converted only where the frame is coded with another matrix, format or shape.

        Args:
            matrix: BT601 or BT709.
        """
        with self._lock:
            self._make_sdr()
        size = self._converter.size
        fits = self._converter.fits(self._frame, self._aspect) and not (size[0] % 2 or size[1] % 2)
        if not (is_plain(self._frame) and has_matrix(self._frame, matrix) and fits):
            return rgb_to_planes(self.rgb(None), matrix)
        turns = count_turns(self._frame)
        planes = self._frame.to_ndarray()
        if turns:
            planes = rotate_planes(planes, turns)
        return scale_planes(planes, *size)

    def _make_sdr(self) -> None:
        """Maps an HDR frame to the standard range, once."""
        if is_hdr(self._frame):
            self._frame = self._converter.map_tones(self._frame)


class ChangeFinder:
    """Finds, once each, that a video is HDR and that the size of its frames changes."""

    def __init__(self) -> None:
        self._first: tuple[int, tuple[int, int, Fraction]] | None = None
        self._changed = False

    def inspect(
        self, frame: av.VideoFrame, aspect: Fraction, ticks: int, tick: Fraction
    ) -> list[str]:
        """Looks at the next frame.

        Args:
            frame: The frame as decoded.
            aspect: Width of its pixels by their height.
            ticks: Its time.
            tick: Seconds in one unit of the time.

        Returns:
            What is said now for the first time.
        """
        shape = frame.width, frame.height, aspect
        if self._first is None:
            self._first = ticks, shape
            return [describe_hdr(frame.color_trc)] if is_hdr(frame) else []
        if self._changed or shape == self._first[1]:
            return []
        self._changed = True
        return [describe_change(self._first[1], shape, float((ticks - self._first[0]) * tick))]


def find_square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Computes width and height with square pixels: the side along which pixels are longer grows.

    Sides that grow become even, as 4:2:0 color needs. Pixels within a hundredth of square count as
    square: containers round.

    Args:
        width: In pixels of the file.
        height: In pixels of the file.
        aspect: Width of a pixel by its height.
    """
    if abs(aspect - 1) <= NEARLY_SQUARE:
        return width, height
    if aspect > 1:
        return 2 * round(width * aspect / 2), height
    return width, 2 * round(height / aspect / 2)


def find_upright_size(frame: av.VideoFrame, aspect: Fraction) -> tuple[int, int]:
    """Computes width and height of a frame with square pixels, turned upright."""
    width, height = find_square_size(frame.width, frame.height, aspect)
    return (height, width) if count_turns(frame) % 2 else (width, height)


def have_same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Returns whether two sizes (width, height) have the same aspect, to a hundredth."""
    return abs(size[0] * other[1] - size[1] * other[0]) <= NEARLY_SQUARE * size[0] * other[1]


def fit_picture(picture: np.ndarray, size: tuple[int, int], target: tuple[int, int]) -> np.ndarray:
    """Resizes a picture to fit into a black one, in its middle.

    Args:
        picture: uint8 [H, W, 3].
        size: Width and height, whose ratio is that of the picture as shown on a screen.
        target: Width and height of the result, pixels.

    Returns:
        uint8 [height, width, 3].
    """
    scale = min(target[0] / size[0], target[1] / size[1])
    width, height = (
        min(round(side * scale), limit) for side, limit in zip(size, target, strict=True)
    )
    inner = cv2.resize(picture, (max(width, 1), max(height, 1)), interpolation=cv2.INTER_LINEAR)
    left = (target[0] - inner.shape[1]) // 2
    top = (target[1] - inner.shape[0]) // 2
    right = target[0] - inner.shape[1] - left
    bottom = target[1] - inner.shape[0] - top
    fitted: np.ndarray = cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT)
    return fitted


def resize_short_side(picture: np.ndarray, short_side: int | None) -> np.ndarray:
    """Resizes a picture to a shorter side (bilinear, no antialiasing).

    Args:
        picture: uint8 [H, W, 3].
        short_side: Pixels, or None to keep the size. The longer side is rounded down.
    """
    height, width = picture.shape[:2]
    if short_side is None or min(height, width) == short_side:
        return picture
    resized: np.ndarray = cv2.resize(
        picture, compute_resized_size(width, height, short_side), interpolation=cv2.INTER_LINEAR
    )
    return resized


def compute_resized_size(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """Computes width and height, pixels, of a picture whose shorter side becomes `short_side`.

    The longer side is rounded down, in PySlowFast's order of operations: where the ratio is a whole
    number but for rounding, another order gives another size. None keeps the size.
    """
    if short_side is None or min(width, height) == short_side:
        return width, height
    if height < width:
        return int(width / height * short_side), short_side
    return short_side, int(height / width * short_side)


def is_plain(frame: av.VideoFrame) -> bool:
    """Returns whether a frame's memory is I420 in limited range, with even sides."""
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    return even and frame.format.name == "yuv420p" and frame.color_range in LIMITED_RANGE


def find_matrix(frame: av.VideoFrame) -> str:
    """Returns the matrix, BT709 or BT601, with which a player shows the frame."""
    untagged_hd = frame.colorspace == UNTAGGED and min(frame.width, frame.height) >= HD_LINES
    wide = frame.colorspace in BT2020_TAGS
    return BT709 if frame.colorspace == BT709_TAG or untagged_hd or wide else BT601


def has_matrix(frame: av.VideoFrame, matrix: str) -> bool:
    """Returns whether the frame is coded with `matrix`, BT601 or BT709."""
    return frame.colorspace not in BT2020_TAGS and find_matrix(frame) == matrix


def count_turns(frame: av.VideoFrame) -> int:
    """Returns the number of quarter turns to the left that make the frame upright."""
    turns: int = round(frame.rotation / 90) % 4
    return turns


class FrameConverter:
    """Converts decoded frames of one video to upright RGB and resizes them.

    The results are uint8 [H, W, 3]. Colors follow the file's tags or BT.601. Resized pictures pass
    through one buffer: fresh memory for each costs more than the conversion itself.

    Attributes:
        size: Width and height of the first frame, upright, with square pixels. Frames of another
            shape are fitted into it.
        stored_size: The same with the pixels of the file.
        map_tones: Maps HDR frames to the standard range.
    """

    size: tuple[int, int]
    stored_size: tuple[int, int]

    def __init__(self) -> None:
        self._buffer: np.ndarray | None = None
        self._begun = False
        self.map_tones = ToneMapper()

    def begin(self, frame: av.VideoFrame, aspect: Fraction) -> None:
        """Takes the sizes of the first frame."""
        if not self._begun:
            self.size = find_upright_size(frame, aspect)
            self.stored_size = find_upright_size(frame, SQUARE)
            self._begun = True

    def fits(self, frame: av.VideoFrame, aspect: Fraction) -> bool:
        """Returns whether the frame has the first one's shape on a screen, whatever its size."""
        return have_same_shape(find_upright_size(frame, aspect), self.size)

    def __call__(
        self,
        frame: av.VideoFrame,
        aspect: Fraction,
        short_side: int | None,
        color: str,
        stored: bool,
    ) -> np.ndarray:
        """Converts one frame.

        Args:
            frame: The frame as decoded.
            aspect: Width of its pixels by their height.
            short_side: The shorter side of the result in pixels; None keeps the video's size.
            color: TAGGED or BT601, as for `FrameReader.read`.
            stored: Whether to keep the pixels of the file, square or not.

        Returns:
            uint8 RGB [H, W, 3].
        """
        base = self.stored_size if stored else self.size
        target = compute_resized_size(*base, short_side)
        turns = count_turns(frame)
        upright = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
        resized = upright != target
        # OpenCV's conversion takes a fifth of swscale's time
        if is_plain(frame) and (color == BT601 or frame.colorspace in BT601_TAGS):
            buffered = resized and short_side is not None  # clips, which one thread reads
            out = self._buffer if buffered else None
            picture: np.ndarray = cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420, dst=out)
            self._buffer = picture if buffered else self._buffer
        else:
            matrix = Colorspace.ITU601 if color == BT601 else None
            picture = frame.to_ndarray(format="rgb24", src_colorspace=matrix)
        if turns:
            picture = np.ascontiguousarray(np.rot90(picture, turns))
        if not resized:
            return picture
        if not self.fits(frame, aspect):
            return fit_picture(
                picture, find_upright_size(frame, SQUARE if stored else aspect), target
            )
        final: np.ndarray = cv2.resize(picture, target, interpolation=cv2.INTER_LINEAR)
        return final
