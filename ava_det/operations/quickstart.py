"""Does what `ava-det quickstart` does: runs render, train, test and demo one by one."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from ava_det.config import Config, config_to_dict, load_config
from ava_det.device.threads import build_child_environment
from ava_det.files import atomic_path
from ava_det.interrupts import INTERRUPTED, SILENT, withheld_interrupts

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "configs/synthetic/slowfast.yaml"
# A network this small is no faster with two threads: its operators end before a second one wakes up
# (docs/performance.md, "Beside other processes").
TRAINING_THREADS = 1


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det quickstart` and returns its exit code."""
    start = time.monotonic()
    training = [f"output_dir={args.output}", *dataset_overrides(args.dataset), *args.overrides]
    config = load_config(CONFIG, training)
    try:
        run_all(args, config, training)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(describe_stop(args.output, config, args.dataset)) from None
    print(summary(args.output, time.monotonic() - start))
    return 0


def run_all(args: argparse.Namespace, config: Config, training: list[str]) -> None:
    """Runs the four commands.

    Args:
        args: The options.
        config: Of the training.
        training: The overrides that make it of `CONFIG`; the first is output_dir.

    Raises:
        SystemExit: A command failed; with its exit code.
        KeyboardInterrupt: Ctrl-C ended one.
    """
    sizes = [
        f"--num-{split}={n}"
        for split, n in (("train", args.num_train), ("val", args.num_val))
        if n is not None
    ]
    run_command("render", "--output", args.dataset, *sizes)
    resume = is_unfinished(args.output, config, args.dataset)
    if resume:
        print(
            f"\nthe training in {args.output} was interrupted, its settings are these: it goes on"
        )
    train = ("train", "--config", CONFIG, *training, *(["--resume"] if resume else []))
    run_command(*train, num_threads=None if "OMP_NUM_THREADS" in os.environ else TRAINING_THREADS)
    gt_output = args.output / "gt_boxes"
    overrides = training[1:]
    scored = ("--config", CONFIG, "--weights", args.output / "checkpoints" / "last.pt")
    run_command("test", *scored, "--boxes", "gt", f"output_dir={gt_output}", *overrides)
    with atomic_path(args.output / "metrics_gt_boxes.json") as temporary:
        shutil.copyfile(gt_output / "metrics.json", temporary)
    video = next((args.dataset / "videos").glob("demo_*.mp4"))
    overlay = ("--output", args.output / "overlay.mp4", "--sheet", args.output / "overlay.png")
    detected = ("--detector", "motion", "--every", "0.5")
    run_command("demo", "--video", video, *overlay, *scored, *detected, *overrides)


def dataset_overrides(dataset: Path) -> list[str]:
    """Returns the overrides that point the config at a dataset in another folder."""
    files = [f"data.{split}.annotations={dataset}/{split}.csv" for split in ("train", "val")]
    files += [f"data.{split}.excluded={dataset}/{split}_excluded.csv" for split in ("train", "val")]
    return [f"data.video_dir={dataset}/videos", f"data.label_map={dataset}/labelmap.pbtxt", *files]


def is_unfinished(output: Path, config: Config, dataset: Path) -> bool:
    """Returns whether a folder holds a training that was begun and not scored yet.

    Args:
        output: The folder.
        config: The config that the training must have.
        dataset: The rendered dataset, which must not be newer than the training.
    """
    last = output / "checkpoints" / "last.pt"
    if not last.is_file() or (output / "metrics.json").exists():
        return False
    from ava_det.checkpoint import load_checkpoint  # torch: slow, and the four commands load it too

    was_rendered_since = (dataset / "complete.json").stat().st_mtime > last.stat().st_mtime
    return not was_rendered_since and load_checkpoint(last).get("config") == config_to_dict(config)


def describe_stop(output: Path, config: Config, dataset: Path) -> str:
    """Says how to go on after Ctrl-C; the arguments are those of `is_unfinished`."""
    if not (dataset / "complete.json").exists():
        rest = "begins again with the videos"
    elif is_unfinished(output, config, dataset):
        rest = "goes on with the training, whose state is saved"
    else:
        rest = "begins again with the training"
    return f"stopped; the same command {rest}"


def run_command(command: str, *arguments: object, num_threads: int | None = None) -> None:
    """Runs one command in a process of its own; where it fails, its exit code ends this one.

    Ctrl-C reaches that process too, and this one waits for it: a training saves its state first.

    Args:
        command: Of `ava-det`.
        *arguments: Its arguments.
        num_threads: With which it computes; None for torch's default.

    Raises:
        SystemExit: It failed; with its exit code.
        KeyboardInterrupt: Ctrl-C ended it; it has said nothing.
    """
    texts = [command, *(str(argument) for argument in arguments)]
    print(f"\n$ ava-det {shlex.join(texts)}", flush=True)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **build_child_environment(num_threads),
        "PYTHONPATH": os.pathsep.join(paths),
        SILENT: "1",
    }
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with withheld_interrupts():
            process = subprocess.Popen([sys.executable, "-m", "ava_det", *texts], env=environment)
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise SystemExit(code)


def summary(output: Path, seconds: float) -> str:
    """Formats both scores and the files to look at."""
    detected = json.loads((output / "metrics.json").read_text())
    labeled = json.loads((output / "metrics_gt_boxes.json").read_text())
    return f"""
frame mAP with detected boxes      {detected["mAP"]:.3f}   {output}/metrics.json
frame mAP with ground-truth boxes  {labeled["mAP"]:.3f}   {output}/metrics_gt_boxes.json
persons found by the detector      {detected["person_recall"]:.3f}   (recall at IoU 0.5)
every detection                    {output}/detections.csv
the trained detector               {output}/checkpoints/last.pt
what it looks like                 {output}/overlay.mp4, {output}/overlay.png
took {seconds:.0f} s"""
