"""Starts workers as processes of this machine; they end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from threading import Thread

from ava_det.archive.manifest import Entry
from ava_det.archive.workers import Died, Loader, Message, Ready, work
from ava_det.interrupts import withheld_interrupts


class ProcessWorkers:
    """Starts workers as fresh processes; use `close` at the end.

    Each has the index of its GPU in LOCAL_RANK, as under torchrun.

    Args:
        loader: Loads the network in each.
        count: Their number.
        first_device: Index of the GPU of the first.
    """

    def __init__(self, loader: Loader, count: int, first_device: int = 0) -> None:
        self.count = count
        self._loader = loader
        self._first_device = first_device
        self._running: dict[int, tuple[SpawnProcess, Connection]] = {}
        resource_tracker.ensure_running()  # its start within `withheld_interrupts` would end that

    def start(self, number: int) -> None:
        """See `Workers`."""
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(self._loader, there, self._first_device + number), daemon=True
        )
        with withheld_interrupts():  # Ctrl-C is the driver's, which ends its workers
            process.start()
        there.close()
        self._running[number] = process, here

    def send(self, number: int, root: str, entry: Entry) -> None:
        """See `Workers`."""
        with suppress(OSError):  # it died, and `wait` says so
            self._running[number][1].send((root, entry))

    def stop(self, number: int) -> None:
        """See `Workers`."""
        process, pipe = self._running.pop(number)
        process.kill()
        process.join()
        pipe.close()

    def wait(self, seconds: float) -> Sequence[tuple[int, Message]]:
        """See `Workers`."""
        pipes = {pipe: number for number, (_, pipe) in self._running.items()}
        messages: list[tuple[int, Message]] = []
        for pipe in connection.wait(list(pipes), seconds):
            assert isinstance(pipe, Connection)
            number = pipes[pipe]
            try:
                message: Message = pipe.recv()
            except (EOFError, OSError):  # it was killed
                message = Died(self._describe_end(number))
            if isinstance(message, Died):
                self.stop(number)
            messages.append((number, message))
        return messages

    def close(self) -> None:
        """See `Workers`."""
        for number in list(self._running):
            self.stop(number)

    def _describe_end(self, number: int) -> str:
        process = self._running[number][0]
        process.join(5)
        code = process.exitcode
        if code is None or code >= 0:
            return f"its process ended with exit code {code}"
        return f"its process was killed by {signal.Signals(-code).name}"


def _serve(loader: Loader, pipe: Connection, device: int) -> None:
    """Labels what comes through a pipe, until the other end is closed."""
    os.environ["LOCAL_RANK"] = str(device)
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        try:
            store = loader.open_store()
            labeler = loader.load()
        except (ValueError, OSError) as error:
            pipe.send(Died(" ".join(str(error).split()), is_mistake=True))
            return
        pipe.send(Ready(labeler.facts))
        while True:
            root, entry = pipe.recv()
            pipe.send(work(labeler, root, entry, store))
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the driver is gone
        return
    except Exception as error:  # such as a fault of the GPU, after which a process is of no use
        pipe.send(Died(f"{type(error).__name__}: {' '.join(str(error).split())}"))
        raise


def _end_with_parent() -> None:
    """Ends this process when the driver is gone: nobody would know of what it does."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
