"""A network of exactly one action a person, from a truth of tubes to a video mAP (slow)."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ava_det.checkpoint import load_checkpoint
from ava_det.commands.render import main as render
from ava_det.formats.tubes import Tube, TubeTruth, load_tube_truth, read_tubes
from ava_det.formats.tubes.truth_writer import write_truth
from tests.support.tool_runs import RunTool

pytest.importorskip("onnxscript", reason="needs an extra: pip install 'ava_det[onnx]'")
ROOT = Path(__file__).resolve().parents[2]
# every figure of the synthetic set does exactly one of these at any time
MOVEMENTS = ("fall down", "get up", "lie/sleep", "run/jog", "stand", "walk")
pytestmark = pytest.mark.slow


@pytest.fixture
def truth(tmp_path: Path) -> TubeTruth:
    """The tubes of the movements of a rendered set."""
    sizes = ["--num-train", "2", "--num-val", "1", "--seconds", "6", "--size", "96x72"]
    assert render(["--output", str(tmp_path / "set"), *sizes, "--tubes"]) == 0
    whole = load_tube_truth(tmp_path / "set" / "tubes_GT.pkl")
    labels = {whole.labels.index(name): label for label, name in enumerate(MOVEMENTS)}
    tubes = {
        video: [replace(t, label=labels[t.label]) for t in own if t.label in labels]
        for video, own in whole.tubes.items()
    }
    return replace(whole, labels=MOVEMENTS, tubes=tubes)


@pytest.fixture
def config(truth: TubeTruth, tmp_path: Path, run_tool: RunTool) -> list[str]:
    """A config of these tubes, as `ava-det prepare-tubes` prepares UCF101-24's."""
    write_truth(tmp_path / "GT.pkl", truth)
    videos = tmp_path / "set" / "videos"
    data = tmp_path / "data"
    files = ["--truth", tmp_path / "GT.pkl", "--videos", videos, "--output", data]
    code, _, err = run_tool("prepare-tubes", *files)
    assert code == 0, err
    return [
        "--config",
        str(ROOT / "configs/synthetic/tubes.yaml"),
        f"output_dir={tmp_path}/run",
        f"data.video_dir={videos}",
        f"data.label_map={data}/labelmap.pbtxt",
        f"data.train.annotations={data}/train.csv",
        f"data.val.annotations={data}/val.csv",
        "data.start_second=0",
        "model.multilabel=false",
        f"model.num_classes={len(MOVEMENTS)}",
        "model.width=4",
        "train.batch_size=4",
        "train.epochs=2",
        "device=cpu",
        "precision=fp32",
    ]


def read_scores(path: Path) -> dict[tuple[str, ...], np.ndarray]:
    """Person (video, time and box) -> the scores of all actions."""
    scores: dict[tuple[str, ...], dict[int, float]] = defaultdict(dict)
    for row in csv.reader(path.read_text().splitlines()):
        scores[tuple(row[:6])][int(row[6])] = float(row[7])
    everyone = range(1, len(MOVEMENTS) + 1)
    return {key: np.array([own[action] for action in everyone]) for key, own in scores.items()}


def assert_one_softmax(scores: dict[tuple[str, ...], np.ndarray]) -> None:
    assert scores
    np.testing.assert_allclose([own.sum() for own in scores.values()], 1, atol=1e-5)


def test_scores_are_one_softmax_from_training_to_video_map(
    config: list[str], truth: TubeTruth, tmp_path: Path, run_tool: RunTool
) -> None:
    def do(name: str, *arguments: object) -> str:
        code, out, err = run_tool(name, *arguments)
        assert code == 0, err
        return out

    do("train", *config)
    weights = tmp_path / "run/checkpoints/last.pt"
    assert load_checkpoint(weights)["config"]["model"]["multilabel"] is False
    first_loss = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[0])["loss"]
    assert first_loss == pytest.approx(np.log(len(MOVEMENTS)), rel=0.2)
    do("test", *config, "--weights", weights, f"output_dir={tmp_path}/test")
    detections = tmp_path / "test/detections.csv"
    assert_one_softmax(read_scores(detections))

    [video] = truth.split(1)
    asked = ["--video", tmp_path / f"set/videos/{video}.mp4", "--detector", "motion"]
    asked += ["--every", "0.333333", "--threshold", "0.2"]

    def demo(name: str, network: Path) -> tuple[dict[tuple[str, ...], np.ndarray], list[Tube]]:
        written = [tmp_path / f"{name}.csv", tmp_path / f"{name}.jsonl"]
        do("demo", "--weights", network, *asked, "--csv", written[0], "--tubes", written[1])
        return read_scores(written[0]), read_tubes(written[1], MOVEMENTS)

    own, own_tubes = demo("own", weights)
    assert_one_softmax(own)
    assert own_tubes
    for precision, tolerance in (("fp32", 1e-4), ("fp16", 0.006)):
        exported = tmp_path / f"{precision}.onnx"
        how = ["--format", "onnx", "--precision", precision, "--output", exported]
        out = do("export", *config, "--weights", weights, *how)
        assert ("logits" if precision == "fp32" else "scores") in out
        served, tubes = demo(precision, exported)
        assert_one_softmax(served)
        assert served.keys() == own.keys()
        for key, scores in served.items():
            np.testing.assert_allclose(scores, own[key], atol=tolerance)
        if precision == "fp32":
            assert [(t.label, len(t)) for t in tubes] == [(t.label, len(t)) for t in own_tubes]

    means = []
    for method in ("tracks", "act"):
        linked = tmp_path / f"{method}.jsonl"
        files = ["--detections", detections, "--frames", tmp_path / "data/frames.csv"]
        files += ["--label-map", tmp_path / "data/labelmap.pbtxt", "--output", linked]
        do("link", *files, "--method", method)
        out = do(
            "score", "--task", "video", "--annotations", tmp_path / "GT.pkl", "--detections", linked
        )
        means.append(float(re.findall(r"video mAP (\S+) at IoU 0.2,", out)[0]))
    assert max(means) > 0
