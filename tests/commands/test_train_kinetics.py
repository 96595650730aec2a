"""train_kinetics on clips of single actions, and a detector that starts from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ava_det.checkpoint import load_checkpoint
from ava_det.config import ConfigError, load_config
from ava_det.evaluation.metrics import TopMetrics
from ava_det.structures import ClipBatch, Keyframe
from ava_det.tasks import video_classification as build_kinetics
from ava_det.tasks.video_classification import (
    build_video_evaluation,
    compute_top,
    load_video_classes,
    place_crops,
    score_crops,
)
from ava_det.training import loop

RunTool = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def single_actions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training clips and one validation clip of each of the 12 actions."""
    folder = tmp_path_factory.mktemp("single")
    command = [
        sys.executable,
        str(ROOT / "data/synthetic/single_actions.py"),
        "--output",
        str(folder),
    ]
    subprocess.run(
        [*command, "--num-train=2", "--num-val=1", "--size=96x72"], check=True, capture_output=True
    )
    return folder


@pytest.fixture
def small_config(single_actions: Path, tmp_path: Path) -> list[str]:
    return [
        "--config",
        str(ROOT / "configs/synthetic/single_actions.yaml"),
        f"output_dir={tmp_path}/kinetics",
        "device=cpu",
        "precision=fp32",
        "model.width=4",
        "data.train_short_side=[32,36]",
        "data.crop_size=32",
        "train.epochs=1",
        "data.test_short_side=32",
        "train.log_every=2",
        f"data.train.annotations={single_actions}/train",
        f"data.val.annotations={single_actions}/val",
    ]


def test_from_clips_to_a_classifier_to_a_detector(
    run_tool: RunTool, small_config: list[str], synthetic_config: list[str], tmp_path: Path
) -> None:
    code, out, err = run_tool("train_kinetics", *small_config)
    assert code == 0, err
    assert "top-1" in out
    folder = tmp_path / "kinetics"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0 <= metrics["top1"] <= metrics["top5"] <= 1
    assert (metrics["num_videos"], metrics["views"], metrics["warnings"]) == (
        12,
        "10 clips x 3 crops",
        [],
    )
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert lines[-1] == {"epoch": 1, "top1": metrics["top1"]}
    assert lines[0]["loss"] == pytest.approx(2.48, abs=0.5)  # ln 12
    weights = folder / "checkpoints/last.pt"
    assert load_checkpoint(weights)["label_map"][1] == "carry or hold (an object)"

    code, _, err = run_tool("train_kinetics", *small_config, "--eval-only", f"weights={weights}")
    assert code == 0, err
    assert json.loads((folder / "metrics.json").read_text())["top1"] == metrics["top1"]

    code, out, err = run_tool("train_ava", *synthetic_config, f"weights={weights}")
    assert code == 0, err
    assert "head.projection.weight (file [12, 160], model [80, 160])" in out
    assert "what did not fit starts untrained" in out


@pytest.mark.slow
def test_a_run_stopped_in_the_middle_of_an_epoch_ends_as_if_it_had_not_been(
    run_tool: RunTool, small_config: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout and random places of the clips: 3 batches an epoch, stopped after the second
    epoch's second.
    """
    common = [*small_config, "train.epochs=2", "train.eval_every=1", "model.dropout=0.5"]
    assert run_tool("train_kinetics", *common, f"output_dir={tmp_path}/whole")[0] == 0
    take_step = loop.take_step
    steps = []

    def interrupted_step(*arguments: Any) -> object:
        steps.append(len(steps))
        if len(steps) == 4:  # seen before the step that follows
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "take_step", interrupted_step)
        code, _, err = run_tool("train_kinetics", *common)
    assert (code, err.strip().splitlines()[-1].split(";")[0]) == (0, "stopped by SIGTERM at step 5")
    folder = tmp_path / "kinetics"
    assert load_checkpoint(folder / "checkpoints/last.pt")["batch"] == 2
    code, _, err = run_tool("train_kinetics", *common, "--resume")
    assert code == 0, err
    whole, resumed = (
        load_checkpoint(path / "checkpoints/last.pt") for path in (tmp_path / "whole", folder)
    )
    for key in ("epoch", "batch", "mean_aps", "model", "optimizer", "rng"):
        torch.testing.assert_close(resumed[key], whole[key], rtol=0, atol=0)
    assert (folder / "metrics.json").read_text() == (tmp_path / "whole/metrics.json").read_text()


@pytest.mark.slow
def test_two_processes_train_and_score_as_one(
    run_tool: RunTool, small_config: list[str], tmp_path: Path
) -> None:
    """Frozen statistics, no dropout; each of 12 videos is tested by 10 clips, which the processes
    share out.
    """
    common = [
        *small_config,
        "train.freeze_bn=true",
        "model.dropout=0",
        "train.epochs=2",
        "train.optimizer=sgd",
    ]
    common += ["train.lr=0.01", "eval.batch_size=4"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [
        *torchrun,
        "-m",
        "ava_det.commands.train_kinetics",
        *common,
        f"output_dir={tmp_path}/two",
    ]
    finished = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=400,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    # the line of the evaluation and the line of the end, both of rank 0
    assert finished.stdout.count("top-1") == 2
    assert run_tool("train_kinetics", *common, f"output_dir={tmp_path}/one")[0] == 0
    one, two = (
        load_checkpoint(tmp_path / name / "checkpoints/last.pt")["model"] for name in ("one", "two")
    )
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-6)
    assert (tmp_path / "one/metrics.json").read_text() == (
        tmp_path / "two/metrics.json"
    ).read_text()


@pytest.mark.parametrize("batch_size", [4, 10])
def test_a_video_is_scored_by_the_mean_of_thirty_views(
    small_config: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    """A network that tells its views apart, however many clips it gets at a time."""
    config = load_config(small_config[1], [*small_config[2:], f"eval.batch_size={batch_size}"])
    views: list[torch.Tensor] = []

    class Spread(torch.nn.Module):
        def forward(
            self, slow: torch.Tensor, fast: torch.Tensor, rois: torch.Tensor
        ) -> torch.Tensor:
            logits = slow.std(dim=(2, 3, 4)).repeat(1, 4)
            views.extend(logits.softmax(dim=1))
            return logits

    scored: dict[str, torch.Tensor] = {}

    def remember(totals: dict[str, torch.Tensor], columns: dict[str, int]) -> TopMetrics:
        scored.update(totals)
        return compute_top(totals, columns)

    monkeypatch.setattr(build_kinetics, "compute_top", remember)
    build_video_evaluation(
        config, "val", load_video_classes(config), tmp_path, torch.device("cpu")
    )(Spread())
    assert len(views) == 12 * 10 * 3
    for place, total in enumerate(scored.values()):
        own = torch.stack(views[place * 30 : (place + 1) * 30])
        assert own.std(dim=0).min() > 1e-5
        torch.testing.assert_close(total / 10, own.mean(dim=0))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.head=roi"], ["model.head", "expected classification"]),
        (["model.num_classes=5"], ["model.num_classes", "at least 12"]),
        (["data.train.annotations=null"], ["data.train.annotations", "list of videos"]),
        (["data.val.annotations=absent"], ["absent", "expected a list"]),
        (["train.batch_size=64"], ["train.batch_size", "at most"]),
    ],
)
def test_mistakes_are_one_sentence(
    run_tool: RunTool, small_config: list[str], overrides: list[str], words: list[str]
) -> None:
    code, _, err = run_tool("train_kinetics", *small_config, *overrides)
    assert code == 2
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_a_video_that_cannot_be_read_costs_its_own_place(
    run_tool: RunTool, small_config: list[str], single_actions: Path, tmp_path: Path
) -> None:
    rows = [f"{path},{path.parent.name}" for path in sorted(single_actions.glob("val/*/*.mp4"))[:3]]
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    listed = tmp_path / "val.csv"
    listed.write_text("\n".join([*rows, f"{tmp_path}/broken.mp4,walk"]) + "\n")
    run_tool("train_kinetics", *small_config)
    weights = f"weights={tmp_path}/kinetics/checkpoints/last.pt"
    code, _, err = run_tool(
        "train_kinetics", *small_config, "--eval-only", weights, f"data.val.annotations={listed}"
    )
    assert code == 0, err
    assert "10 clips of" in err
    assert json.loads((tmp_path / "kinetics/metrics.json").read_text())["num_videos"] == 4


def test_top_one_and_five_of_known_scores() -> None:
    scores = {
        "a": torch.tensor([0.5, 0.3, 0.2, 0, 0, 0]),
        "b": torch.tensor([0.1, 0.2, 0.3, 0.05, 0.15, 0.0]),
    }
    metrics = compute_top(scores, {"a": 0, "b": 0, "lost": 2})
    assert (metrics.top1, metrics.top5) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert compute_top({"a": torch.zeros(6)}, {"a": 0}).top5 == 0  # a tie is no answer


@pytest.mark.parametrize("size", [(4, 10), (10, 4), (5, 5)])
def test_three_crops_are_the_ends_and_the_middle(size: tuple[int, int]) -> None:
    """A network that only says how bright its clip is, on a ramp along the longer side."""
    height, width = size
    longer = torch.arange(max(size), dtype=torch.float32)
    ramp = (
        longer[None, :].expand(height, width)
        if width >= height
        else longer[:, None].expand(height, width)
    )
    seen: list[torch.Tensor] = []

    def network(slow: torch.Tensor, fast: None, rois: torch.Tensor) -> torch.Tensor:
        assert slow.shape[-1] == slow.shape[-2] == min(size)
        seen.append(slow.mean())
        return torch.zeros(1, 2)

    keyframe = Keyframe("v", 0.0, torch.tensor([[0.0, 0, 1, 1]]), None, torch.ones(1))
    batch = ClipBatch(
        ramp.expand(1, 3, 2, height, width), None, torch.zeros(1, 5), None, [keyframe]
    )
    scores = score_crops(network, batch, "fp32")
    torch.testing.assert_close(scores, torch.full((1, 2), 0.5))
    half = (min(size) - 1) / 2
    expected = [half, (max(size) - 1) / 2, max(size) - 1 - half]
    assert [float(value) for value in seen] == pytest.approx(expected, abs=0.5)


def test_where_the_crops_of_other_papers_stand() -> None:
    assert place_crops(100, 160, 80, 1) == [(10, 40, False)]
    assert place_crops(160, 100, 80, 3) == [(0, 10, False), (40, 10, False), (80, 10, False)]
    ten = place_crops(100, 160, 80, 10)
    assert ten[:5] == [
        (0, 0, False),
        (0, 80, False),
        (20, 0, False),
        (20, 80, False),
        (10, 40, False),
    ]
    assert ten[5:] == [(top, left, True) for top, left, _ in ten[:5]]
    frames = torch.arange(5.0 * 7).view(1, 1, 1, 5, 7)
    keyframe = Keyframe("v", 0.0, torch.tensor([[0.0, 0, 1, 1]]), None, torch.ones(1))
    batch = ClipBatch(frames, None, torch.zeros(1, 5), None, [keyframe])
    firsts: list[float] = []
    firsts_of_crops = [0, 3, 7, 10, 2, 3, 6, 10, 13, 5]

    def network(slow: torch.Tensor, fast: None, rois: torch.Tensor) -> torch.Tensor:
        assert slow.shape[-2:] == (4, 4)
        firsts.append(float(slow[..., 0, 0]))
        return torch.zeros(1, 2)

    score_crops(network, batch, "fp32", 10, 4)
    moving: list[list[float]] = []

    def flow_network(flow: torch.Tensor, **_: object) -> torch.Tensor:
        moving.append(flow[0, :, 0, 0, 0].tolist())
        return torch.zeros(1, 2)

    flow = torch.cat((frames, frames + 100), dim=1)
    batch = ClipBatch(None, None, torch.zeros(1, 5), None, [keyframe], flow=flow, u_at_rest=0.5)
    score_crops(flow_network, batch, "fp32", 10, 4)
    assert [v - 100 for _, v in moving] == firsts_of_crops
    assert [u for u, _ in moving[:5]] == firsts_of_crops[:5]
    assert [u for u, _ in moving[5:]] == [1 - u for u in firsts_of_crops[5:]]
    assert firsts == firsts_of_crops
    with pytest.raises(ConfigError, match=r"eval\.crop_size: expected a number of pixels"):
        load_config("configs/kinetics/artnet_r18.yaml", ["eval.crop_size=null"])
    with pytest.raises(ConfigError, match=r"eval\.num_crops: expected 1, 3 or 10"):
        load_config("configs/kinetics/artnet_r18.yaml", ["eval.num_crops=5"])
