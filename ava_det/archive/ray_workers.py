"""Starts workers as Ray actors, on this machine or on a cluster whose nodes come and go."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from ava_det.archive.manifest import Entry
from ava_det.archive.workers import Died, Loader, Message, Ready, work

LOOK_AGAIN = 30.0  # seconds between two looks at what nodes there are
STORE_BYTES = 80 << 20  # of Ray's object store on this machine: videos and results do not pass it


class RayWorkers:
    """Starts an actor for each GPU of a cluster, or for each CPU where it has no GPU.

    An actor decodes, detects, classifies and writes; only ids and counts travel. When one is lost,
    Ray starts it again where there is room, and the driver decides what it does next.

    Args:
        loader: Loads the network in each.
        count: Number of actors; None for as many as there is room for, also later.
        address: Of a cluster, as `ray.init` takes it; None for RAY_ADDRESS, or else a Ray of its
            own on this machine.

    Raises:
        ValueError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, loader: Loader, count: int | None, address: str | None) -> None:
        self._ray = _join(address or os.environ.get("RAY_ADDRESS"))
        self._loader = loader
        self._is_fixed = count is not None
        self._count = count or 1
        self._looked = 0.0
        self._actors: dict[int, Any] = {}
        self._calls: dict[int, deque[Any]] = {}

    @property
    def count(self) -> int:
        """Returns how many there are: more when nodes have come."""
        if not self._is_fixed and time.monotonic() - self._looked > LOOK_AGAIN:
            self._looked = time.monotonic()
            self._count = max(self._count, int(self._resource("GPU") or self._resource("CPU")))
        return self._count

    def _resource(self, name: str) -> float:
        found: float = self._ray.cluster_resources().get(name, 0.0)
        return found

    def start(self, number: int) -> None:
        """See `Workers`."""
        if number not in self._actors:
            share = {"num_cpus": 1, "num_gpus": 1 if self._resource("GPU") else 0}
            actor = self._ray.remote(**share, max_restarts=-1)(_Actor)
            self._actors[number] = actor.remote(self._loader)
        # an actor that is being started again takes no call that may not be repeated
        begin = self._actors[number].begin.options(max_task_retries=-1)
        self._calls[number] = deque([begin.remote()])

    def send(self, number: int, root: str, entry: Entry) -> None:
        """See `Workers`."""
        self._calls[number].append(self._actors[number].label.remote(root, entry))

    def stop(self, number: int) -> None:
        """See `Workers`."""
        self._calls[number].clear()
        self._ray.kill(self._actors[number], no_restart=False)

    def wait(self, seconds: float) -> Sequence[tuple[int, Message]]:
        """See `Workers`."""
        oldest = {given[0]: number for number, given in self._calls.items() if given}
        if not oldest:
            time.sleep(seconds)
            return []
        self._ray.wait(list(oldest), num_returns=1, timeout=seconds)
        ended = self._ray.wait(list(oldest), num_returns=len(oldest), timeout=0)[0]
        return [(oldest[call], self._receive(oldest[call])) for call in ended]

    def _receive(self, number: int) -> Message:
        """Returns what the oldest call of an actor gave; one that raised has ended the actor."""
        call = self._calls[number].popleft()
        errors = self._ray.exceptions
        try:
            message: Message = self._ray.get(call)
        except errors.ActorDiedError as error:
            self._calls[number].clear()
            return Died(f"its actor is gone: {_first_line(error)}")
        except (errors.RayActorError, errors.RayTaskError) as error:
            self.stop(number)  # out of reach, or of no use after a fault of the GPU
            cause = getattr(error, "cause", None) or error
            return Died(f"{type(cause).__name__}: {_first_line(cause)}")
        return message

    def close(self) -> None:
        """See `Workers`."""
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._ray.shutdown()


class _Actor:
    """Labels videos in a process of the cluster."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def begin(self) -> Message:
        """Loads the network."""
        try:
            self._store = self._loader.open_store()
            self._labeler = self._loader.load()
        except (ValueError, OSError) as error:
            return Died(" ".join(str(error).split()), is_mistake=True)
        return Ready(self._labeler.facts)

    def label(self, root: str, entry: Entry) -> Message:
        """Labels a video."""
        return work(self._labeler, root, entry, self._store)


def _join(address: str | None) -> Any:
    """Joins a cluster, or starts one on this machine."""
    try:
        import ray
    except ImportError:
        raise ValueError(
            "--engine ray: expected Ray, which is not installed: pip install 'ava_det[ray]'"
        ) from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # what workers print stays in the logs of the nodes: of a large cluster it would be too much
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        options |= {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    try:
        ray.init(address or "local", **options)
    except ConnectionError as error:
        raise ValueError(
            f"--address {address}: no Ray cluster answers there: {_first_line(error)}"
        ) from None
    return ray


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
