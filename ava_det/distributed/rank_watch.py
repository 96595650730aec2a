"""Notices when another process of a run has stopped, and passes on why.

A process that waits in a collective operation for one that is gone would wait for hours. So a
thread of every process writes a counter to torchrun's store once a second (its heartbeat) and
watches the counter of the rank before it. Whole machines may vanish; the first process that is left
after them notices. The first process to stop leaves its reason in the store, and the others stop
for the same reason.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from datetime import timedelta
from typing import TypedDict

import torch.distributed as dist

PERIOD = 1.0  # seconds between two heartbeats
# seconds without a heartbeat: longer than any pause of a process that is busy but alive
PATIENCE = 40.0


class LostRankError(ConnectionError):
    """Reports, in one sentence, which other process of the run is gone."""


class Reason(TypedDict):
    """Holds which process stopped first, on which machine, and why."""

    rank: int
    node: str
    sentence: str
    exit_code: int


class RankWatch:
    """Watches the other processes until `close`; ends this one when one of them stops.

    Every rank makes one after it has joined the group, with torchrun's environment.

    Args:
        rank: Of this process.
        world_size: The number of processes.
    """

    def __init__(self, rank: int, world_size: int):
        self._rank = rank
        self._world_size = world_size
        self._node = os.environ.get("GROUP_RANK", "0")
        address = os.environ["MASTER_ADDR"]
        port = int(os.environ["MASTER_PORT"])
        store = dist.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=20))
        # a restarted run finds its old store
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._store = dist.PrefixStore(f"ava_det/{attempt}", store)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rank watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops watching."""
        self._closed.set()
        self._thread.join(timeout=5 * PERIOD)

    def stop_others(self, sentence: str, exit_code: int) -> bool:
        """Writes to the store why this process stops, so that the others stop too.

        Args:
            sentence: The reason.
            exit_code: With which all processes exit.

        Returns:
            False if another process had stopped before, whose reason counts.
        """
        self._closed.set()
        reason = json.dumps(
            Reason(rank=self._rank, node=self._node, sentence=sentence, exit_code=exit_code)
        )
        try:
            return bool(self._store.compare_set("stopped", "", reason).decode() == reason)
        # the store ended with the main process, which printed a sentence if it could
        except (RuntimeError, OSError):
            return exit_code != 0

    def find_lost(self) -> str:
        """Finds out which process is gone, after a collective operation has failed.

        If another process has left a reason meanwhile, this one ends here.

        Returns:
            A sentence that names the lost processes.
        """
        try:
            before = self._beats()
            for _ in range(5):
                time.sleep(PERIOD)
            lost = [
                rank
                for rank, (old, new) in enumerate(zip(before, self._beats(), strict=True))
                if old == new
            ]
        except (RuntimeError, OSError):
            return self._store_is_gone()
        others = [str(rank) for rank in lost if rank != self._rank]
        return _describe_lost(others) if others else "the connection between two processes broke"

    def _watch(self) -> None:
        """Writes the heartbeat and looks for a reason to stop, once a second, until `close`."""
        neighbor = (self._rank - 1) % self._world_size
        beat = 0
        last_beat = ""
        beat_at = time.monotonic()
        while not self._closed.wait(PERIOD):
            beat += 1
            try:
                self._store.set(f"beat/{self._rank}", str(beat))
                if self._store.check(["stopped"]):
                    self._end_as_another(json.loads(self._store.get("stopped")))
                now = self._beat_of(neighbor)
            except (RuntimeError, OSError):
                if not self._closed.wait(2 * PERIOD):  # at the end of a run the store goes first
                    self._end(self._store_is_gone())
                return
            if now != last_beat:
                last_beat = now
                beat_at = time.monotonic()
            elif time.monotonic() - beat_at > PATIENCE:
                self._end(_describe_lost([str(neighbor)]))

    def _end_as_another(self, reason: Reason) -> None:
        """Ends this process as another one ended; one process a machine repeats the reason."""
        if self._closed.is_set():
            return
        first_here = os.environ.get("LOCAL_RANK", "0") == "0"
        if first_here and reason["node"] != self._node:
            print(
                f"stopped, because rank {reason['rank']} did: {reason['sentence']}",
                file=sys.stderr,
                flush=True,
            )
        os._exit(reason["exit_code"])

    def _end(self, sentence: str) -> None:
        """Ends this process from its thread, while the main one waits in a collective forever."""
        if not self._closed.is_set() and self.stop_others(sentence, 2):
            print(f"error: {sentence}", file=sys.stderr, flush=True)
            os._exit(2)

    def _beats(self) -> list[str]:
        return [self._beat_of(rank) for rank in range(self._world_size)]

    def _beat_of(self, rank: int) -> str:
        key = f"beat/{rank}"
        return self._store.get(key).decode() if self._store.check([key]) else ""

    def _store_is_gone(self) -> str:
        return (
            "lost the machine of rank 0 (its torchrun was ended, or the network broke), so this "
            "process stops"
        )


def _describe_lost(ranks: list[str]) -> str:
    which = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {', '.join(ranks)}"
    return f"lost {which} (killed, out of memory, or a machine that went away), so the run stops"
