"""Finds segments by hysteresis: an action of a person begins at one score and ends at another.

It begins at the first keyframe with a score of at least `on`, lasts while the score is at least
`off`, and ends at the last such keyframe. So both ends are times of keyframes, at which the score
was measured, and a segment of one keyframe has length 0. A keyframe on which the person is not seen
ends the segment too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ava_det.formats.keyframe_records import KeyframeRecord

SLACK = 1e-6  # seconds: times are rounded to so much


@dataclass(frozen=True, slots=True)
class Segment:
    """Holds a stretch of time in which a person did something.

    Attributes:
        video: The video id.
        track: The track id of the person.
        action: Name of the action.
        action_id: Its 1-based id.
        start: Time of its first keyframe, in seconds since the first frame of the file.
        end: Time of its last keyframe, likewise; equal to `start` where there is one keyframe.
        mean: Mean score of its keyframes.
        max: Highest score of its keyframes.
        frames: Number of its keyframes; those of a gap that was closed do not count.
    """

    video: str
    track: int
    action: str
    action_id: int
    start: float
    end: float
    mean: float
    max: float
    frames: int

    @property
    def duration(self) -> float:
        """Returns the seconds from its first to its last keyframe."""
        return self.end - self.start


@dataclass(frozen=True)
class SegmentRules:
    """Says what a segment is.

    Attributes:
        on: By 1-based action id, the score at which an action begins; other actions are left out.
        off: By 1-based action id, the score under which it ends; `on` for ids that are not here.
        max_gap: Segments of a person and action at most so many seconds apart, from the end of one
            to the start of the next, become one.
        min_duration: Shorter ones are left out, in seconds; after gaps are closed.

    Raises:
        ValueError: A score of `off` is higher than that of `on`, or a time is negative.
    """

    on: Mapping[int, float]
    off: Mapping[int, float]
    max_gap: float = 0.0
    min_duration: float = 0.0

    def __post_init__(self) -> None:
        for action_id, score in self.off.items():
            if score > self.on.get(action_id, score):
                raise ValueError(
                    f"segments: expected action {action_id} to end at a score of at most "
                    f"{self.on[action_id]:g}, at which it begins, received {score:g}"
                )
        for name, seconds in (("max_gap", self.max_gap), ("min_duration", self.min_duration)):
            if not seconds >= 0:
                raise ValueError(f"segments: expected {name} of 0 seconds or more, got {seconds}")

    def find_lowest(self) -> dict[int, float]:
        """Returns by action id the lowest score that matters: where it ends."""
        return {action_id: self.off.get(action_id, on) for action_id, on in self.on.items()}


_Key = tuple[str, int, int]  # video, track, action id


class SegmentFinder:
    """Finds the segments of keyframes that come one by one, in order of time for each video.

    Args:
        rules: What a segment is.
    """

    def __init__(self, rules: SegmentRules) -> None:
        self._rules = rules
        self._lowest = rules.find_lowest()
        self._open: dict[_Key, Segment] = {}
        self._ended: dict[_Key, Segment] = {}  # may still be joined with the next one
        self._done: list[Segment] = []
        self._videos: dict[str, int] = {}

    def add(self, record: KeyframeRecord) -> None:
        """Takes the next keyframe.

        Raises:
            ValueError: A person has no track id.
        """
        self._videos.setdefault(record.video, len(self._videos))
        going: set[_Key] = set()
        for person in record.persons:
            if person.track_id is None:
                raise ValueError(
                    f"segments: expected a track id for each person, found none in "
                    f"{record.video!r} at {record.time:g} s"
                )
            for action in person.actions:
                key = (record.video, person.track_id, action.action_id)
                least = self._lowest if key in self._open else self._rules.on
                if action.score >= least.get(action.action_id, 2.0):
                    going.add(key)
                    self._extend(key, action.name, record.time, action.score)
        for key in [key for key in self._open if key[0] == record.video and key not in going]:
            self._ended[key] = self._open.pop(key)
        for key, segment in list(self._ended.items()):
            if key[0] == record.video and not self._is_near(segment.end, record.time):
                self._finish(self._ended.pop(key))

    def finish(self) -> list[Segment]:
        """Returns the segments of all keyframes: videos as they came, then by start and person."""
        for segment in (*self._ended.values(), *self._open.values()):
            self._finish(segment)
        self._ended.clear()
        self._open.clear()
        place = self._videos
        self._done.sort(key=lambda one: (place[one.video], one.start, one.track, one.action_id))
        return list(self._done)

    def _is_near(self, end: float, start: float) -> bool:
        return start - end <= self._rules.max_gap + SLACK

    def _extend(self, key: _Key, name: str, time: float, score: float) -> None:
        """Adds a keyframe to a segment; `mean` holds the sum of scores until the end."""
        old = self._open.get(key) or self._ended.pop(key, None)
        if old is not None and key not in self._open and not self._is_near(old.end, time):
            self._finish(old)
            old = None
        if old is None:
            self._open[key] = Segment(key[0], key[1], name, key[2], time, time, score, score, 1)
            return
        self._open[key] = replace(
            old,
            end=time,
            mean=old.mean + score,
            max=max(old.max, score),
            frames=old.frames + 1,
        )

    def _finish(self, segment: Segment) -> None:
        if segment.duration + SLACK >= self._rules.min_duration:
            self._done.append(replace(segment, mean=segment.mean / segment.frames))


def find_segments(records: Iterable[KeyframeRecord], rules: SegmentRules) -> list[Segment]:
    """Finds the segments of keyframes.

    Args:
        records: Keyframes, for each video in order of time: of a file (`read_records`) or of
            detections (`make_records`).
        rules: What a segment is.

    Returns:
        The segments: videos in the order of their first keyframes, then by start, track and action.

    Raises:
        ValueError: A person has no track id.
    """
    finder = SegmentFinder(rules)
    for record in records:
        finder.add(record)
    return finder.finish()
