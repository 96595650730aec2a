"""train_kinetics on clips of single actions, and a detector that starts from it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ava_det.build.kinetics import compute_top, score_crops
from ava_det.checkpoint import load_checkpoint
from ava_det.structures import ClipBatch, Keyframe

RunTool = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def single_actions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training clips and one validation clip of each of the 12 actions."""
    folder = tmp_path_factory.mktemp("single")
    command = [sys.executable, str(ROOT / "data/synthetic/single_actions.py"), "--output", str(folder)]
    subprocess.run([*command, "--num-train=2", "--num-val=1", "--size=96x72"], check=True, capture_output=True)
    return folder


@pytest.fixture
def small_config(single_actions: Path, tmp_path: Path) -> list[str]:
    return [
        "--config", str(ROOT / "configs/synthetic/single_actions.yaml"), f"output_dir={tmp_path}/kinetics",
        "device=cpu", "precision=fp32", "model.width=4", "data.train_short_side=[32,36]",
        "data.crop_size=32", "train.epochs=1",
        "data.test_short_side=32", "train.log_every=2", f"data.train.annotations={single_actions}/train",
        f"data.val.annotations={single_actions}/val",
    ]  # fmt: skip


def test_from_clips_to_a_classifier_to_a_detector(
    run_tool: RunTool, small_config: list[str], synthetic_config: list[str], tmp_path: Path
) -> None:
    code, out, err = run_tool("train_kinetics", *small_config)
    assert code == 0, err
    assert "top-1" in out
    folder = tmp_path / "kinetics"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0 <= metrics["top1"] <= metrics["top5"] <= 1
    assert (metrics["num_videos"], metrics["views"], metrics["warnings"]) == (12, "10 clips x 3 crops", [])
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
    code, _, err = run_tool("train_kinetics", *small_config, "--eval-only", weights, f"data.val.annotations={listed}")
    assert code == 0, err
    assert "10 clips of" in err
    assert json.loads((tmp_path / "kinetics/metrics.json").read_text())["num_videos"] == 4


def test_top_one_and_five_of_known_scores() -> None:
    scores = {"a": torch.tensor([0.5, 0.3, 0.2, 0, 0, 0]), "b": torch.tensor([0.1, 0.2, 0.3, 0.05, 0.15, 0.0])}
    metrics = compute_top(scores, {"a": 0, "b": 0, "lost": 2})
    assert (metrics["top1"], metrics["top5"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert compute_top({"a": torch.zeros(6)}, {"a": 0})["top5"] == 0  # a tie is no answer


@pytest.mark.parametrize("size", [(4, 10), (10, 4), (5, 5)])
def test_three_crops_are_the_ends_and_the_middle(size: tuple[int, int]) -> None:
    """A network that only says how bright its clip is, on a ramp along the longer side."""
    height, width = size
    longer = torch.arange(max(size), dtype=torch.float32)
    ramp = longer[None, :].expand(height, width) if width >= height else longer[:, None].expand(height, width)
    seen: list[torch.Tensor] = []

    def network(slow: torch.Tensor, fast: None, rois: torch.Tensor) -> torch.Tensor:
        assert slow.shape[-1] == slow.shape[-2] == min(size)
        seen.append(slow.mean())
        return torch.zeros(1, 2)

    keyframe = Keyframe("v", 0.0, torch.tensor([[0.0, 0, 1, 1]]), None, torch.ones(1))
    batch = ClipBatch(ramp.expand(1, 3, 2, height, width), None, torch.zeros(1, 5), None, [keyframe])
    scores = score_crops(network, batch, "fp32")  # type: ignore[arg-type]
    torch.testing.assert_close(scores, torch.full((1, 2), 0.5))
    half = (min(size) - 1) / 2
    expected = [half, (max(size) - 1) / 2, max(size) - 1 - half]
    assert [float(value) for value in seen] == pytest.approx(expected, abs=0.5)
