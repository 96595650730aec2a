"""Turns a task of Label Studio into labeled boxes: its keyframes, persons and actions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import replace

from ava_det.interchange.clock import FrameClock
from ava_det.interchange.cvat_actions import names_a_person
from ava_det.interchange.label_studio import StudioTask, StudioTrack
from ava_det.interchange.labeled import Corners, LabeledBox


def boxes_from_studio(
    task: StudioTask, clock: FrameClock, every: float | None, person: str, ignored: Collection[str]
) -> list[LabeledBox]:
    """Returns the persons on the keyframes of a task.

    Label Studio counts frames at the rate that its labeling configuration has, so frames are found
    by their time: frame n is at (n - 1) / rate.

    Args:
        task: The task; gets the count of spans that could not be given to a person.
        clock: The clock of its video.
        every: Seconds between keyframes; None for the frames on which somebody drew a box.
        person: The label that is no action, and the name of the text that says who a person is.
        ignored: Labels and choices that are no actions; tracks with such labels only are left out.
    """
    rate = task.rate

    def shown_as(frame: int) -> int:
        """The number that Label Studio gives to a frame of the video."""
        if rate is None:
            return frame + 1
        return round(float(clock.seconds[frame] - clock.seconds[0]) * rate) + 1

    tracks = [track for track in task.tracks if not set(track.labels) & set(ignored)]
    if every is None:
        start = float(clock.seconds[0])
        drawn = {box.frame for track in tracks for box in track.boxes if box.is_drawn}
        frames = {
            number: (
                number - 1
                if rate is None
                else clock.frame_showing(start + (number - 1) / rate, task.where)
            )
            for number in drawn
        }
        moments = {number: clock.second_of(frame) for number, frame in sorted(frames.items())}
    else:
        chosen = clock.choose_keyframes(every, range(len(clock.seconds)))
        moments = {shown_as(frame): timestamp for frame, timestamp in chosen.items()}
    numbers = sorted(moments)
    present: dict[int, list[LabeledBox]] = {number: [] for number in numbers}
    for track, person_id in zip(tracks, _number_persons(tracks, person), strict=True):
        actions = _actions_of(track, person, ignored)
        for number in _numbers_of(track, numbers):
            corners = box_at(track, number)
            if corners is not None:
                present[number].append(
                    LabeledBox(
                        task.video_id, moments[number], corners, actions, person_id, track.where
                    )
                )
    return [
        box
        for number, boxes in present.items()
        for box in _with_spans(boxes, number, task, ignored)
    ]


def _numbers_of(track: StudioTrack, numbers: list[int]) -> list[int]:
    """Returns those of ascending frames on which a track may be, from its first box on."""
    if not track.boxes:
        return []
    last = track.boxes[-1]
    end = len(numbers) if last.stays else bisect_right(numbers, last.frame)
    return numbers[bisect_left(numbers, track.boxes[0].frame) : end]


def box_at(track: StudioTrack, number: int) -> Corners | None:
    """Returns the box on a frame, counted from 1, between two given ones on a straight line.

    None where the track is away.
    """
    after = bisect_right(track.boxes, number, key=lambda box: box.frame)
    if not after:
        return None
    box = track.boxes[after - 1]
    if box.frame == number:
        return box.corners
    if not box.stays:
        return None
    if after == len(track.boxes):
        return box.corners
    following = track.boxes[after]
    share = (number - box.frame) / (following.frame - box.frame)
    x1, y1, x2, y2 = (
        one + share * (other - one)
        for one, other in zip(box.corners, following.corners, strict=True)
    )
    return x1, y1, x2, y2


def _actions_of(track: StudioTrack, person: str, ignored: Collection[str]) -> tuple[str, ...]:
    labels = [label for label in track.labels if not names_a_person(label, person)]
    return tuple(name for name in dict.fromkeys([*labels, *track.choices]) if name not in ignored)


def _number_persons(tracks: list[StudioTrack], person: str) -> list[int]:
    """Numbers the tracks' persons: by the text that names them, a track without one by itself."""
    names = [track.texts.get(person, "").strip() for track in tracks]
    number_of = {
        name: int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 10
    }
    following = max(number_of.values(), default=-1) + 1
    ids = []
    for name in names:
        if not name or name not in number_of:
            number_of[name] = following
            following += 1
        ids.append(number_of[name])
    return ids


def _with_spans(
    present: list[LabeledBox], number: int, task: StudioTask, ignored: Collection[str]
) -> list[LabeledBox]:
    """Gives labels of spans of time to the only person of a keyframe."""
    names = [
        name for first, last, name in task.spans if first <= number <= last and name not in ignored
    ]
    if names and len(present) == 1:
        actions = tuple(dict.fromkeys([*present[0].actions, *names]))
        return [replace(present[0], actions=actions)]
    if names:
        task.left_out["timeline label on a keyframe with other than one person"] += len(names)
    return present
