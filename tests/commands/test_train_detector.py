"""The person detector's training: a run a few steps long, its resume, its ranks, its mistakes; and
one that learns.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.checkpoint import load_checkpoint
from ava_det.config import load_config
from ava_det.detectors.faster_rcnn import (
    FasterRCNN,
    FasterRCNNDetector,
    InputRule,
    load_faster_rcnn,
    save_faster_rcnn,
)
from ava_det.detectors.registry import build_detector
from ava_det.formats.annotations import load_boxes
from ava_det.tasks.person_detection import PersonLoss, build_frame_loader, keep_persons
from ava_det.training import loop
from ava_det.training.loss import StepLoss
from tests.support.rendering import render_synthetic

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, str, str]]
SMALLEST = [
    "detector.width=4",
    "detector.channels=8",
    "detector.hidden=8",
    "data.test_short_side=64",
]


@pytest.fixture
def arguments(synthetic: Path, tmp_path: Path) -> list[str]:
    """`--config FILE` and overrides for a run of the smallest detector, eight steps an epoch."""
    data = [f"data.{split}.annotations={synthetic}/{split}.csv" for split in ("train", "val")]
    return [
        "--config",
        str(ROOT / "configs/detector/synthetic.yaml"),
        f"output_dir={tmp_path}/run",
        "device=cpu",
        f"data.video_dir={synthetic}/videos",
        "data.train.excluded=null",
        *data,
        *SMALLEST,
        "data.train_short_side=[48,64]",
        "train.batch_size=2",
        "train.log_every=1",
        "train.epochs=2",
    ]


def test_a_run_leaves_a_detector_that_every_tool_takes(
    run_tool: Run, arguments: list[str], synthetic: Path, tmp_path: Path
) -> None:
    code, out, err = run_tool("train_detector", *arguments)
    assert code == 0, err
    run = tmp_path / "run"
    found = re.search(r"faster_rcnn:(\S+)", out)
    assert found is not None
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics) == {"AP", "AP50", "AP75", "recall", "precision", "min_score"}
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {"rpn_cls", "rpn_loc", "box_cls", "box_loc", "loss", "lr", "step", "epoch"} <= set(
        lines[0]
    )
    assert lines[-1]["AP50"] == metrics["AP50"]
    model, rule = load_faster_rcnn(found[1])
    assert (model.architecture["width"], model.architecture["num_classes"], rule.short_side) == (
        4,
        1,
        64,
    )
    detector = build_detector(found[0], torch.device("cpu"))
    [(boxes, scores)] = detector([np.zeros((90, 120, 3), np.uint8)])
    assert boxes.shape == (len(scores), 4)
    code, _, err = run_tool(
        "detect_persons",
        "--videos",
        synthetic / "videos",
        "--detector",
        "faster_rcnn",
        "--weights",
        found[1],
        "--output",
        tmp_path / "boxes.csv",
        "--at",
        synthetic / "val.csv",
        "--start-second",
        900,
        "--device",
        "cpu",
    )
    assert code == 0, err
    again = load_boxes(tmp_path / "boxes.csv", 0.0)
    before = load_boxes(run / "boxes.csv", 0.0)
    assert {key: len(scores) for key, (_, scores) in again.items()} == {
        k: len(s) for k, (_, s) in before.items()
    }


def test_one_and_one_epoch_are_two(run_tool: Run, arguments: list[str], tmp_path: Path) -> None:
    halves = [*arguments, "train.schedule=steps", "train.steps=[]"]
    straight = [*halves, f"output_dir={tmp_path}/straight"]
    assert run_tool("train_detector", *straight)[0] == 0
    assert run_tool("train_detector", *halves, "train.epochs=1")[0] == 0
    assert run_tool("train_detector", *halves, "--resume")[0] == 0
    resumed, _ = load_faster_rcnn(tmp_path / "run/checkpoints/last.pt")
    expected, _ = load_faster_rcnn(tmp_path / "straight/checkpoints/last.pt")
    for name, value in expected.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_stopped_run_goes_on_bit_for_bit_and_its_best_is_scored_alone(
    run_tool: Run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    arguments = [*arguments, "train.epochs=1", "train.micro_batches=2"]
    assert run_tool("train_detector", *arguments, f"output_dir={tmp_path}/straight")[0] == 0
    take_step = loop.take_step
    steps: list[int] = []

    def interrupted_step(*values: Any) -> StepLoss:
        steps.append(len(steps))
        if len(steps) == 2:  # seen after the step that follows
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step(*values)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "take_step", interrupted_step)
        code, _, err = run_tool("train_detector", *arguments)
    assert code == 0
    assert err.strip().splitlines()[-1].startswith("stopped by SIGTERM at step 3; the state is")
    assert load_checkpoint(run / "checkpoints/last.pt")["batch"] == 3
    assert not (run / "metrics.json").exists()
    assert run_tool("train_detector", *arguments, "--resume")[0] == 0
    resumed, straight = (
        load_checkpoint(folder / "checkpoints/best.pt") for folder in (run, tmp_path / "straight")
    )
    for key in ("epoch", "mean_aps", "model", "optimizer", "rng"):
        torch.testing.assert_close(resumed[key], straight[key], rtol=0, atol=0)
    alone = [
        f"output_dir={tmp_path}/alone",
        "--eval-only",
        "--weights",
        run / "checkpoints/best.pt",
    ]
    code, out, err = run_tool("train_detector", *arguments, *alone)
    assert code == 0, err
    assert "last.pt" not in out
    assert (tmp_path / "alone/metrics.json").read_text() == (run / "metrics.json").read_text()
    assert not (tmp_path / "alone/checkpoints").exists()


def test_mistakes_are_one_sentence(run_tool: Run, arguments: list[str], tmp_path: Path) -> None:
    for wrong, sentence in (
        (["--resume"], "expected the checkpoint"),
        (["detector.depth=17"], "detector.depth"),
        (["detector.norm=frozen_bn"], "detector.norm"),
        (["data.train.annotations=null"], "data.train.annotations: expected an AVA CSV"),
        ([f"weights={tmp_path}/none.pth"], "none.pth"),
        (
            ["train.lr=1e30", "train.clip_grad_norm=null"],
            "expected finite numbers, try a lower train.lr",
        ),
    ):
        code, _, err = run_tool("train_detector", *arguments, *wrong)
        assert code == 2
        last = err.strip().splitlines()[-1]
        assert last.startswith("error: "), err
        assert sentence in last


def test_a_network_of_eighty_classes_keeps_its_persons() -> None:
    torch.manual_seed(0)
    coco = FasterRCNN(
        18, 4, norm="bn", channels=8, hidden=8, num_classes=80, min_score=0.0, max_boxes=100_000
    ).eval()
    persons = keep_persons(coco)
    maps = [torch.rand(1, 8, 64 // 2**level, 64 // 2**level) for level in range(5)]
    proposals = [torch.tensor([[3.0, 4.0, 90.0, 120.0], [40.0, 10.0, 80.0, 60.0]])]
    logits, offsets = coco.roi_heads._predict(maps, proposals)
    own_logits, own_offsets = persons.roi_heads._predict(maps, proposals)
    torch.testing.assert_close(own_logits, logits[:, [0, 80]])
    torch.testing.assert_close(own_offsets, offsets[:, :1])


def test_weights_of_a_file_are_where_training_starts(
    run_tool: Run, arguments: list[str], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    start = FasterRCNN(18, 6, norm="bn", channels=8, hidden=8, num_classes=3)
    save_faster_rcnn(tmp_path / "start.pt", start, InputRule(64, 200))
    still = [f"weights={tmp_path}/start.pt", "train.lr=1e-12", "train.epochs=1"]
    assert run_tool("train_detector", *arguments, *still)[0] == 0
    model, _ = load_faster_rcnn(tmp_path / "run/checkpoints/last.pt")
    assert model.architecture["width"] == 6
    stem = "backbone.bottom_up.stem.conv1.weight"
    torch.testing.assert_close(model.state_dict()[stem], start.state_dict()[stem])


def test_a_keyframe_without_a_person_gives_losses(
    arguments: list[str], synthetic: Path, tmp_path: Path
) -> None:
    annotations = tmp_path / "train.csv"
    annotations.write_text((synthetic / "train.csv").read_text() + "train_00000,0902.5\n")
    config = load_config(arguments[1], [*arguments[2:], f"data.train.annotations={annotations}"])
    loader = build_frame_loader(config)
    assert any(len(keyframe.boxes) == 0 for keyframe in loader.dataset.keyframes)
    model = FasterRCNN(18, 4, norm="bn", channels=8, hidden=8, num_classes=1)
    loss = PersonLoss(InputRule(), "bf16")
    for batch in loader:
        losses = loss.compute(model, batch, loss.count(batch)).parts
        assert all(
            loss.dtype == torch.float32 and bool(loss.isfinite()) for loss in losses.values()
        )
        torch.stack(list(losses.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.slow
def test_two_ranks_train_one_detector(arguments: list[str], tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for epochs, options in ((1, []), (2, ["--resume"])):
        command = [
            *torchrun,
            str(ROOT / "tools/train_detector.py"),
            *arguments,
            *options,
            f"train.epochs={epochs}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("the detector is faster_rcnn:") == 1
        state = load_checkpoint(tmp_path / "run/checkpoints/last.pt")
        assert (state["epoch"], len(state["rng"])) == (epochs, 2)


@pytest.mark.gpu
def test_a_run_on_cuda(run_tool: Run, arguments: list[str]) -> None:
    code, _, err = run_tool("train_detector", *arguments, "device=cuda", "precision=bf16")
    assert code == 0, err


@pytest.mark.slow
def test_from_random_weights_it_finds_the_synthetic_persons(run_tool: Run, tmp_path: Path) -> None:
    synthetic = render_synthetic(tmp_path / "set")
    started = time.process_time()
    code, out, err = run_tool(
        "train_detector",
        "--config",
        ROOT / "configs/detector/synthetic.yaml",
        f"output_dir={tmp_path}/run",
        "device=cpu",
        f"data.video_dir={synthetic}/videos",
        f"data.train.annotations={synthetic}/train.csv",
        f"data.train.excluded={synthetic}/train_excluded.csv",
        f"data.val.annotations={synthetic}/val.csv",
    )
    assert code == 0, err
    assert json.loads((tmp_path / "run/metrics.json").read_text())["AP50"] >= 0.9, out
    assert time.process_time() - started < 15 * 60
    weights = tmp_path / "run/checkpoints/last.pt"
    detector = build_detector(f"faster_rcnn:{weights}", torch.device("cpu"))
    assert isinstance(detector, FasterRCNNDetector)
