"""train_ava killed, preempted, out of disk: what is left on disk always leads to the same end."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import load_checkpoint
from ava_det.training import loop
from ava_det.training.loss import ActionLoss, StepLoss

RunTool = Callable[..., tuple[int, str, str]]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ava_det.commands.train", *arguments]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def count_steps(folder: Path) -> int:
    return (
        (folder / "log.jsonl").read_text().count('"step"') if (folder / "log.jsonl").exists() else 0
    )


@pytest.mark.slow
def test_killed_at_ten_random_moments_is_not_interrupted_at_all(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    common = [
        *synthetic_config,
        "train.epochs=4",
        "train.eval_every=1",
        "train.save_every=0",
        "model.dropout=0.5",
    ]
    assert run_tool("train_ava", *common, f"output_dir={tmp_path}/whole")[0] == 0
    draw = random.Random(7)
    folder = tmp_path / "killed"
    kills = 0
    resume = []
    options = [*common, f"output_dir={folder}"]
    while kills < 10:
        process = start([*options, *resume])
        seen = count_steps(folder)
        while count_steps(folder) - seen < 1 and process.poll() is None:
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.6))  # in a step, a write or an evaluation
        if process.poll() is not None:
            process.communicate()  # closes its pipes
            break
        process.kill()
        process.communicate()
        kills += (folder / "checkpoints/last.pt").exists()
        resume = ["--resume"] if (folder / "checkpoints/last.pt").exists() else []
    assert kills >= 5, "the training is too short for this test"
    code, _, err = run_tool("train_ava", *options, "--resume")
    assert code == 0, err
    whole, killed = (
        load_checkpoint(tmp_path / name / "checkpoints/last.pt") for name in ("whole", "killed")
    )
    for key in ("epoch", "batch", "mean_aps", "model", "optimizer", "rng"):
        torch.testing.assert_close(whole[key], killed[key], rtol=0, atol=0)
    assert json.loads((folder / "metrics.json").read_text()) == json.loads(
        (tmp_path / "whole/metrics.json").read_text()
    )
    losses = [
        {
            line["step"]: line["loss"]
            for line in map(json.loads, file.read_text().splitlines())
            if "step" in line
        }
        for file in (tmp_path / "whole/log.jsonl", folder / "log.jsonl")
    ]
    assert losses[0] == losses[1]
    assert not list(folder.rglob(".*.tmp"))


@pytest.mark.parametrize(("name", "expected"), [("SIGTERM", 0), ("SIGUSR1", 0), ("SIGINT", 130)])
def test_a_preempted_run_says_so_and_goes_on(
    run_tool: RunTool,
    synthetic_config: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    expected: int,
) -> None:
    take_step = loop.take_step
    steps = []

    def interrupted_step(*arguments: object) -> object:
        steps.append(len(steps))
        if len(steps) == 2:
            os.kill(os.getpid(), getattr(signal, name))
        return take_step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "take_step", interrupted_step)
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored where tests run in the background
    code, _, err = run_tool("train_ava", *synthetic_config)
    signal.signal(signal.SIGINT, before)
    assert code == expected
    assert (
        err.strip().splitlines()[-1]
        == f"stopped by {name} at step 3; the state is saved, go on with --resume"
    )
    assert not (tmp_path / "run/metrics.json").exists()
    code, _, err = run_tool("train_ava", *synthetic_config, "--resume")
    assert code == 0, err
    assert load_checkpoint(tmp_path / "run/checkpoints/last.pt")["epoch"] == 1


def test_checkpoints_of_the_last_epochs_and_of_the_best_stay(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    code, _, err = run_tool("train_ava", *synthetic_config, "train.epochs=4", "train.eval_every=1")
    assert code == 0, err
    folder = tmp_path / "run/checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.pt",
        "epoch_0003.pt",
        "epoch_0004.pt",
        "last.pt",
    ]
    scores = {
        line["epoch"]: line["mAP"]
        for line in map(json.loads, (tmp_path / "run/log.jsonl").read_text().splitlines())
        if "mAP" in line
    }
    assert sorted(scores) == [1, 2, 3, 4]
    best = load_checkpoint(folder / "best.pt")
    assert scores[best["epoch"]] == max(scores.values())
    assert run_tool("train_ava", *synthetic_config, "train.keep_checkpoints=0")[0] == 0
    assert sorted(path.name for path in folder.iterdir()) == ["best.pt", "last.pt"]


def test_a_full_disk_ends_the_run_with_a_sentence(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    try:
        code, _, err = run_tool("train_ava", *synthetic_config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 2
    assert "last.pt: cannot be written (File too large)" in err.strip().splitlines()[-1]
    assert not list((tmp_path / "run/checkpoints").iterdir())


def test_the_clips_of_a_loss_that_is_no_number_are_kept(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = ActionLoss.compute
    calls = []

    def broken_at_the_third(self: ActionLoss, *arguments: object) -> StepLoss:
        calls.append(arguments[1].keyframes)  # type: ignore[attr-defined]
        losses, logit = compute(self, *arguments)  # type: ignore[arg-type]
        factor = float("nan") if len(calls) == 3 else 1.0
        return StepLoss({"loss": losses["loss"] * factor}, logit)

    monkeypatch.setattr(ActionLoss, "compute", broken_at_the_third)
    code, _, err = run_tool("train_ava", *synthetic_config, "train.log_every=4")
    assert code == 2
    sentence = err.strip().splitlines()[-1]
    assert "step 3 " in sentence
    assert "bad_batch.pt" in sentence
    assert all(
        f"{keyframe.video_id} at {keyframe.timestamp:g}" in sentence for keyframe in calls[2]
    )
    kept = load_checkpoint(tmp_path / "run/bad_batch.pt")
    assert [(k.video_id, k.timestamp) for k in calls[2]] == [tuple(clip) for clip in kept["clips"]]
    assert kept["slow"].dtype == torch.uint8
    assert not (tmp_path / "run/checkpoints").exists()
