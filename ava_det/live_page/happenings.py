"""Finds when actions begin and end while they happen, and holds those that last only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ava_det.formats.keyframe_records import KeyframeRecord


class Happenings:
    """Turns keyframes into the begin and the end of each person's actions.

    An action begins on the first keyframe that has it, and ends at the last one: the rule of
    ava_det/segments without gaps, for a source that has no end.
    """

    def __init__(self) -> None:
        self._going: dict[tuple[int, int], dict[str, Any]] = {}
        self._next_id = 1

    def add(self, record: KeyframeRecord) -> Iterator[dict[str, Any]]:
        """Takes the next keyframe, and yields what begins, goes on or ends.

        Yields:
            id, track, action_id, action, start, end (of the last keyframe that has it), score (the
            highest) and is_going.
        """
        seen = set()
        for person in record.persons:
            for action in person.actions:
                key = (person.track_id or 0, action.action_id)
                seen.add(key)
                event = self._going.get(key)
                if event is None:
                    event = {
                        "id": self._next_id,
                        "track": key[0],
                        "action_id": action.action_id,
                        "action": action.name,
                        "start": record.time,
                        "score": action.score,
                        "is_going": True,
                    }
                    self._going[key] = event
                    self._next_id += 1
                event["end"] = record.time
                event["score"] = max(event["score"], action.score)
                yield dict(event)
        for key in [key for key in self._going if key not in seen]:
            yield {**self._going.pop(key), "is_going": False}
