"""A worker in this process, so that a test need not wait until another has loaded torch."""

from __future__ import annotations

from collections.abc import Sequence

from ava_det.archive.manifest import Entry
from ava_det.archive.workers import Died, Loader, Message, Ready, work


class InlineWorkers:
    """Labels one video whenever it is asked for messages."""

    count = 1

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._given: list[tuple[str, Entry]] = []
        self._is_new = False

    def start(self, number: int) -> None:
        self._is_new = True

    def send(self, number: int, root: str, entry: Entry) -> None:
        self._given.append((root, entry))

    def stop(self, number: int) -> None:
        self._given = []

    def close(self) -> None:
        self._given = []

    def wait(self, seconds: float) -> Sequence[tuple[int, Message]]:
        if self._is_new:
            self._is_new = False
            try:
                self._labeler, self._store = self._loader.load(), self._loader.open_store()
            except ValueError as error:
                return [(0, Died(str(error), is_mistake=True))]
            return [(0, Ready(self._labeler.facts))]
        if not self._given:
            return []
        return [(0, work(self._labeler, *self._given.pop(0), self._store))]
