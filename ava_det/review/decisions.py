"""Holds what was decided on each segment, with undo and redo: a function of the steps alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

REJECTED = 0  # in place of an action id: the person does none of the actions


@dataclass(frozen=True)
class Step:
    """Holds what a person did once.

    Attributes:
        do: "decide", "undo" or "redo".
        segment: Number of the segment, from 0; only of "decide".
        action_id: What its person does, by 1-based id, or `REJECTED`; only of "decide".
    """

    do: str
    segment: int | None = None
    action_id: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Converts it to the object that `parse_step` reads."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def parse_step(value: Any, num_segments: int, action_ids: Collection[int], where: str) -> Step:
    """Parses a step, as pages send it and as the journal holds it.

    Args:
        value: The object.
        num_segments: How many segments there are.
        action_ids: The 1-based ids that a segment may have.
        where: Its place, for the sentence of an error.

    Raises:
        ValueError: It is no step, or one of another segment or action.
    """
    known = {"do", "segment", "action_id"}
    if not isinstance(value, dict) or not set(value) <= known:
        raise ValueError(f"{where}: expected an object with do, segment and action_id")
    do, segment, action_id = (value.get(key) for key in ("do", "segment", "action_id"))
    if do in ("undo", "redo") and len(value) == 1:
        return Step(do)
    if do != "decide":
        raise ValueError(f"{where}: expected do to be decide, undo or redo, received {do!r:.60}")
    if type(segment) is not int or not 0 <= segment < num_segments:
        raise ValueError(
            f"{where}: expected a segment from 0 to {num_segments - 1}, received {segment!r:.60}"
        )
    if type(action_id) is not int or (action_id != REJECTED and action_id not in action_ids):
        raise ValueError(
            f"{where}: expected an action id of the label map, or {REJECTED} for none, "
            f"received {action_id!r:.60}"
        )
    return Step(do, segment, action_id)


class Decisions:
    """Holds the decisions on segments, and takes steps.

    Args:
        num_segments: How many segments there are.

    Attributes:
        action_ids: Of each segment what its person does, by 1-based id; `REJECTED` for none of the
            actions, None where nothing was decided.
        num_steps: How many steps were taken.
    """

    def __init__(self, num_segments: int) -> None:
        self.action_ids: list[int | None] = [None] * num_segments
        self.num_steps = 0
        self._done: list[tuple[int, int | None, int | None]] = []  # segment, before, after
        self._undone: list[tuple[int, int | None, int | None]] = []

    def copy(self) -> Decisions:
        """Returns a copy, which takes steps of its own."""
        copied = Decisions(0)
        copied.action_ids = self.action_ids.copy()
        copied.num_steps = self.num_steps
        copied._done = self._done.copy()
        copied._undone = self._undone.copy()
        return copied

    @property
    def can_undo(self) -> bool:
        """Returns whether there is something to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Returns whether there is something to redo; a decision ends that."""
        return bool(self._undone)

    def take(self, step: Step) -> int:
        """Takes a step.

        Returns:
            The number of the segment that it was about.

        Raises:
            ValueError: There is nothing to undo or redo.
        """
        if step.do == "decide":
            assert step.segment is not None
            self._done.append((step.segment, self.action_ids[step.segment], step.action_id))
            self._undone.clear()
            self.action_ids[step.segment] = step.action_id
            self.num_steps += 1
            return step.segment
        source, target = self._done, self._undone
        if step.do == "redo":
            source, target = target, source
        if not source:
            raise ValueError(f"expected something to {step.do}, there is nothing")
        segment, before, after = source.pop()
        target.append((segment, before, after))
        self.action_ids[segment] = before if step.do == "undo" else after
        self.num_steps += 1
        return segment
