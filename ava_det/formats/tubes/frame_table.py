"""Reads and writes what turns times into frames: a CSV of each video's rate, length and size.

    video_id,name,fps,num_frames,width,height
    v_abc_c001,aerobic_gymnastics/v_abc_c001,25,500,1280,720

Annotations and results of a network have times in seconds and boxes in fractions; tubes have frames
from 1 and pixels. `name` is the video's name in files of tubes. Frame n has the time
`data.start_second` + (n - 1) / fps; fps may be a fraction such as 30000/1001.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from ava_det.files import write_text

COLUMNS = ("video_id", "name", "fps", "num_frames", "width", "height")


class VideoFrames(NamedTuple):
    """Describes the frames of one video.

    Attributes:
        video_id: Its id in annotations.
        name: Its name in files of tubes.
        fps: Frames a second, exact.
        num_frames: Their number.
        width: Pixels.
        height: Pixels.
    """

    video_id: str
    name: str
    fps: Fraction
    num_frames: int
    width: int
    height: int

    def find_frame(self, seconds: float) -> int:
        """Returns the number, from 1, of the frame nearest to a time since the first frame."""
        return round(seconds * float(self.fps)) + 1

    def find_seconds(self, frame: int) -> float:
        """Returns the time of a frame since the first, rounded to microseconds."""
        return round(float((frame - 1) / self.fps), 6)


def write_frame_table(path: str | Path, videos: Iterable[VideoFrames]) -> None:
    """Writes the table, whole or not at all."""
    lines = [",".join(COLUMNS)]
    for video in videos:
        for text in (video.video_id, video.name):
            if any(sign in text for sign in ',"\n'):
                raise ValueError(f"{path}: expected video names without commas, received {text!r}")
        lines.append(",".join(str(value) for value in video))
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_frame_table(path: str | Path) -> dict[str, VideoFrames]:
    """Reads the table by video id.

    Raises:
        ValueError: A line is of another form; the sentence names it.
    """
    videos: dict[str, VideoFrames] = {}
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        if tuple(next(reader, ())) != COLUMNS:
            raise ValueError(f"{path}, line 1: expected the columns {','.join(COLUMNS)}")
        for row in filter(None, reader):  # an editor leaves blank lines
            where = f"{path}, line {reader.line_num}"
            try:
                video_id, name, fps, *numbers = row
                count, width, height = (int(number) for number in numbers)
                video = VideoFrames(video_id, name, Fraction(fps), count, width, height)
            except (ValueError, ZeroDivisionError):
                raise ValueError(
                    f"{where}: expected two names, a rate and three whole numbers, "
                    f"found {','.join(row)}"
                ) from None
            if min(count, width, height) <= 0 or video.fps <= 0:
                raise ValueError(f"{where}: expected positive numbers, found {','.join(row)}")
            if video_id in videos:
                raise ValueError(f"{where}: expected each video once, found {video_id} again")
            videos[video_id] = video
    return videos
