"""Chooses keyframes among the pictures of a file: of which video each is, and at which second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ava_det.interchange.clock import FrameClock, VideoClocks
from ava_det.interchange.corners import check_shape
from ava_det.interchange.pictures import Picture, PictureLabels

SAME_RATE = 0.01  # rates that differ by a smaller share are the same


class PictureKeyframe(NamedTuple):
    """Holds a keyframe; size: width and height of its picture, in pixels."""

    video_id: str
    timestamp: float
    size: tuple[int, int]


def choose_picture_keyframes(
    labels: PictureLabels,
    clocks: VideoClocks,
    every: float | None,
    first_frame: int,
    picture_fps: float | None,
) -> dict[int, PictureKeyframe]:
    """Chooses the pictures that are keyframes.

    Args:
        labels: The file; gets notes for the user.
        clocks: The clocks of the videos.
        every: Seconds between keyframes, of which those are taken that the pictures show; None for
            the pictures on which somebody drew a box.
        first_frame: The number of a video's first picture where the file does not say, 0 or 1.
        picture_fps: Pictures a second, where they are numbered at a rate of their own; None where a
            number is that of the video's frame, unless the file states another rate.

    Returns:
        By the picture's index.

    Raises:
        ValueError: A picture is no frame of its video.
    """
    by_video: dict[str, dict[int, int]] = {}
    for index, picture in enumerate(labels.pictures):
        video_id = clocks.choose(picture.videos, picture.where)
        by_video.setdefault(video_id, {})[index] = _count_from_zero(picture, first_frame)
    drawn = {box.picture for box in labels.boxes if box.is_drawn}
    keyframes = {}
    for video_id, numbers in by_video.items():
        clock = clocks.find(video_id, labels.path, max(numbers.values()))
        rate = picture_fps or _find_other_rate(labels, video_id, clock)
        shown = _find_frames(labels, numbers, clock, rate)
        if every is None:
            moments = {
                frame: clock.second_of(frame)
                for frame, index in sorted(shown.items())
                if index in drawn
            }
        else:
            moments = clock.choose_keyframes(every, sorted(shown))
        for frame, timestamp in moments.items():
            size = _size_of(labels.pictures[shown[frame]], clock)
            keyframes[shown[frame]] = PictureKeyframe(video_id, timestamp, size)
    _doubt_first_frame(labels, by_video, first_frame)
    return keyframes


def _count_from_zero(picture: Picture, first_frame: int) -> int:
    first = 0 if picture.is_index else first_frame
    if picture.number < first:
        raise ValueError(
            f"{picture.where}: expected frame numbers from {first} (--first-frame), "
            f"found {picture.number}"
        )
    return picture.number - first


def _find_other_rate(labels: PictureLabels, video_id: str, clock: FrameClock) -> float | None:
    """Returns the rate that the file states, where the video at hand has another one."""
    rate = labels.rates.get(video_id)
    length = float(clock.seconds[-1] - clock.seconds[0])
    if rate is None or clock.size is None or not length:
        return None
    found = (len(clock.seconds) - 1) / length
    if abs(rate / found - 1) < SAME_RATE:
        return None
    labels.notes.append(
        f"{labels.path}: expected {video_id} at {rate:g} frames a second, {clock.name} has "
        f"{found:g}: pictures are found by their time, not by their frame"
    )
    return rate


def _find_frames(
    labels: PictureLabels, numbers: Mapping[int, int], clock: FrameClock, rate: float | None
) -> dict[int, int]:
    """Finds the frames of one video that its pictures show.

    Args:
        labels: Gets the count of pictures that show no frame of their own.
        numbers: Picture index -> number from 0.
        clock: Of the video.
        rate: Numbers a second; None where they are frames of the video.

    Returns:
        Frame -> picture index.
    """
    shown: dict[int, int] = {}
    for index, number in numbers.items():
        where = labels.pictures[index].where
        if rate is not None:
            frame = clock.frame_showing(float(clock.seconds[0]) + number / rate, where)
        elif number < len(clock.seconds):
            frame = number
        else:
            raise ValueError(
                f"{where}: expected a frame of {clock.name}, 0..{len(clock.seconds) - 1}, found "
                f"{number} (--first-frame and --picture-fps say how pictures are numbered)"
            )
        if shown.setdefault(frame, index) != index:
            if rate is None:
                raise ValueError(
                    f"{where}: expected one picture of a frame, found two of frame {frame} of "
                    f"{clock.name}"
                )
            labels.left_out["picture of a frame that another one shows"] += 1
    return shown


def _size_of(picture: Picture, clock: FrameClock) -> tuple[int, int]:
    size = picture.size or clock.size
    if size is None:
        raise ValueError(f"{picture.where}: expected its width and height, or the videos")
    check_shape(picture.where, size, clock)
    return size


def _doubt_first_frame(
    labels: PictureLabels, by_video: Mapping[str, Mapping[int, int]], first_frame: int
) -> None:
    """Notes that numbers, of which nobody said where they begin, begin with 1 in every video."""
    is_sure = first_frame or any(picture.is_index for picture in labels.pictures)
    if not is_sure and all(min(numbers.values()) == 1 for numbers in by_video.values()):
        labels.notes.append(
            f"{labels.path}: frame numbers begin with 1: --first-frame 1 where that is the first "
            "frame of a video"
        )
