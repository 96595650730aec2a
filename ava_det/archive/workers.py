"""What a driver and its workers say to each other, whatever starts the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ava_det.archive.manifest import Entry
from ava_det.archive.outcomes import Counts
from ava_det.files import is_full
from ava_det.jobs.store import Store


class Labeler(Protocol):
    """Labels videos one after the other.

    Attributes:
        facts: What decides the bytes of results: name -> JSON value.
    """

    facts: Mapping[str, Any]

    def label(self, root: str, entry: Entry, store: Store) -> Counts:
        """Writes the result of a video, `result_name`.

        Raises:
            ValueError: The video cannot be read.
            OSError: A file cannot be read or written.
        """


class Loader(Protocol):
    """Makes a labeler in the process that will use it; it can be pickled."""

    def load(self) -> Labeler:
        """Loads the network and the person detector."""

    def open_store(self) -> Store:
        """Opens the store of the archive."""


@dataclass(frozen=True)
class Ready:
    """Says that a worker is loaded; see `Labeler.facts`."""

    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """Says that the oldest video of a worker is done."""

    counts: Counts


@dataclass(frozen=True)
class Failed:
    """Says why the oldest video of a worker has no result.

    Attributes:
        error: A sentence.
        is_full: Whether the store takes nothing more, which is no fault of the video.
    """

    error: str
    is_full: bool = False


@dataclass(frozen=True)
class Died:
    """Says that a worker is gone, with all that it was given.

    Attributes:
        error: A sentence.
        is_mistake: Whether it is a user's mistake, which every other worker would meet too.
    """

    error: str
    is_mistake: bool = False


Message = Ready | Done | Failed | Died


class Workers(Protocol):
    """Starts workers, numbered from 0, each of which does what it is given in order."""

    @property
    def count(self) -> int:
        """Returns how many there are; it may grow."""

    def start(self, number: int) -> None:
        """Starts a worker that is not there; `Ready` follows, or `Died`."""

    def send(self, number: int, root: str, entry: Entry) -> None:
        """Gives a worker a video; `Done`, `Failed` or `Died` follows."""

    def stop(self, number: int) -> None:
        """Ends a worker at once; nothing follows of what it was given."""

    def wait(self, seconds: float) -> Sequence[tuple[int, Message]]:
        """Waits so long at most for messages; returns each with the number of its worker."""

    def close(self) -> None:
        """Ends all workers."""


def work(labeler: Labeler, root: str, entry: Entry, store: Store) -> Done | Failed:
    """Labels a video, and says how it ended; what every worker does."""
    try:
        return Done(labeler.label(root, entry, store))
    except OSError as error:
        is_store = is_full(error)
        name = error.filename or (store.address if is_store else entry.path)
        return Failed(f"{name}: {error.strerror or error}", is_store)
    except ValueError as error:
        return Failed(" ".join(str(error).split()))
