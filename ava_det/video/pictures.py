"""What becomes of a decoded frame: upright, in RGB, of the size that is asked for."""

from __future__ import annotations

from fractions import Fraction
from threading import Lock

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace

from ava_det.video.planes import BT601, BT709, rgb_to_planes, rotate_planes, scale_planes
from ava_det.video.reader import TAGGED
from ava_det.video.tone import ToneMapper, is_hdr

BT601_TAGS = {
    2,
    5,
    6,
}  # "unspecified", BT.470BG and SMPTE 170M in H.273: the matrix OpenCV's conversion assumes
BT709_TAG = 1
UNTAGGED = 2
BT2020_TAGS = {9, 10}
LIMITED_RANGE = {0, 1}
SQUARE = Fraction(1)
NEARLY_SQUARE = Fraction(1, 100)
HD_LINES = (
    720  # players take pictures of that many lines for BT.709 where no tag says what they are
)


class DecodedPicture:
    """A decoded frame that is converted to RGB at most once for each size and color.

    pts: ticks since the first frame. aspect: width of its pixels by their height. duration: ticks, or None.
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
        self._frame = frame
        self._aspect = aspect
        self._converter = converter
        self._rgb: dict[tuple[int | None, str, bool], np.ndarray] = {}
        self._lock = Lock()  # one thread may read clips while another draws
        converter.begin(frame, aspect)

    def rgb(self, short_side: int | None, color: str = TAGGED, stored: bool = False) -> np.ndarray:
        """As `Picture.rgb`; stored: with the pixels of the file, square or not."""
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
        """In which its planes need no conversion."""
        return find_matrix(self._frame)

    def planes(self, matrix: str) -> np.ndarray:
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
        if is_hdr(self._frame):
            self._frame = self._converter.map_tones(self._frame)


def find_square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Width and height with square pixels: the side with the larger ones grows.

    Sides that grow become even, for colors of half their size. Pixels within a hundredth of square are taken for it:
    containers round.
    """
    if abs(aspect - 1) <= NEARLY_SQUARE:
        return width, height
    if aspect > 1:
        return 2 * round(width * aspect / 2), height
    return width, 2 * round(height / aspect / 2)


def find_upright_size(frame: av.VideoFrame, aspect: Fraction) -> tuple[int, int]:
    """The same of a frame, turned upright."""
    width, height = find_square_size(frame.width, frame.height, aspect)
    return (height, width) if count_turns(frame) % 2 else (width, height)


def have_same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether pictures of these sizes (width, height) look alike but for their size."""
    return abs(size[0] * other[1] - size[1] * other[0]) <= NEARLY_SQUARE * size[0] * other[1]


def fit_picture(picture: np.ndarray, size: tuple[int, int], target: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W, 3], whose shape on a screen is `size`, in the middle of a black one of `target` (width, height)."""
    scale = min(target[0] / size[0], target[1] / size[1])
    width, height = (
        min(round(side * scale), limit) for side, limit in zip(size, target, strict=True)
    )
    inner = cv2.resize(picture, (max(width, 1), max(height, 1)), interpolation=cv2.INTER_LINEAR)
    left = (target[0] - inner.shape[1]) // 2
    top = (target[1] - inner.shape[0]) // 2
    right = target[0] - inner.shape[1] - left
    bottom = target[1] - inner.shape[0] - top
    return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT)


def resize_short_side(picture: np.ndarray, short_side: int | None) -> np.ndarray:
    """uint8 [H, W, 3] with its shorter side `short_side`, the longer one rounded down (bilinear, no
    antialiasing).
    """
    height, width = picture.shape[:2]
    if short_side is None or min(height, width) == short_side:
        return picture
    return cv2.resize(
        picture, compute_resized_size(width, height, short_side), interpolation=cv2.INTER_LINEAR
    )


def compute_resized_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Width and height, pixels, of a picture whose shorter side becomes `short_side`.

    The longer one is rounded down, in PySlowFast's order of operations: where the ratio is whole
    but for rounding, another order gives another size.
    """
    if height < width:
        return int(width / height * short_side), short_side
    return short_side, int(height / width * short_side)


def is_plain(frame: av.VideoFrame) -> bool:
    """Whether its memory is I420 in limited range."""
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    return even and frame.format.name == "yuv420p" and frame.color_range in LIMITED_RANGE


def find_matrix(frame: av.VideoFrame) -> str:
    """BT.709 or BT.601: as a player shows it."""
    untagged_hd = frame.colorspace == UNTAGGED and min(frame.width, frame.height) >= HD_LINES
    wide = frame.colorspace in BT2020_TAGS
    return BT709 if frame.colorspace == BT709_TAG or untagged_hd or wide else BT601


def has_matrix(frame: av.VideoFrame, matrix: str) -> bool:
    """Whether its planes are made with `matrix`, one of the two that files are written with."""
    return frame.colorspace not in BT2020_TAGS and find_matrix(frame) == matrix


def count_turns(frame: av.VideoFrame) -> int:
    """Quarter turns to the left that make it upright."""
    return round(frame.rotation / 90) % 4


class FrameConverter:
    """Decoded frames to upright uint8 RGB [H, W, 3], in the colors the file's tags ask for or by
    BT.601, and resized.

    size: width and height of the results at full size, with square pixels. stored_size: the same with the pixels of
    the file. Both are those of the first frame; others are fitted into them. Pictures that are resized pass through one
    buffer: fresh memory for each costs more than the conversion itself.
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
        """Whether the frame has the shape of the first one on a screen, whatever its size."""
        return have_same_shape(find_upright_size(frame, aspect), self.size)

    def __call__(
        self,
        frame: av.VideoFrame,
        aspect: Fraction,
        short_side: int | None,
        color: str,
        stored: bool,
    ) -> np.ndarray:
        base = self.stored_size if stored else self.size
        target = (
            base
            if short_side is None or min(base) == short_side
            else compute_resized_size(*base, short_side)
        )
        turns = count_turns(frame)
        upright = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
        resized = upright != target
        if is_plain(frame) and (
            color == BT601 or frame.colorspace in BT601_TAGS
        ):  # a fifth of swscale's time
            buffered = resized and short_side is not None  # clips, which one thread reads
            out = self._buffer if buffered else None
            picture = cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420, dst=out)
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
        return cv2.resize(picture, target, interpolation=cv2.INTER_LINEAR)
