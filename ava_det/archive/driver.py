"""Hands the videos of an archive to workers, and sees to it that each ends as a file."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ava_det.archive.agenda import Agenda
from ava_det.archive.manifest import Entry
from ava_det.archive.outcomes import Outcomes
from ava_det.archive.workers import Died, Done, Failed, Message, Ready, Workers
from ava_det.jobs.claims import Claims
from ava_det.messages.counts import format_count

AHEAD = 2  # videos that a worker has, so that it need not wait for the driver after the first
MAX_BAD_STARTS = 3  # of one worker, one after the other
POLL = 1.0  # seconds between two looks at what other processes do


@dataclass
class Tally:
    """Counts what a run did.

    Attributes:
        num_before: Videos that were done before.
        num_done: Videos that this run did.
        num_elsewhere: Videos that other processes did meanwhile.
        failed: Path -> why, of those without a result.
        num_keyframes: Of the videos that this run did.
        num_persons: On these keyframes.
    """

    num_before: int = 0
    num_done: int = 0
    num_elsewhere: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    num_keyframes: int = 0
    num_persons: int = 0


@dataclass
class _Seat:
    """Holds what the driver knows of one worker."""

    is_ready: bool = False
    given: deque[Entry] = field(default_factory=deque)
    began: float = 0.0  # work on the oldest of the given ones
    bad_starts: int = 0


class Driver:
    """Labels the videos of an agenda.

    Args:
        agenda: The videos.
        workers: Do the work.
        claims: Keeps other processes from the same videos.
        outcomes: Records what became of each video.
        accept: Called with the facts of each worker that is loaded; raises a ValueError where
            results of it must not stand beside the others.
        time_limit: Seconds after which a video has failed.
        retries: Attempts at a video after the first one that failed.
        on_progress: Called with each video that has ended, and the tally.
    """

    def __init__(
        self,
        agenda: Agenda,
        workers: Workers,
        claims: Claims,
        outcomes: Outcomes,
        accept: Callable[[Mapping[str, Any]], None],
        time_limit: float,
        retries: int,
        on_progress: Callable[[Entry, Tally], None],
    ) -> None:
        self._agenda = agenda
        self._root = agenda.root
        self._workers = workers
        self._claims = claims
        self._outcomes = outcomes
        self._accept = accept
        self._time_limit = time_limit
        self._retries = retries
        self._on_progress = on_progress
        self._seats: list[_Seat] = []
        self._look_again = 0.0
        self._is_accepted = False
        self.tally = Tally(num_before=agenda.num_done)

    def run(self) -> Tally:
        """Works until every video has a result or has failed too often.

        Videos that other processes work on are waited for. One worker at least is loaded, so that
        options of another run are refused where nothing is left to do, too.

        Raises:
            ValueError: A worker's facts are not accepted, or loading it is a user's mistake.
            OSError: The store takes nothing more.
            ChildProcessError: A worker dies whenever it is started.
        """
        while not self._is_accepted or len(self._agenda) or any(one.given for one in self._seats):
            self._fill_seats()
            for number, message in self._workers.wait(POLL / 2):
                self._take_message(self._seats[number], number, message)
            self._end_late_ones()
        self._outcomes.flush()
        return self.tally

    def _fill_seats(self) -> None:
        """Starts workers that have no seat yet, and gives each what it has room for."""
        for number in range(len(self._seats), self._workers.count):
            self._seats.append(_Seat())
            self._workers.start(number)
        for room in range(1, AHEAD + 1):  # each has one before any has two
            for number, seat in enumerate(self._seats):
                if not seat.is_ready or len(seat.given) >= room:
                    continue
                if room > 1 and len(self._agenda) < len(self._seats):
                    return  # the last ones are for workers that have nothing
                entry = self._claim_next()
                if entry is None:
                    return
                if not seat.given:
                    seat.began = time.monotonic()
                seat.given.append(entry)
                self._workers.send(number, self._root, entry)

    def _claim_next(self) -> Entry | None:
        """Returns the next video that needs work and that no other process has."""
        if time.monotonic() < self._look_again:
            return None
        for _ in range(len(self._agenda)):
            entry = self._agenda.take()
            if entry is None:
                break
            if not self._claims.claim(entry.id):
                self._agenda.put_last(entry)
            elif self._outcomes.is_done(entry.id):
                self.tally.num_elsewhere += 1
                self._close(entry)
            elif (failure := self._outcomes.find_failure(entry.id, self._retries)) is not None:
                self.tally.failed[entry.path] = failure.error
                self._close(entry)
            else:
                return entry
        self._look_again = time.monotonic() + POLL
        return None

    def _take_message(self, seat: _Seat, number: int, message: Message) -> None:
        if isinstance(message, Ready):
            self._accept(message.facts)
            self._is_accepted = True
            seat.is_ready, seat.bad_starts = True, 0
        elif isinstance(message, Died):
            self._replace(seat, number, message.error, message.is_mistake)
        else:
            entry = seat.given.popleft()
            seat.began = time.monotonic()
            if isinstance(message, Failed):
                if message.is_full:
                    done = format_count(self.tally.num_done, "video")
                    raise OSError(
                        f"{message.error}; labeled: {done}, and the same command goes on when "
                        "there is space"
                    )
                self._count_failure(entry, message.error)
            else:
                self._count_success(entry, message)

    def _end_late_ones(self) -> None:
        """Ends the workers whose video takes longer than the time limit."""
        for number, seat in enumerate(self._seats):
            if seat.given and time.monotonic() - seat.began > self._time_limit:
                self._workers.stop(number)
                self._replace(seat, number, f"took longer than {self._time_limit:g} s")

    def _replace(self, seat: _Seat, number: int, error: str, is_mistake: bool = False) -> None:
        """Starts a worker again that is gone; the video it was at is the one that failed."""
        if is_mistake:
            raise ValueError(error)
        if not seat.is_ready:
            seat.bad_starts += 1
            if seat.bad_starts >= MAX_BAD_STARTS:
                raise ChildProcessError(f"a worker was started {MAX_BAD_STARTS} times: {error}")
        given, seat.given, seat.is_ready = seat.given, deque(), False
        if given:
            self._count_failure(given.popleft(), error)
        for entry in reversed(given):  # it was not begun
            self._claims.release(entry.id)
            self._agenda.put_first(entry)
        self._workers.start(number)

    def _count_success(self, entry: Entry, message: Done) -> None:
        self._outcomes.add_success(entry, message.counts)
        self.tally.num_done += 1
        self.tally.num_keyframes += message.counts.num_keyframes
        self.tally.num_persons += message.counts.num_persons
        self._close(entry)

    def _count_failure(self, entry: Entry, error: str) -> None:
        if self._outcomes.is_done(entry.id):  # its worker died after the last byte
            self.tally.num_done += 1
        elif self._outcomes.add_failure(entry, error) <= self._retries:
            self._claims.release(entry.id)
            self._agenda.put_last(entry)
            return
        else:
            self.tally.failed[entry.path] = error
        self._close(entry)

    def _close(self, entry: Entry) -> None:
        """Ends the work on a video."""
        self._claims.release(entry.id)
        self._on_progress(entry, self.tally)
