"""Watches the worker processes of a loader, to name the clip at which one hangs or dies."""

from __future__ import annotations

import os
import re
import time

import torch
from torch.utils.data import Dataset, get_worker_info

from ava_det.data.dataset import ClipDataset, LostClip, ReadClip
from ava_det.video.reader import VideoError

IDLE = -1.0


class LoadingError(ValueError):
    """Says in one sentence which process of a loader failed, and at which clip."""


class WatchedDataset(Dataset[ReadClip | LostClip]):
    """Reads clips by (epoch, index) and notes what each process reads.

    A clip that cannot be read becomes a LostClip.

    Args:
        dataset: The clips.
        num_processes: Worker processes, at least 1.
    """

    def __init__(self, dataset: ClipDataset, num_processes: int):
        self._dataset = dataset
        # process id, index of the clip or IDLE, since when (a clock all processes share)
        self._notes = torch.full((num_processes, 3), IDLE, dtype=torch.float64).share_memory_()

    def __getitem__(self, request: tuple[int, int]) -> ReadClip | LostClip:
        epoch, index = request
        worker = get_worker_info()
        note = self._notes[worker.id if worker else 0]
        note[:] = torch.tensor([os.getpid(), index, time.monotonic()], dtype=torch.float64)
        try:
            return self._dataset.read(index, epoch)
        except VideoError as error:
            return LostClip(index, str(error))
        finally:
            note[1] = IDLE

    def describe_failure(self, message: str, waited: float) -> str | None:
        """Explains an error of a DataLoader about its processes.

        Args:
            message: The text of the error.
            waited: Seconds after which a DataLoader times out.

        Returns:
            A sentence; None for any other error.
        """
        if message.startswith("DataLoader timed out"):
            busy = [note for note in self._notes.tolist() if note[1] != IDLE]
            where = (
                self._dataset.describe(int(min(busy, key=lambda note: note[2])[1]))
                if busy
                else "no clip"
            )
            return (
                f"a process that reads videos delivered nothing for {waited:g} s, "
                f"while it read {where}"
            )
        killed = re.match(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)", message)
        if killed is None:
            return None
        ids = {int(number) for number in killed[1].split(",")}
        at = [
            self._dataset.describe(int(note[1]))
            for note in self._notes.tolist()
            if note[0] in ids and note[1] >= 0
        ]
        reading = f"while it read {at[0]}" if at else "between two clips"
        return (
            f"a process that reads videos was killed {reading} (pid {killed[1]}); "
            "if memory ran out, lower train.num_workers"
        )
