"""Turns ground truth of tubes, as UCF101-24, JHMDB and MultiSports have it, into labeled boxes.

A tube is one action of one person with a box in every frame; frames count from 1. Tubes with equal
boxes on a keyframe are one person who does several things. `ava-det prepare-tubes` makes data sets
of every frame of the same files, for the protocols of these data sets; this makes keyframes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from ava_det.formats.tubes import TubeTruth
from ava_det.interchange.clock import FrameClock, VideoClocks
from ava_det.interchange.corners import check_shape
from ava_det.interchange.labeled import Corners, LabeledBox
from ava_det.interchange.pictures import video_of_name
from ava_det.messages.counts import format_count
from ava_det.video.reader import VideoError

# what may differ between two counts of a file's frames
OTHER_FRAMES = 2
OTHER_SHARE = 0.02


def boxes_from_tubes(
    truth: TubeTruth, clocks: VideoClocks, every: float, left_out: Counter[str], notes: list[str]
) -> list[LabeledBox]:
    """Returns the persons on the keyframes of the videos that are at hand.

    Args:
        truth: The ground truth.
        clocks: The clocks of the videos.
        every: Seconds between keyframes.
        left_out: Gets the count of boxes that are none.
        notes: Gets sentences for the user: videos that are missing or have other frames.

    Raises:
        ValueError: Two videos have the same id, or a video has another shape.
        VideoError: No video is at hand.
    """
    names: dict[str, str] = {}
    for name in dict.fromkeys([*truth.num_frames, *truth.tubes]):
        if name not in truth.num_frames:
            raise ValueError(f"{truth.path}: expected an entry of nframes for {name!r} of gttubes")
        other = names.setdefault(video_of_name(name), name)
        if other != name:
            raise ValueError(
                f"{truth.path}: expected names of their own, found {other} and {name}, both video "
                f"{video_of_name(name)}"
            )
    missing = [video_id for video_id in names if not clocks.has(video_id)]
    if len(missing) == len(names):
        raise VideoError(f"{truth.path}: expected videos of it, such as {missing[0]}, found none")
    if missing:
        notes.append(
            f"{truth.path}: {format_count(len(missing), 'video')} missing, such as {missing[0]}"
        )
    boxes: list[LabeledBox] = []
    unlike = []
    for video_id in sorted(set(names) - set(missing)):
        name = names[video_id]
        clock = clocks.find(video_id, truth.path, truth.num_frames[name] - 1)
        found, expected = len(clock.seconds), truth.num_frames[name]
        if abs(found - expected) > max(OTHER_FRAMES, OTHER_SHARE * expected):
            unlike.append(f"{clock.name} has {found}, expected {expected}")
        boxes += _boxes_of_video(truth, name, video_id, clock, every, left_out)
    if unlike:
        notes.append(
            f"{truth.path}: another number of frames in {format_count(len(unlike), 'video')}, "
            f"so that boxes may be on other frames: {unlike[0]}"
        )
    return boxes


def _boxes_of_video(
    truth: TubeTruth,
    name: str,
    video_id: str,
    clock: FrameClock,
    every: float,
    left_out: Counter[str],
) -> Iterable[LabeledBox]:
    where = f"{truth.path}: {name}"
    height, width = truth.resolution[name]
    check_shape(where, (width, height), clock)
    keyframes = clock.choose_keyframes(every, range(len(clock.seconds)))
    scale = 1 / np.array([width, height] * 2)
    persons: dict[tuple[float, Corners], tuple[int, dict[str, None]]] = {}
    for number, tube in enumerate(truth.tubes.get(name, ())):
        lacking = int((tube.frames > len(clock.seconds)).sum())
        left_out["box on a frame that its video lacks"] += lacking
        chosen = np.isin(tube.frames - 1, list(keyframes))
        boxes = (tube.boxes[chosen].astype(np.float64) * scale).clip(0, 1)
        seen = [
            (keyframes[frame], (x1, y1, x2, y2))
            for frame, (x1, y1, x2, y2) in zip(
                (tube.frames[chosen] - 1).tolist(), boxes.tolist(), strict=True
            )
            if x1 < x2 and y1 < y2
        ]
        left_out["box without an area within the frame"] += len(boxes) - len(seen)
        person = next((persons[one][0] for one in seen if one in persons), number)
        for one in seen:
            persons.setdefault(one, (person, {}))[1][truth.labels[tube.label]] = None
    for (timestamp, corners), (person, actions) in persons.items():
        yield LabeledBox(video_id, timestamp, corners, tuple(actions), person, where)
