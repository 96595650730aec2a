"""`make quickstart`, as a newcomer runs it (slow) and in the small (fast)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import cv2
import pytest

from ava_det.checkpoint import save_checkpoint
from ava_det.config import config_to_dict, load_config
from ava_det.operations.quickstart import is_unfinished

ROOT = Path(__file__).resolve().parents[2]


def run_quickstart(folder: Path, *arguments: str) -> tuple[str, Path]:
    finished = subprocess.run(
        make_command(folder, *arguments), capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout, folder / "quickstart"


def make_command(folder: Path, *arguments: str) -> list[str]:
    quickstart = [sys.executable, str(ROOT / "tools/quickstart.py")]
    return [*quickstart, f"--output={folder}/quickstart", f"--dataset={folder}/data", *arguments]


def read_steps(output: Path) -> list[int]:
    log = output / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [line["step"] for line in lines if "step" in line]


def check_files(stdout: str, output: Path) -> tuple[float, float]:
    detected = json.loads((output / "metrics.json").read_text())
    labeled = json.loads((output / "metrics_gt_boxes.json").read_text())
    assert (detected["boxes"], labeled["boxes"]) == ("motion", "gt")
    assert f"{detected['mAP']:.3f}" in stdout
    assert f"{labeled['mAP']:.3f}" in stdout
    for name in ("detections.csv", "checkpoints/last.pt", "overlay.mp4", "overlay.png"):
        assert (output / name).stat().st_size > 0
        assert name in stdout
    with av.open(str(output / "overlay.mp4")) as overlay:
        frames = sum(1 for _ in overlay.decode(video=0))
        assert overlay.streams.video[0].codec_context.name == "h264"
    assert frames > 60
    sheet = cv2.imread(str(output / "overlay.png"))
    assert sheet.std() > 10
    return detected["mAP"], labeled["mAP"]


SMALL = [
    *("--num-train=2", "--num-val=1", "device=cpu", "precision=fp32"),
    *("model.width=4", "data.train_short_side=[32,32]", "data.test_short_side=32"),
]


def test_the_small_twin_stopped_run_to_its_end_and_run_again(tmp_path: Path) -> None:
    arguments = [*SMALL, "train.epochs=4"]
    output = tmp_path / "quickstart"
    _, stderr = stop_in_training(tmp_path, *arguments)
    done = read_steps(output)
    sentences = [line for line in stderr.splitlines() if "stop" in line]
    assert sentences == [
        "stopped; the same command goes on with the training, whose state is saved"
    ]
    assert stderr.splitlines()[-1] == sentences[0]
    assert "Traceback" not in stderr

    stdout, _ = run_quickstart(tmp_path, *arguments)
    assert "was interrupted, its settings are these: it goes on" in stdout
    check_files(stdout, output)
    steps = read_steps(output)
    assert steps[: len(done)] == done
    assert steps == sorted(set(steps))

    stop_in_training(tmp_path, *arguments)  # what is complete is begun anew
    assert read_steps(output)[0] == 1
    assert not (output / "metrics.json").exists()


def stop_in_training(folder: Path, *arguments: str) -> tuple[str, str]:
    """Sends Ctrl-C at the first step; returns what was said on stdout and stderr."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    log = folder / "quickstart/log.jsonl"
    before = log.stat().st_mtime_ns if log.exists() else 0
    process = subprocess.Popen(
        make_command(folder, *arguments), cwd=ROOT, start_new_session=True, **pipes
    )
    while not (log.exists() and log.stat().st_mtime_ns > before and read_steps(log.parent)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process in it
    stdout, stderr = process.communicate()
    assert process.returncode == 130
    return stdout, stderr


def test_only_the_very_same_training_goes_on(tmp_path: Path) -> None:
    config, other = (
        load_config(ROOT / "configs/synthetic/slowfast.yaml", [f"seed={seed}"]) for seed in (1, 2)
    )
    assert not is_unfinished(tmp_path, config, tmp_path)
    (tmp_path / "complete.json").touch()
    (tmp_path / "checkpoints").mkdir()
    save_checkpoint(
        tmp_path / "checkpoints/last.pt", {"config": config_to_dict(config), "model": {}}
    )
    assert is_unfinished(tmp_path, config, tmp_path)
    assert not is_unfinished(tmp_path, other, tmp_path)
    (tmp_path / "metrics.json").touch()
    assert not is_unfinished(tmp_path, config, tmp_path)
    (tmp_path / "metrics.json").unlink()
    later = (tmp_path / "checkpoints/last.pt").stat().st_mtime + 1
    os.utime(tmp_path / "complete.json", (later, later))  # other videos were rendered
    assert not is_unfinished(tmp_path, config, tmp_path)


@pytest.mark.slow
def test_the_real_thing_reaches_its_numbers(tmp_path: Path) -> None:
    detected, labeled = check_files(*run_quickstart(tmp_path))
    assert detected >= 0.85
    assert labeled >= detected
