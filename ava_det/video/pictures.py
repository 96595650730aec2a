"""What becomes of a decoded frame: upright, in RGB, of the size that is asked for."""

from __future__ import annotations

from threading import Lock

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace

from ava_det.video.planes import BT601, BT709, rgb_to_planes, rotate_planes
from ava_det.video.reader import TAGGED

# "unspecified", BT.470BG and SMPTE 170M in H.273: the matrix OpenCV's conversion assumes
BT601_TAGS = {2, 5, 6}
BT709_TAG = 1
UNTAGGED = 2
LIMITED_RANGE = {0, 1}
# players take pictures of that many lines for BT.709 where no tag says what they are
HD_LINES = 720


class DecodedPicture:
    """A decoded frame that is converted to RGB at most once for each size and colour."""

    def __init__(self, frame: av.VideoFrame, pts: int, seconds: float, converter: FrameConverter):
        self.pts = pts  # since the first frame
        self.seconds = seconds
        self.duration = frame.duration  # ticks of the stream, or None
        self.num_bytes = frame.width * frame.height * 3 // 2
        self._frame = frame
        self._converter = converter
        self._rgb: dict[tuple[int | None, str], np.ndarray] = {}
        self._lock = Lock()  # one thread may read clips while another draws

    def rgb(self, short_side: int | None, colour: str = TAGGED) -> np.ndarray:
        key = short_side, colour
        with self._lock:
            if key not in self._rgb:
                self._rgb[key] = self._converter(self._frame, short_side, colour)
            return self._rgb[key]

    @property
    def matrix(self) -> str:
        """In which its planes need no conversion."""
        return find_matrix(self._frame)

    def planes(self, matrix: str) -> np.ndarray:
        if not (is_plain(self._frame) and self.matrix == matrix):
            return rgb_to_planes(self.rgb(None), matrix)
        turns = count_turns(self._frame)
        return rotate_planes(self._frame.to_ndarray(), turns) if turns else self._frame.to_ndarray()


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
    return BT709 if frame.colorspace == BT709_TAG or untagged_hd else BT601


def count_turns(frame: av.VideoFrame) -> int:
    """Quarter turns to the left that make it upright."""
    return round(frame.rotation / 90) % 4


class FrameConverter:
    """Decoded frames to upright uint8 RGB [H, W, 3], in the colours the file's tags ask for or by
    BT.601, and resized.

    Pictures that are resized pass through one buffer: fresh memory for each costs more than the
    conversion itself.
    """

    def __init__(self) -> None:
        self._buffer: np.ndarray | None = None

    def __call__(self, frame: av.VideoFrame, short_side: int | None, colour: str) -> np.ndarray:
        turns = count_turns(frame)
        resized = short_side is not None and min(frame.width, frame.height) != short_side
        # a fifth of swscale's time
        if is_plain(frame) and (colour == BT601 or frame.colorspace in BT601_TAGS):
            out = self._buffer if resized else None
            picture = cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420, dst=out)
            self._buffer = picture if resized else self._buffer
        else:
            matrix = Colorspace.ITU601 if colour == BT601 else None
            picture = frame.to_ndarray(format="rgb24", src_colorspace=matrix)
        if turns:
            picture = np.ascontiguousarray(np.rot90(picture, turns))
        return resize_short_side(picture, short_side)
