"""Converts frame numbers to seconds and back, for one video.

It uses the video's real presentation times, or a constant rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ava_det.video.folder import open_video
from ava_det.video.reader import VideoError
from ava_det.video.sources import find_videos

# days of video: a frame beyond is a mistake, and would fill the memory with times
MAX_FRAMES = 10_000_000


@dataclass(frozen=True)
class FrameClock:
    """Holds the times of the frames of one video.

    Attributes:
        name: The video's name, for messages.
        seconds: float64 [F], annotation time of frame 0, 1, ..., in seconds.
        size: Width and height of the upright picture, in the file's pixels; None where unknown.
    """

    name: str
    seconds: np.ndarray
    size: tuple[int, int] | None = None

    def frame_at(self, moment: float) -> int:
        """Returns the frame nearest to a moment, the earlier of two equally near.

        It is the frame that is read for this timestamp.
        """
        return nearest(self.seconds, moment)

    def frame_showing(self, moment: float, where: str) -> int:
        """Returns the frame nearest to a moment that somebody annotated.

        Raises:
            ValueError: The moment lies more than a second before or after the video.
        """
        frame = self.frame_at(moment)
        if abs(float(self.seconds[frame]) - moment) > 1.0:  # as VideoReader.require has it
            raise ValueError(
                f"{where}: expected a second of {self.name}, {self.seconds[0]:g}.."
                f"{self.seconds[-1]:g}, found {moment:g} "
                "(--start-second is the annotation time of the first frame)"
            )
        return frame

    def second_of(self, frame: int) -> float:
        """Returns the annotation time of a frame, to the microsecond.

        Raises:
            ValueError: The video does not have the frame.
        """
        if not 0 <= frame < len(self.seconds):
            raise ValueError(
                f"{self.name} has the frames 0..{len(self.seconds) - 1}, found frame {frame}"
            )
        return round(float(self.seconds[frame]), 6)

    def choose_keyframes(self, every: float, frames: Sequence[int]) -> dict[int, float]:
        """Chooses frames that show the moments `every` seconds apart, from the first frame on.

        The timestamp is the moment itself where no other frame of the video is nearer to it. Where
        `frames` are some only (every tenth of the video), the nearest of them is taken, at its own
        time. Moments before the first of `frames` or after the last have no keyframe.

        Args:
            every: Seconds between keyframes.
            frames: Frame numbers to choose from, ascending.

        Returns:
            Frame -> timestamp.
        """
        listed = np.asarray(frames, dtype=np.int64)
        times = self.seconds[listed]
        if not len(times):
            return {}
        spaced = times if len(times) > 1 else self.seconds
        reach = float(np.median(np.diff(spaced))) / 2 if len(spaced) > 1 else 0.0
        chosen: dict[int, tuple[tuple[bool, float], float]] = {}
        for step in range(int((times[-1] + reach - self.seconds[0]) // every) + 1):
            moment = round(float(self.seconds[0]) + step * every, 6)
            at = nearest(times, moment)
            if abs(times[at] - moment) > reach + 1e-6:
                continue
            frame = int(listed[at])
            shows = self.frame_at(moment) == frame
            timestamp = moment if shows else self.second_of(frame)
            # of several moments of one frame, the nearest that it shows
            rank = not shows, abs(timestamp - float(self.seconds[frame]))
            chosen[frame] = min(chosen.get(frame, (rank, timestamp)), (rank, timestamp))
        return {frame: timestamp for frame, (_, timestamp) in sorted(chosen.items())}


def nearest(times: np.ndarray, moment: float) -> int:
    """Returns the index of the time nearest to a moment, the earlier of two equally near.

    Args:
        times: float64 [F], ascending.
        moment: In the same unit.
    """
    after = int(np.clip(np.searchsorted(times, moment), 1, max(len(times) - 1, 1)))
    return (
        after - 1
        if len(times) == 1 or moment - times[after - 1] <= times[after] - moment
        else after
    )


def read_clock(video: str | Path, start_second: float) -> FrameClock:
    """Reads the clock of a video file, which is decoded once to its end.

    Args:
        video: The file.
        start_second: Annotation time, in seconds, of the video's first frame.
    """
    with open_video(video, start_second) as reader:
        return FrameClock(str(video), reader.frame_seconds(), reader.stored_size)


def constant_clock(name: str, fps: float, num_frames: int, start_second: float) -> FrameClock:
    """Returns the clock of a video without its file: frame n is at start_second + n / fps."""
    return FrameClock(name, start_second + np.arange(num_frames) / fps)


class VideoClocks:
    """Finds the clocks of many videos: of the files in a folder, or at a constant rate.

    Each file is decoded at most once.

    Args:
        folder: The folder of the videos; None where they are not at hand.
        fps: Their frame rate without a folder; None where it is not known.
        start_second: Annotation time, in seconds, of a video's first frame.
    """

    def __init__(self, folder: Path | None, fps: float | None, start_second: float) -> None:
        self._videos = {} if folder is None else find_videos(folder)
        self._folder = folder
        self._fps = fps
        self._start_second = start_second
        self._clocks: dict[str, FrameClock] = {}
        self._ends: dict[str, float] = {}

    def choose(self, candidates: Sequence[str], where: str) -> str:
        """Returns the first of several video ids of which there is a video.

        Args:
            candidates: A single one is not looked up.
            where: The place that asks, for messages.

        Raises:
            ValueError: The videos are not at hand.
            VideoError: The folder has none of them.
        """
        if len(candidates) == 1:
            return candidates[0]
        if self._folder is None:
            raise ValueError(
                f"{where}: expected the videos (--videos) to tell of which one this is a frame"
            )
        found = next(filter(self.has, candidates), None)
        if found is not None:
            return found
        raise VideoError(
            f"{where}: expected a frame of a video in {self._folder}, called by the name or the "
            f"folder of the picture or of the file that lists it ({', '.join(candidates)}), found "
            "none"
        )

    def has(self, video_id: str) -> bool:
        """Returns whether there is such a video; without a folder there is any."""
        return self._folder is None or video_id in self._videos

    def find(self, video_id: str, where: str, last_frame: int = 0) -> FrameClock:
        """Returns the clock of a video.

        Args:
            video_id: The video.
            where: The place that asks, for messages.
            last_frame: The frame that a clock without video must reach.

        Raises:
            ValueError: Neither videos nor a rate were given.
            VideoError: The folder lacks this video.
        """
        if last_frame >= MAX_FRAMES:
            raise ValueError(
                f"{where}: expected frame numbers below {MAX_FRAMES}, found {last_frame}"
            )
        if self._fps is not None:
            return constant_clock(video_id, self._fps, last_frame + 1, self._start_second)
        if self._folder is None:
            raise ValueError(
                f"{where}: expected the videos (--videos) or their frame rate (--fps) to tell "
                "the time"
            )
        if video_id not in self._clocks:
            self._clocks[video_id] = read_clock(self._file_of(video_id, where), self._start_second)
        return self._clocks[video_id]

    def require(self, video_id: str, where: str, second: float) -> None:
        """Checks that a video has a moment, give or take a second, where the videos are at hand.

        Args:
            video_id: The video, of which the header or the last frames are read once.
            where: Who asks, for messages.
            second: The moment, as annotations count it.

        Raises:
            VideoError: The folder lacks the video.
            ValueError: The moment lies outside it.
        """
        if self._folder is None:
            return
        if video_id not in self._ends:
            with open_video(self._file_of(video_id, where), self._start_second) as reader:
                self._ends[video_id] = reader.find_end()
        first, last = self._start_second, self._ends[video_id]
        if not first - 1 <= second <= last + 1:  # as FrameReader.require has it
            raise ValueError(
                f"{where}: expected a second of {self._videos[video_id]}, {first:g}..{last:.1f}, "
                f"found {second:g} "
                "(--start-second is the annotation time of the first frame)"
            )

    def _file_of(self, video_id: str, where: str) -> Path:
        if video_id not in self._videos:
            raise VideoError(f"{where}: expected a video {video_id} in {self._folder}, found none")
        return self._videos[video_id]
