"""Answers requests to stop: SIGTERM or SIGUSR1, which schedulers send, or Ctrl-C (SIGINT)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Preempted(Exception):
    """Says that the run was asked to stop and did, with nothing lost, and how to go on.

    Attributes:
        exit_code: 0 for a scheduler, 130 for Ctrl-C, as shells expect, so that a script does not go
            on with its next line.
    """

    def __init__(self, sentence: str, exit_code: int = 0):
        super().__init__(sentence)
        self.exit_code = exit_code


class StopRequest:
    """Remembers a signal until a step is complete; outside of steps it stops the run at once.

    A second Ctrl-C within a step does not wait for its end.

    Attributes:
        received: The signal's name, None as long as there was none.
        in_steps: Whether a step may be under way; None before the first one.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self.in_steps: bool | None = None

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Answers the signals for the length of the block; to be entered by the main thread.

        One that the process was started to ignore, as a shell does with Ctrl-C for what runs in the
        background, stays ignored.
        """
        answered = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._answer) for number in answered}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def leave_steps(self) -> None:
        """Lets signals stop the run at once until the next step, also one that came just before."""
        self.in_steps = False
        if self.received is not None:
            self.end("the end of an epoch")

    def end(self, place: str) -> NoReturn:
        """Raises Preempted; to be called after the state at `place` was saved."""
        by = self.received or "a signal to another process"
        raise Preempted(
            f"stopped by {by} at {place}; the state is saved, go on with --resume", self._exit_code
        )

    @property
    def _exit_code(self) -> int:
        return 128 + signal.SIGINT if self.received == "SIGINT" else 0

    def _answer(self, number: int, frame: object) -> None:
        is_second = self.received == "SIGINT"
        self.received = signal.Signals(number).name
        if self.in_steps and is_second and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.in_steps:
            place = "before the first step" if self.in_steps is None else "between steps"
            advice = (
                "" if self.in_steps is None else "; go on with --resume from the last checkpoint"
            )
            raise Preempted(f"stopped by {self.received} {place}{advice}", self._exit_code)
