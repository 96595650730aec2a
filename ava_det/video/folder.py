"""Reads folders of numbered pictures as videos, as PySlowFast and MMAction2 cut AVA.

Such a folder holds ID/ID_000001.jpg, ID/ID_000002.jpg, ... and is a video of 30 pictures a second.
The annotation time of its first picture is `start_second` (900 for AVA's). So picture
30 * (second - 900) + 1 is the keyframe of a second, and a clip on a grid of 30 ticks a second is
the pictures around it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ava_det.video.file import VideoReader
from ava_det.video.notes import describe_change
from ava_det.video.pictures import fit_picture, resize_short_side
from ava_det.video.planes import BT601, rgb_to_planes
from ava_det.video.reader import EXTRACTED_FPS, TAGGED, FrameReader, Picture, VideoError

PICTURE = re.compile(r"(.*?)(\d+)\.(?:jpe?g|png)", re.IGNORECASE)


def open_video(
    path: str | Path,
    start_second: float = 0.0,
    stream: int | None = None,
    hwaccel: str | None = None,
) -> FrameReader:
    """Opens a video file, or a folder of pictures.

    Args:
        path: The file or folder.
        start_second: Annotation time, in seconds, of the video's first frame.
        stream: Number of the video stream of a file, as for `VideoReader`.
        hwaccel: The kind of device that decodes a file, as for `VideoReader`.

    Raises:
        VideoError: It cannot be opened, or a stream of a folder was asked for.
    """
    if not Path(path).is_dir():
        return VideoReader(path, start_second, stream, hwaccel)
    if stream is not None:
        raise VideoError(f"{path}: a folder of pictures has no video stream {stream}")
    return FrameFolder(path, start_second)


class FrameFolder(FrameReader):
    """Reads a folder of pictures NAME000001.jpg, NAME000002.jpg, ... (or png), 30 a second.

    Pictures that later clips share are kept, as frames of a video are.

    Args:
        path: The folder.
        start_second: Annotation time, in seconds, of the first picture.

    Raises:
        VideoError: The folder has no numbered pictures, or a number is missing.
    """

    fps = float(EXTRACTED_FPS)
    frame_rate = Fraction(EXTRACTED_FPS)
    matrix = BT601
    has_audio = False
    audio_rate = 0
    is_prepared = False
    delay = Fraction(0)
    clock_start = 0.0

    def __init__(self, path: str | Path, start_second: float = 0.0):
        self.path = Path(path)
        self.start_second = start_second
        self._names = _find_pictures(self.path)
        self._held: dict[int, _FolderPicture] = {}
        self._on_frame: Callable[[Picture], None] | None = None
        self._next_index = 0
        self.duration = len(self._names) / self.fps
        self.height, self.width = self._decode(0).shape[:2]
        self.stored_size = self.width, self.height
        self._notes: list[str] = []

    def pictures_nearest(self, seconds: Sequence[float] | np.ndarray) -> Sequence[Picture]:
        """Finds the picture nearest to each time, see `FrameReader.pictures_nearest`."""
        ticks = (np.asarray(seconds, dtype=np.float64) - self.start_second) * EXTRACTED_FPS
        return self._find(np.ceil(ticks - 0.5 - 1e-6).astype(int))

    def pictures_at_or_after(self, moments: Sequence[Fraction]) -> Sequence[Picture]:
        """Finds the first picture at or after each time, see `FrameReader.pictures_at_or_after`."""
        return self._find(np.array([self._index_at_or_after(moment) for moment in moments]))

    def find_at_or_after(self, moment: Fraction) -> Fraction | None:
        """Returns the exact time of the first picture at or after `moment`, or None."""
        index = max(self._index_at_or_after(moment), 0)
        return (
            Fraction(self.start_second) + Fraction(index, EXTRACTED_FPS)
            if index < len(self._names)
            else None
        )

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yields the time in seconds and the RGB content of every picture."""
        for index in range(len(self._names)):
            yield self.start_second + index / self.fps, self._load(index)

    def subscribe(self, moment: float, on_frame: Callable[[Picture], None]) -> None:
        """Calls `on_frame` for every picture from the one at or before `moment` on."""
        self._on_frame = on_frame
        self._next_index = min(
            max(int((moment - self.start_second) * self.fps + 1e-6), 0), len(self._names) - 1
        )
        self._send_until(self._next_index)

    def advance(self, moment: float) -> bool:
        """Passes on the pictures up to `moment`; returns False where the folder ends first."""
        last = math.ceil((moment - self.start_second) * self.fps - 1e-6)
        self._send_until(last)
        return last < len(self._names)

    def frame_seconds(self) -> np.ndarray:
        """Returns the time of every picture, float64 [F]."""
        return self.start_second + np.arange(len(self._names)) / self.fps

    def find_end(self) -> float:
        """Returns the time at which the last picture ends."""
        return self.start_second + len(self._names) / self.fps

    def release_buffers(self) -> None:
        """Frees the pictures that are held."""
        self._held.clear()

    def close(self) -> None:
        """Frees the pictures that are held."""
        self._held.clear()

    def _index_at_or_after(self, moment: Fraction) -> int:
        """Returns the index of the first picture at or after a time; it may be out of range."""
        return math.ceil((moment - Fraction(self.start_second)) * EXTRACTED_FPS)

    def _find(self, indices: np.ndarray) -> Sequence[Picture]:
        """Finds pictures by index, clamped at both ends, and keeps those for later clips."""
        wanted = indices.clip(0, len(self._names) - 1).tolist()
        self._send_until(max(wanted))
        first = min(wanted)
        self._held = {index: picture for index, picture in self._held.items() if index >= first}
        for index in wanted:
            if index not in self._held:
                self._held[index] = _FolderPicture(self, index)
        return [self._held[index] for index in wanted]

    def _send_until(self, last: int) -> None:
        """Calls the subscriber for the pictures up to index `last`, which are read when used."""
        while self._on_frame is not None and self._next_index <= min(last, len(self._names) - 1):
            self._on_frame(_FolderPicture(self, self._next_index))
            self._next_index += 1

    @property
    def notes(self) -> Sequence[str]:
        """Returns what was changed to read the pictures, see `FrameReader.notes`."""
        return self._notes

    def _load(self, index: int) -> np.ndarray:
        """Reads a picture as uint8 RGB [H, W, 3], fitted into the size of the first."""
        picture = self._decode(index)
        size = picture.shape[1], picture.shape[0]
        if size == self.stored_size:
            return picture
        if not self._notes:
            square = Fraction(1)
            change = describe_change((*self.stored_size, square), (*size, square), index / self.fps)
            self._notes.append(change)
        return fit_picture(picture, size, self.stored_size)

    def _decode(self, index: int) -> np.ndarray:
        """Reads a picture as it is."""
        path = self.path / self._names[index]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise VideoError(f"{path}: cannot be read ({error.strerror})") from None
        whole = not content.startswith(b"\xff\xd8") or content.rstrip(b"\0").endswith(b"\xff\xd9")
        picture: np.ndarray | None = (
            cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
            if whole and content
            else None
        )
        if picture is None:
            raise VideoError(f"{path}: expected a whole JPEG or PNG picture")
        return picture


class _FolderPicture:
    """Holds the place of a picture that stays on disk until its content is asked for."""

    num_bytes = 0

    def __init__(self, folder: FrameFolder, index: int):
        self.seconds = folder.start_second + index / folder.fps
        self.derived: dict[Any, np.ndarray] = {}
        self._folder = folder
        self._index = index
        self._rgb: dict[int | None, np.ndarray] = {}

    def rgb(self, short_side: int | None, color: str = TAGGED, stored: bool = False) -> np.ndarray:
        """Reads the picture as uint8 RGB [H, W, 3], once for each size."""
        if short_side not in self._rgb:
            self._rgb[short_side] = resize_short_side(self._folder._load(self._index), short_side)
        return self._rgb[short_side]

    def planes(self, matrix: str) -> np.ndarray:
        """Reads the picture as planes, see planes.py."""
        return rgb_to_planes(self.rgb(None), matrix)


def _find_pictures(folder: Path) -> list[str]:
    """Returns the file names by their numbers; raises VideoError for a missing number."""
    numbered = [
        (int(match[2]), match[1], match[0])
        for match in map(PICTURE.fullmatch, os.listdir(folder))
        if match and not match[0].startswith(".")  # what macOS leaves beside files
    ]
    if not numbered:
        raise VideoError(f"{folder}: holds no numbered pictures (such as {folder.name}_000001.jpg)")
    numbered.sort()
    first = numbered[0][0]
    for expected, (number, name, _) in enumerate(numbered, start=first):
        if number != expected or name != numbered[0][1]:
            raise VideoError(
                f"{folder}: picture {expected} is missing or there twice, "
                f"found {name}{number} in its place"
            )
    if first > 1:
        raise VideoError(f"{folder}: expected pictures from number 1, found the first at {first}")
    return [name for _, _, name in numbered]
