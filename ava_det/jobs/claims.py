"""Says who works on which item of a job, so that two processes do not do the same.

A claim is a file `claims/<id>` that one process alone can create; it holds the name of the process.
`drivers/<name>` is written again every few seconds while the process lives, so a claim of one that
was killed is free after a minute, on the same machine at once. Were an item ever done twice, both
results would have the same bytes: claims save work, and what is right does not depend on them.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Self

from ava_det.jobs.store import Store

CLAIMS = "claims"  # folders of a store
DRIVERS = "drivers"
PERIOD = 10.0  # seconds between two signs of life
LEASE = 60.0  # seconds without one, after which a process is taken for dead
TURN = "%"  # after a claim's name: who has this file may remove the claim; no id ends so


class Claims:
    """Claims items for this process; use it in a `with` block, at whose end all are released.

    Args:
        store: Of the job.
        lease: Seconds after which the claims of a process without a sign of life are free.

    Attributes:
        name: Of this process: host, process id, and a random part.
    """

    def __init__(self, store: Store, lease: float = LEASE) -> None:
        self.name = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
        self._store = store
        self._lease = lease
        self._sign = f"{DRIVERS}/{self.name}"
        self._held: set[str] = set()
        self._closed = Event()
        self._thread = Thread(target=self._give_signs, name="signs of life", daemon=True)

    def __enter__(self) -> Self:
        self._store.write(self._sign, b"")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join()
        for item_id in list(self._held):
            self.release(item_id)
        if kind is None:
            self._remove_all_dead()
        self._store.remove(self._sign)

    def claim(self, item_id: str) -> bool:
        """Returns whether the item is this process's now; False where a living one has it."""
        name = f"{CLAIMS}/{item_id}"
        if not self._create(name):
            self._remove_dead(name)
            if not self._create(name):
                return False
        self._held.add(item_id)
        return True

    def release(self, item_id: str) -> None:
        """Gives a claim up, unless another process has it since this one was taken for dead."""
        if self.has(item_id):
            self._store.remove(f"{CLAIMS}/{item_id}")
        self._held.discard(item_id)

    def has(self, item_id: str) -> bool:
        """Returns whether the item is still this process's."""
        return self._find_owner(f"{CLAIMS}/{item_id}") == self.name

    def find_living(self) -> set[str]:
        """Finds the processes with a sign of life, this one among them; returns their names."""
        return {name for name in self._store.names(DRIVERS) if not self._is_dead(name)}

    def _remove_all_dead(self) -> None:
        """Removes claims of dead processes, such as one that died when its item was just done.

        Their last signs of life are removed too.
        """
        for item_id in list(self._store.names(CLAIMS)):
            self._remove_dead(f"{CLAIMS}/{item_id}")
        for name in set(self._store.names(DRIVERS)) - self.find_living():
            self._store.remove(f"{DRIVERS}/{name}")

    def _remove_dead(self, name: str) -> None:
        """Removes a claim if its process is dead.

        Many may see that at once. They take turns, so that a slow one does not remove the claim of
        a living process that was faster.
        """
        if not self._is_of_dead(name):
            return
        turn = name + TURN
        if not self._create(turn):
            self._remove_dead(turn)
            return
        try:
            if self._is_of_dead(name):
                self._store.remove(name)
        finally:
            self._store.remove(turn)

    def _create(self, name: str) -> bool:
        return self._store.create(name, self.name.encode())

    def _find_owner(self, name: str) -> str | None:
        try:
            return self._store.read(name).decode()
        except FileNotFoundError:
            return None

    def _is_of_dead(self, name: str) -> bool:
        owner = self._find_owner(name)
        return owner is not None and self._is_dead(owner)

    def _is_dead(self, process: str) -> bool:
        """Returns whether a process is gone, or has given no sign of life for too long."""
        host, _, pid = process.rpartition(".")[0].rpartition(".")
        if host == socket.gethostname() and not _is_alive(int(pid)):
            return True
        if not self._store.has(self._sign):  # others took this one, suspended for long, for dead
            self._store.write(self._sign, b"")
        age = self._store.age(f"{DRIVERS}/{process}", now=self._sign)
        return age is None or age > self._lease

    def _give_signs(self) -> None:
        while not self._closed.wait(min(PERIOD, self._lease / 4)):
            # where the store does not answer, others take the items over, which costs work alone
            with suppress(OSError):
                self._store.write(self._sign, b"")


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # where signal 0 is Ctrl-C; signs of life tell
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
