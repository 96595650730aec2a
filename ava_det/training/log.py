"""Writes what happens in a training: lines of JSON, sentences on the console, curves."""

from __future__ import annotations

import json
import math
from collections.abc import Container
from pathlib import Path
from typing import Any, Protocol

from ava_det.files import write_text

# the number of an evaluation that says how good the model is -> its name for people
SCORES = {"mAP": "frame mAP", "top1": "top-1", "AP": "person AP"}


class Log(Protocol):
    """Takes what happened: an interval of training, an evaluation or a warning."""

    def write(self, **values: Any) -> None:
        """Takes an interval (it has `step`), an evaluation (it has `epoch`) or a warning."""


class JsonLog:
    """Appends one JSON object a line to a file; each line is on disk before `write` returns."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def write(self, **values: Any) -> None:
        """Appends a line; null stands for a number that is not finite."""
        clean = {
            key: None if isinstance(v, float) and not math.isfinite(v) else v
            for key, v in values.items()
        }
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(clean) + "\n")
        except OSError as error:
            # a full disk names no file
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def cut_after(self, step: int, evaluated: Container[int] = ()) -> None:
        """Drops the lines that a resumed run writes again, and a last line cut short.

        Args:
            step: The last step whose lines stay; -1 for a run that begins anew drops everything.
            evaluated: Epochs whose evaluations stay.
        """
        kept = []
        for text in (
            self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        ):
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue  # a crash in the middle of a line
            again = (
                line["step"] > step
                if "step" in line
                else "epoch" in line and line["epoch"] not in evaluated
            )
            if not again and step >= 0:
                kept.append(text + "\n")
        write_text(self.path, "".join(kept))


class ConsoleLog:
    """Prints a sentence for each interval and evaluation to standard output."""

    def write(self, **values: Any) -> None:
        """Prints a sentence, or nothing where there is no epoch."""
        if "epoch" in values:
            print(describe_line(values), flush=True)


class TensorBoardLog:
    """Writes curves for TensorBoard; only where the extra `tensorboard` is installed.

    Args:
        folder: Where the curves are written.
        first_step: Where a resumed run goes on; what an earlier run wrote after it is hidden.
    """

    def __init__(self, folder: str | Path, first_step: int = 0):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=first_step + 1 if first_step else None)
        self._step = first_step

    def write(self, **values: Any) -> None:
        """Adds a point to the curve of each number."""
        self._step = values.get("step", self._step)
        for key, value in values.items():
            if key not in ("step", "epoch") and isinstance(value, (int, float)):
                self._writer.add_scalar(
                    f"{'train' if 'loss' in values else 'val'}/{key}", value, self._step
                )
        self._writer.flush()


class Logs:
    """Joins several logs to one."""

    def __init__(self, *logs: Log):
        self._logs = logs

    def write(self, **values: Any) -> None:
        """Writes to each of the logs."""
        for log in self._logs:
            log.write(**values)


def describe_line(line: dict[str, Any]) -> str:
    """Describes a line of the log, an interval or an evaluation, in a sentence."""
    if "loss" not in line:
        key, name = next((key, name) for key, name in SCORES.items() if key in line)
        scored = f"no {key} exists" if line[key] is None else f"{name} {line[key]:.4f}"
        average = line.get(f"ema_{key}")
        of_average = "" if average is None else f", of the averaged weights {average:.4f}"
        return f"epoch {line['epoch']:g}: {scored}{of_average}"
    memory = f", memory {line['host_gb']:.2f} GB" if line["host_gb"] is not None else ""
    memory += f" + CUDA {line['cuda_gb']:.1f} GB" if line["cuda_gb"] is not None else ""
    return (
        f"epoch {line['epoch']:.2f}, step {line['step']}: loss {line['loss']:.4f}, "
        f"lr {line['lr']:.3g}, "
        f"{line['clips_per_second']:.1f} clips/s, "
        f"waiting for data {line['data_wait']:.0%}{memory}, "
        f"{format_duration(line['seconds_left'])} left"
    )


def format_duration(seconds: float) -> str:
    """Formats a duration, such as 45 s, 12 min, 3 h 20 min, 2 d 3 h."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{round(seconds)} s"
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
