"""Joins decisions, their journal and the CSV: a step is in all three, or in none."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

from ava_det.formats.annotations import write_annotations
from ava_det.review.candidates import Candidate, hash_candidates
from ava_det.review.decisions import Decisions, Step, parse_step
from ava_det.review.journal import Journal
from ava_det.review.rows import RowMaker


class StaleError(ValueError):
    """Says that something was decided since a page was told the state."""


class Review:
    """Takes the steps of a review, and keeps its CSV up to date; goes on with one that was begun.

    Args:
        candidates: The segments.
        label_map: Action names by 1-based id.
        output: The CSV; its journal stands beside it, as `OUTPUT.journal`.

    Attributes:
        candidates: The segments.
        label_map: The names.
        decisions: What was decided on them; each step puts another object in its place.

    Raises:
        ValueError: The journal is malformed or of other segments, or the CSV is not what it says.
    """

    def __init__(
        self, candidates: Sequence[Candidate], label_map: Mapping[int, str], output: Path
    ) -> None:
        self.candidates = candidates
        self.label_map = label_map
        self.decisions = Decisions(len(candidates))
        self._output = output
        self._rows = RowMaker(candidates)
        self._lock = Lock()
        journal = output.with_name(f"{output.name}.journal")
        if output.exists() and not journal.exists():
            raise ValueError(
                f"--output: expected a free name, or a CSV with its journal; {output} has none"
            )
        self._journal = Journal(journal, hash_candidates(candidates))
        self._replay()

    def _replay(self) -> None:
        """Takes the steps of the journal, and writes the CSV where it lacks the last one."""
        steps = [
            (where, parse_step(value, len(self.candidates), self.label_map, where))
            for where, value in self._journal.read()
        ]
        expected = [self._format()]
        for number, (where, step) in enumerate(steps, 1):
            try:
                self.decisions.take(step)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
            if number >= len(steps) - 1:
                expected = [expected[-1], self._format()]
        found = self._output.read_bytes() if self._output.exists() else None
        if found is not None and found not in expected:
            raise ValueError(
                f"{self._output}: expected what was decided in {self._journal.path}, but it was "
                "changed since; move it away, and it is written again"
            )
        if found != expected[-1]:
            self._write(self._output, self.decisions)

    def version_of(self, decisions: Decisions) -> str:
        """Returns the version of decisions of this review: another one after every step."""
        return f"{self._journal.name}.{decisions.num_steps}"

    def take(self, step: Step, version: str) -> int:
        """Takes a step, and writes it.

        Args:
            step: The step.
            version: The version that whoever takes it has seen.

        Returns:
            The number of the segment that it was about.

        Raises:
            StaleError: The version is another; nothing is changed.
            ValueError: There is nothing to undo or redo, or somebody else wrote to the journal.
            OSError: Journal or CSV cannot be written; nothing is changed.
        """
        with self._lock:
            if version != self.version_of(self.decisions):
                raise StaleError("something was decided elsewhere meanwhile")
            decisions = self.decisions.copy()
            segment = decisions.take(step)
            self._journal.add(step)
            try:
                self._write(self._output, decisions)
            except OSError:
                self._journal.withdraw()
                raise
            self.decisions = decisions
            return segment

    def _write(self, path: Path, decisions: Decisions) -> None:
        write_annotations(path, self._rows.make(decisions.action_ids))

    def _format(self) -> bytes:
        with tempfile.TemporaryDirectory(prefix="ava-det-") as folder:
            self._write(Path(folder) / "rows.csv", self.decisions)
            return (Path(folder) / "rows.csv").read_bytes()
