"""Links the detections of one video to tubes by any of the linkers.

Detections have times and fractions of the frame, tubes have frame numbers and pixels. Keyframes may
be dense or every n-th frame: the linkers then see the keyframes one after the other, and the frames
in between are interpolated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, gcd

import numpy as np

from ava_det.formats.tubes import Tube
from ava_det.formats.tubes.frame_table import VideoFrames
from ava_det.linking.greedy import MIN_FRAMES, link_as_mmaction2, link_greedily
from ava_det.linking.track_tubes import (
    DEFAULT_RULE,
    TrackCollector,
    TrackedFrame,
    TrackRule,
)
from ava_det.linking.tube import LinkedTube, interpolate_rows
from ava_det.linking.viterbi import link_by_viterbi
from ava_det.structures import Detections
from ava_det.tracking.linker import TrackLinker


@dataclass(frozen=True)
class LinkingOptions:
    """Says how detections become tubes.

    Attributes:
        method: tracks, act, mmaction2 or yowo.
        columns: The action columns that have labels: the n-th of them is label n, from 0.
        every: Frames from one keyframe to the next, for all methods but tracks.
        start_second: Annotation time of the first frame, in seconds.
        min_frames: Shorter tubes are left out; not for yowo, whose tubes are as long as the video.
        rule: Of tracks; its `min_frames` is not read.
        last_score: Of mmaction2: the score of the last detection of the whole list.
    """

    method: str
    columns: Sequence[int]
    every: int = 1
    start_second: float = 0.0
    min_frames: int = MIN_FRAMES
    rule: TrackRule = DEFAULT_RULE
    last_score: float = 0.0


def link_video(
    detections: Iterable[Detections], video: VideoFrames, options: LinkingOptions
) -> Iterator[Tube]:
    """Links the detections of one video.

    Args:
        detections: Of its keyframes, in order of time.
        video: Its rate and size.
        options: How.

    Yields:
        Tubes with scores, cut to the frames of the video.

    Raises:
        ValueError: Two keyframes are on one frame, or a keyframe is not on the grid of `every`.
    """
    linked = (
        link_persons(detections, video, options)
        if options.method == "tracks"
        else _link_classes(detections, video, options)
    )
    for label, tube in linked:
        rows = tube.rows[tube.rows[:, 0] <= video.num_frames]
        if len(rows):
            frames = rows[:, 0].astype(np.int64)
            yield Tube(video.name, label, frames, rows[:, 1:5], tube.score, rows[:, 5])


class PersonLinker:
    """Links the persons of one video as they are detected, and gives tubes as tracks end.

    Args:
        video: Its rate and size.
        options: `columns`, `start_second`, `min_frames` and `rule` are read.
    """

    def __init__(self, video: VideoFrames, options: LinkingOptions) -> None:
        self._video = video
        self._options = options
        self._linker = TrackLinker()
        rule = options.rule._replace(min_frames=options.min_frames)
        self._collector = TrackCollector(rule)

    def add(self, detections: Detections) -> list[tuple[int, LinkedTube]]:
        """Adds a keyframe, with its own track ids where it has them; see `TrackCollector.add`."""
        if detections.track_ids is None:
            detections = self._linker.link(detections)
        assert detections.track_ids is not None
        frame = find_frame(detections, self._video, self._options.start_second)
        scores = detections.action_scores.cpu().numpy()[:, list(self._options.columns)]
        boxes = scale_to_pixels(detections, self._video)
        return self._collector.add(
            TrackedFrame(frame, detections.track_ids.cpu().numpy(), boxes, scores)
        )

    def finish(self) -> list[tuple[int, LinkedTube]]:
        """Ends the video, see `TrackCollector.finish`."""
        return self._collector.finish()


def link_persons(
    detections: Iterable[Detections], video: VideoFrames, options: LinkingOptions
) -> Iterator[tuple[int, LinkedTube]]:
    """Links persons by track ids, see `PersonLinker`; yields label and tube."""
    linker = PersonLinker(video, options)
    for keyframe in detections:
        yield from linker.add(keyframe)
    yield from linker.finish()


def find_frame(detections: Detections, video: VideoFrames, start_second: float) -> int:
    """Returns the number, from 1, of the frame of a keyframe."""
    return video.find_frame(detections.keyframe.timestamp - start_second)


def find_frames(
    keyframes: Sequence[Detections], video: VideoFrames, start_second: float
) -> list[int]:
    """Returns the numbers, from 1, of the frames of a video's keyframes, in order of time.

    Raises:
        ValueError: Two of them are on one frame, or one is before the video or more than a second
            after its end.
    """
    numbers = [find_frame(keyframe, video, start_second) for keyframe in keyframes]
    last = video.num_frames + round(video.fps)
    for number, keyframe in zip(numbers, keyframes, strict=True):
        if not 1 <= number <= last:
            raise ValueError(
                f"linking: expected keyframes on the {video.num_frames} frames of "
                f"{video.video_id}, {float(video.fps):g} a second from second {start_second:g} on "
                f"(--start-second), found one at {keyframe.keyframe.timestamp:g} s"
            )
    for (before, first), (after, second) in pairwise(zip(numbers, keyframes, strict=True)):
        if before == after:
            times = [keyframe.keyframe.timestamp for keyframe in (first, second)]
            raise ValueError(
                f"linking: expected one keyframe a frame, found those of {video.video_id} at "
                f"{times[0]:g} and {times[1]:g} s, both on frame {before}"
            )
    return numbers


def scale_to_pixels(detections: Detections, video: VideoFrames) -> np.ndarray:
    """Returns the boxes in pixels of the video, float64 [N, 4]."""
    size = np.array([video.width, video.height] * 2, dtype=np.float64)
    boxes: np.ndarray = detections.boxes.cpu().double().numpy() * size
    return boxes


def find_stride(frames: Iterable[int]) -> int:
    """Returns the largest step between keyframes that fits all of them; 1 for a single one."""
    numbers = sorted(set(frames))
    return gcd(*np.diff(numbers).tolist()) or 1 if len(numbers) > 1 else 1


def _link_classes(
    detections: Iterable[Detections], video: VideoFrames, options: LinkingOptions
) -> Iterator[tuple[int, LinkedTube]]:
    """Links the boxes of each class by themselves; yields label and tube."""
    steps = _place_on_grid(detections, video, options)
    if not steps:
        return
    first = min(steps)
    offset = (first - 1) % options.every + 1  # the first frame of the grid
    grid = range(offset, max(video.num_frames, max(steps)) + 1, options.every)
    min_steps = ceil(options.min_frames / options.every)
    nothing = np.zeros((0, 5))
    for label, column in enumerate(options.columns):
        frames = [
            _choose_boxes(*steps[frame], column, options) if frame in steps else nothing
            for frame in grid
        ]
        if not any(map(len, frames)):
            continue
        tubes: Iterable[LinkedTube]
        if options.method == "yowo":
            tubes = link_by_viterbi(frames)
        elif options.method == "act":
            tubes = link_greedily(frames, min_frames=min_steps)
        else:
            tubes = link_as_mmaction2(frames, options.last_score, min_steps)
        for tube in tubes:
            rows = tube.rows.copy()
            rows[:, 0] = offset + (rows[:, 0] - 1) * options.every
            rows = interpolate_rows(rows)
            if options.method == "yowo" or len(rows) >= options.min_frames:
                yield label, tube._replace(rows=rows)


def _place_on_grid(
    detections: Iterable[Detections], video: VideoFrames, options: LinkingOptions
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Returns boxes [N, 4] in pixels and scores [N, C] by frame."""
    steps: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for keyframe in detections:
        frame = find_frame(keyframe, video, options.start_second)
        if frame in steps or (steps and (frame - next(iter(steps))) % options.every):
            raise ValueError(
                f"linking: expected keyframes of {video.video_id} {options.every} frames apart, "
                f"found one at frame {frame}, {keyframe.keyframe.timestamp:g} s"
            )
        scores = keyframe.action_scores.cpu().numpy()
        steps[frame] = scale_to_pixels(keyframe, video), scores
    return steps


def _choose_boxes(
    boxes: np.ndarray, scores: np.ndarray, column: int, options: LinkingOptions
) -> np.ndarray:
    """Returns boxes and scores [M, 5] of a class; by mmaction2 those whose best class it is.

    A score of 0 stands for a row that a file does not have.
    """
    rows = np.concatenate([boxes, scores[:, [column]]], axis=1)
    if options.method == "mmaction2":
        columns = list(options.columns)
        rows = rows[scores[:, columns].argmax(axis=1) == columns.index(column)]
    return rows[rows[:, 4] > 0]
