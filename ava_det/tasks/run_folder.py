"""Writes what a run leaves in its output folder, each file whole or absent.

config.yaml             resolved; loads again as a config
environment.json        versions and git revision
log.jsonl               one JSON object per interval
curves.png              log.jsonl as a picture
tensorboard/            curves, where TensorBoard is installed
checkpoints/last.pt     model, config, label map, state
checkpoints/best.pt     of the highest mAP on data.val
checkpoints/epoch_N.pt  of the last full epochs
checkpoints/last_ema.pt the average of the weights after the last full epoch, with train.ema_decay
checkpoints/best_ema.pt of its highest mAP on data.val
bad_batch.pt            the clips of a loss that is not finite
detections.csv          AVA result rows
metrics.json            mAP, per class and overall
samples.png             labels beside predictions
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict

import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.config import Config, config_to_yaml
from ava_det.device.precision import Precision
from ava_det.evaluation.metrics import ActionMetrics
from ava_det.files import link_or_copy, require_other_files, write_json, write_text
from ava_det.formats.annotations import write_detections
from ava_det.structures import ClipBatch, Detections

AVERAGES = ("last_ema.pt", "best_ema.pt")
# of a training's state, what weights alone do not need
_OF_TRAINING = ("batch", "num_batches", "mean_aps", "model", "optimizer", "rng", "average")
RESULTS = ("detections.csv", "metrics.json", "bad_batch.pt", "samples.png", "curves.png")


class RunFolder:
    """Writes the files of one run; `path` is made if it is not there."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"output_dir: expected a folder, {self.path} is a file")
        self.path.mkdir(parents=True, exist_ok=True)
        self.checkpoints = self.path / "checkpoints"
        self.last_checkpoint = self.checkpoints / "last.pt"
        self.log = self.path / "log.jsonl"

    def list_results(self) -> list[Path]:
        """Lists the files that scoring writes or removes."""
        return [self.path / name for name in RESULTS]

    def list_checkpoints(self) -> list[Path]:
        """Lists the files that a new training writes or removes."""
        kept = self.checkpoints.glob("epoch_[0-9]*.pt")
        named = [self.checkpoints / name for name in ("best.pt", *AVERAGES)]
        return [self.last_checkpoint, *named, *kept]

    def require_other_sources(
        self, config: Config, trains: bool, more: Mapping[str, str | Path | None] | None = None
    ) -> None:
        """Checks that a run neither overwrites nor takes away what it reads.

        Args:
            config: Of the run, whose files are looked at.
            trains: Whether a training begins anew, which writes checkpoints too.
            more: Option -> further files that are read.

        Raises:
            ValueError: A file of this folder is read and would be lost.
        """
        written = self.list_results() + (self.list_checkpoints() if trains else [])
        require_other_files(
            {f"output_dir={self.path}": written}, {**list_sources(config), **(more or {})}
        )

    def write_description(self, config: Config, precision: Precision) -> None:
        """Writes config.yaml and environment.json.

        Args:
            config: Of the run.
            precision: What `config.precision` means on the device of this run.
        """
        chosen = {"asked": config.precision, "used": precision.name, "reason": precision.reason}
        environment = {**describe_environment(), "precision": chosen}
        write_text(self.path / "config.yaml", config_to_yaml(config))
        write_json(self.path / "environment.json", environment)

    def remove_results(self) -> None:
        """Takes away an earlier run's results, so that none of them can be taken for this run's."""
        for path in self.list_results():
            path.unlink(missing_ok=True)

    def remove_checkpoints(self) -> None:
        """Removes an earlier run's checkpoints but last.pt, which stays until this run saves."""
        for path in self.list_checkpoints():
            if path != self.last_checkpoint:
                path.unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Takes away what a process killed in the middle of a write left behind."""
        for folder in (self.path, self.checkpoints):
            for path in folder.glob(".*.tmp"):
                path.unlink(missing_ok=True)

    def save_training_state(self, state: Mapping[str, Any], num_kept: int) -> None:
        """Writes checkpoints/last.pt and, at the end of an epoch, epoch_N.pt and best.pt.

        The latter are second names of the same file as long as last.pt is that epoch's. best.pt is
        written where the state says that no other epoch's mAP was higher. An average of the
        weights goes into last_ema.pt, and best_ema.pt likewise.

        Args:
            state: The training state, with the config and what else users of the weights need.
            num_kept: How many of the last epoch_N.pt stay.
        """
        self.checkpoints.mkdir(exist_ok=True)
        save_checkpoint(self.last_checkpoint, state)
        if state["batch"]:
            return
        if num_kept:
            link_or_copy(self.last_checkpoint, self.checkpoints / f"epoch_{state['epoch']:04d}.pt")
        for path in sorted(self.checkpoints.glob("epoch_[0-9]*.pt"))[: -num_kept or None]:
            path.unlink()
        if _is_best(state["epoch"], state["mean_aps"]):
            link_or_copy(self.last_checkpoint, self.checkpoints / "best.pt")
        if "average" in state:
            self._save_average(state)

    def _save_average(self, state: Mapping[str, Any]) -> None:
        """Writes the average of the weights as weights of their own, which are not resumed."""
        last, best = (self.checkpoints / name for name in AVERAGES)
        facts = {key: value for key, value in state.items() if key not in _OF_TRAINING}
        save_checkpoint(last, {**facts, "model": state["average"]["weights"]})
        if _is_best(state["epoch"], state["average"]["scores"]):
            link_or_copy(last, best)

    def save_bad_batch(self, batch: ClipBatch) -> Path:
        """Writes bad_batch.pt and returns its path.

        It holds the uint8 clips as the network got them, boxes, labels, and which clips they are.
        """
        path = self.path / "bad_batch.pt"
        clips = [(keyframe.video_id, keyframe.timestamp) for keyframe in batch.keyframes]
        tensors = {
            "slow": batch.slow,
            "fast": batch.fast,
            "flow": batch.flow,
            "rois": batch.rois,
            "labels": batch.labels,
        }
        save_checkpoint(path, {**tensors, "clips": clips})
        return path

    def write_results(
        self, detections: Sequence[Detections], metrics: ActionMetrics, classes: Sequence[int]
    ) -> None:
        """Writes detections.csv, rows of the action ids in `classes` only, and metrics.json."""
        write_detections(self.path / "detections.csv", detections, action_ids=classes)
        write_json(self.path / "metrics.json", metrics.to_json())


def _is_best(epoch: int, scores: Mapping[int, float | None]) -> bool:
    """Returns whether an epoch was scored and no other's score is higher."""
    known = {number: score for number, score in scores.items() if score is not None}
    return epoch in known and known[epoch] == max(known.values())


def list_sources(config: Config) -> dict[str, str | list[str] | None]:
    """Returns config key -> the files it names, one or a list or none; zoo names too."""
    data = config.data
    sources: dict[str, str | list[str] | None] = {
        "weights": config.weights,
        "flow_weights": config.flow_weights,
        "data.label_map": data.label_map,
    }
    for name in ("train", "val", "test"):
        split = getattr(data, name)
        sources[f"data.{name}.annotations"] = split.annotation_files
        sources[f"data.{name}.excluded"] = split.excluded_files
        sources[f"data.{name}.boxes"] = split.box_sources
    return sources


def describe_metrics(metrics: ActionMetrics, folder: str | Path) -> str:
    """Returns the line that a run ends with."""
    written = f"detections.csv and metrics.json are in {folder}"
    result = metrics.result
    if result.mean_ap is None and result.num_keyframes:
        return f"no mAP exists: no keyframe has a label of the label map; {written}"
    if result.mean_ap is None:
        return f"no mAP exists: the keyframes have no labels; {written}"
    how = f"IoU 0.5, {result.protocol}, boxes: {metrics.boxes}, {result.num_keyframes} keyframes"
    shares = {"recall": metrics.person_recall, "precision": metrics.person_precision}
    known = [f"{name} {value:.3f}" for name, value in shares.items() if value is not None]
    persons = f"persons: {', '.join(known)}; " if known else ""
    return f"frame mAP {result.mean_ap:.4f} ({how}); {persons}{written}"


class Environment(TypedDict):
    """Holds what a run needs beside its config to be repeated."""

    command: list[str]
    python: str
    platform: str
    git_revision: str | None
    packages: dict[str, str | None]
    cuda: str | None
    device: str
    num_threads: int


def describe_environment() -> Environment:
    """Returns versions, hardware and the code's git revision, for repeating a run."""
    packages = (
        "ava_det",
        "torch",
        "torchvision",
        "av",
        "opencv-python-headless",
        "pandas",
        "numpy",
        "omegaconf",
    )
    cuda = torch.cuda.is_available()
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git_revision": _git_revision(),
        "packages": {name: _version(name) for name in packages},
        "cuda": torch.version.cuda if cuda else None,
        "device": torch.cuda.get_device_name()
        if cuda
        else platform.processor() or platform.machine(),
        "num_threads": torch.get_num_threads(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """Returns the commit of the package's checkout, with `-dirty` where files differ, or None."""
    folder = Path(__file__).resolve().parents[1]
    if not (folder.parent / ".git").exists():
        return None
    command = [
        "git",
        "-C",
        str(folder),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
