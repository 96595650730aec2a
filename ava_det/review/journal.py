r"""Keeps every step in a file, one line each, so that no end of the process loses one.

The first line says what is reviewed:

    {"review": "1f0c…", "segments": "the SHA-256 of the segments"}
    {"do": "decide", "segment": 4, "action_id": 12}
    {"do": "undo"}

A step counts once its line is whole, with its line end, and on disk.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ava_det.files import write_text
from ava_det.review.decisions import Step


class Journal:
    """Adds steps to a journal; begins one where there is none.

    A last line without its end, as a kill may leave it, is cut off: nobody was told that it was
    written.

    Args:
        path: The file.
        fingerprint: Of the segments, see `hash_candidates`.

    Attributes:
        path: The file.
        name: Random digits of this journal.

    Raises:
        ValueError: The file is no journal, or one of other segments.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        if not path.exists():
            begin = {"review": secrets.token_hex(8), "segments": fingerprint}
            write_text(path, json.dumps(begin) + "\n")
        content = path.read_bytes()
        self._size = content.rfind(b"\n") + 1
        self._lines = content[: self._size].splitlines()
        head = _parse(self._lines[0]) if self._lines else None
        if not isinstance(head, dict) or set(head) != {"review", "segments"}:
            raise ValueError(f"{path}: expected a journal of ava-det review, found another file")
        if head["segments"] != fingerprint:
            raise ValueError(
                f"{path}: expected the detections and segment options with which this review was "
                "begun, found others; name another --output for a new review"
            )
        self.name: str = head["review"]
        if self._size < len(content):
            os.truncate(path, self._size)

    def read(self) -> Iterator[tuple[str, Any]]:
        """Yields file and line of each step, and its object, which `parse_step` reads."""
        for number, line in enumerate(self._lines[1:], 2):
            yield f"{self.path}, line {number}", _parse(line)

    def add(self, step: Step) -> None:
        """Adds a step; it is on disk when this returns.

        Raises:
            ValueError: Another process has written to the file.
            OSError: It cannot be written; the file is then as before.
        """
        if not self.path.exists() or self.path.stat().st_size != self._size:
            raise ValueError(
                f"{self.path}: expected nobody else to write to it; another ava-det review does: "
                "end one of the two, and start the other again"
            )
        line = json.dumps(step.to_json()).encode() + b"\n"
        try:
            with open(self.path, "ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            os.truncate(self.path, self._size)
            raise
        self._last = len(line)
        self._size += len(line)

    def withdraw(self) -> None:
        """Takes the step away that was added last."""
        self._size -= self._last
        os.truncate(self.path, self._size)


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:  # UnicodeDecodeError too
        return None
