"""Finds events in keyframes that come one by one; reads and writes nothing.

A condition holds from the first keyframe at which it was met, as long as every further keyframe
meets it, or the time between two that do is at most `max_gap`. The event happens at the first
keyframe at which the condition has held for `duration` and the last event is `cooldown` ago. A
condition that goes on makes no second event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ava_det.events.rules import Rule
from ava_det.formats.keyframe_records import KeyframeRecord, PersonRecord

SLACK = 1e-6  # seconds: times are rounded to so much


@dataclass(frozen=True)
class Event:
    """Describes something that happened.

    Attributes:
        rule: The rule.
        video: The video id.
        start: When its condition began to hold, in seconds since the first frame of the file.
        time: The keyframe at which it happened, likewise.
        timestamp: Annotation time of that keyframe in seconds.
        persons: The persons of that keyframe who met the condition.
    """

    rule: Rule
    video: str
    start: float
    time: float
    timestamp: float
    persons: tuple[PersonRecord, ...]


@dataclass
class _Streak:
    """Remembers since when a condition has held, and when it last made an event.

    Attributes:
        start: Of the streak; None where it does not hold.
        last: Its last keyframe.
        interrupted: Whether a keyframe after it did not meet the condition.
        fired: Whether it made its event.
        previous: Time of the last event.
    """

    start: float | None = None
    last: float = 0.0
    interrupted: bool = False
    fired: bool = False
    previous: float | None = None


_Key = tuple[int, str, int | None]  # rule, video, track; None for all persons together


class EventEngine:
    """Finds the events of rules, keyframe by keyframe.

    Args:
        rules: The rules.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._streaks: dict[_Key, _Streak] = {}

    def add(self, record: KeyframeRecord) -> list[Event]:
        """Takes the next keyframe of a video and returns what happened at it, by rule and person.

        Raises:
            ValueError: A rule looks at persons one by one, and one has no track id.
        """
        events: list[Event] = []
        for index, rule in enumerate(self._rules):
            found = [person for person in record.persons if rule.matches(person)]
            met: dict[int | None, list[PersonRecord]] = {}
            if rule.count is None:
                met = {_require_track(person, record): [person] for person in found}
            elif len(found) >= rule.count:
                met = {None: found}
            for track, persons in met.items():
                event = self._meet((index, record.video, track), rule, record, persons)
                if event is not None:
                    events.append(event)
            self._end_others(index, record, met)
        return events

    def _meet(
        self, key: _Key, rule: Rule, record: KeyframeRecord, persons: list[PersonRecord]
    ) -> Event | None:
        """Adds a keyframe that meets a condition; returns the event it makes, if any."""
        streak = self._streaks.setdefault(key, _Streak())
        if streak.interrupted and record.time - streak.last > rule.max_gap + SLACK:
            streak.start = None
        if streak.start is None:
            streak.start = record.time
            streak.fired = False
        streak.last = record.time
        streak.interrupted = False
        is_long = record.time - streak.start + SLACK >= rule.duration
        is_rested = (
            streak.previous is None or record.time - streak.previous + SLACK >= rule.cooldown
        )
        if streak.fired or not is_long or not is_rested:
            return None
        streak.fired = True
        streak.previous = record.time
        return Event(
            rule, record.video, streak.start, record.time, record.timestamp, tuple(persons)
        )

    def _end_others(
        self, index: int, record: KeyframeRecord, met: dict[int | None, list[PersonRecord]]
    ) -> None:
        """Ends what was not met for too long, and forgets what can have no effect any more."""
        rule = self._rules[index]
        for key, streak in list(self._streaks.items()):
            if key[:2] != (index, record.video) or key[2] in met:
                continue
            streak.interrupted = True
            if streak.start is not None and record.time - streak.last > rule.max_gap + SLACK:
                streak.start = None
            is_rested = streak.previous is None or record.time - streak.previous > rule.cooldown
            if streak.start is None and is_rested:
                del self._streaks[key]


def _require_track(person: PersonRecord, record: KeyframeRecord) -> int:
    if person.track_id is None:
        raise ValueError(
            f"events: expected a track id for each person, found none in {record.video!r} at "
            f"{record.time:g} s"
        )
    return person.track_id
