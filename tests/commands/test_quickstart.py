"""`make quickstart`, as a newcomer runs it (slow) and in the small (fast)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import cv2
import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_quickstart(folder: Path, *arguments: str) -> tuple[str, Path]:
    output = folder / "quickstart"
    command = [
        sys.executable,
        str(ROOT / "tools/quickstart.py"),
        f"--output={output}",
        f"--dataset={folder}/data",
    ]
    finished = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout, output


def check_files(stdout: str, output: Path) -> tuple[float, float]:
    detected = json.loads((output / "metrics.json").read_text())
    labelled = json.loads((output / "metrics_gt_boxes.json").read_text())
    assert (detected["boxes"], labelled["boxes"]) == ("motion", "gt")
    assert f"{detected['mAP']:.3f}" in stdout
    assert f"{labelled['mAP']:.3f}" in stdout
    for name in ("detections.csv", "checkpoints/last.pt", "overlay.mp4", "overlay.png"):
        assert (output / name).stat().st_size > 0
        assert name in stdout
    with av.open(str(output / "overlay.mp4")) as overlay:
        frames = sum(1 for _ in overlay.decode(video=0))
        assert overlay.streams.video[0].codec_context.name == "h264"
    assert frames > 60
    sheet = cv2.imread(str(output / "overlay.png"))
    assert sheet.std() > 10
    return detected["mAP"], labelled["mAP"]


def test_the_small_twin(tmp_path: Path) -> None:
    small = [
        "model.width=4",
        "data.train_short_side=[32,32]",
        "data.test_short_side=32",
        "train.epochs=1",
    ]
    arguments = ["--num-train=2", "--num-val=1", *small, "device=cpu", "precision=fp32"]
    check_files(*run_quickstart(tmp_path, *arguments))
    check_files(*run_quickstart(tmp_path, *arguments))  # safe to run twice


@pytest.mark.slow
def test_the_real_thing_reaches_its_numbers(tmp_path: Path) -> None:
    detected, labelled = check_files(*run_quickstart(tmp_path))
    assert detected >= 0.75
    assert labelled >= detected
