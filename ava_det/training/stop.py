"""A polite request to stop, as schedulers send before they take a machine away: SIGTERM or SIGUSR1."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class Preempted(Exception):
    """The run was asked to stop and did, with nothing lost; its message says how to go on."""

    exit_code = 0


class StopRequest:
    """Remembers the signal until a step is complete; outside of steps the signal stops the run at
    once.

    received: the signal's name, None as long as nobody asked. in_steps: whether a step may be under
    way.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self.in_steps = False

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Answers both signals for the length of the block; to be entered by the main thread."""
        before = {
            number: signal.signal(number, self._answer)
            for number in (signal.SIGTERM, signal.SIGUSR1)
        }
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def leave_steps(self) -> None:
        """From here to the next step a signal stops the run at once, also one that came just
        before.
        """
        self.in_steps = False
        if self.received is not None:
            self.end("the end of an epoch")

    def end(self, place: str) -> NoReturn:
        """Raises Preempted, after the state at `place` was saved."""
        by = self.received or "a signal to another process"
        raise Preempted(f"stopped by {by} at {place}; the state is saved, go on with --resume")

    def _answer(self, number: int, frame: object) -> None:
        self.received = signal.Signals(number).name
        if not self.in_steps:
            raise Preempted(
                f"stopped by {self.received} between steps; go on with --resume from the last checkpoint"
            )
