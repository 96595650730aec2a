"""The contract of train_ava and test_ava, on the small synthetic set."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch

from ava_det.checkpoint import load_checkpoint
from ava_det.config import load_config

RunTool = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs a trained run leaves it for the others."""
    return tmp_path_factory.mktemp("trained") / "run"


@pytest.fixture
def trained(run_tool: RunTool, synthetic_config: list[str], tmp_path: Path, kept: Path) -> Path:
    """A copy of its own of the run that `synthetic_config` trains."""
    if kept.exists():
        return shutil.copytree(kept, tmp_path / "run")
    code, out, err = run_tool("train_ava", *synthetic_config)
    assert code == 0, err
    assert "frame mAP" in out
    shutil.copytree(tmp_path / "run", kept)
    return tmp_path / "run"


def assert_mistake(result: tuple[int, str, str], *words: str) -> None:
    code, _, err = result
    sentence = err.strip().splitlines()[-1]
    assert code == 2
    assert "Traceback" not in err
    for word in words:
        assert word in sentence


def test_training_leaves_what_it_promises(trained: Path) -> None:
    config = load_config(trained / "config.yaml")
    assert config.model.width == 4
    environment = json.loads((trained / "environment.json").read_text())
    assert (
        environment["packages"]["torch"] == torch.__version__.split("+")[0]
        or "+" in environment["packages"]["torch"]
    )
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 1
    assert {
        "loss",
        "lr",
        "clips_per_second",
        "data_wait",
        "host_gb",
        "cuda_gb",
        "seconds_left",
    } <= set(lines[0])
    assert 0.1 < lines[0]["host_gb"] < 20
    assert [line["seconds_left"] for line in lines if "step" in line][-1] == 0
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["protocol"] == "activitynet-2020"
    assert metrics["boxes"] == "gt"
    assert 0 <= metrics["mAP"] <= 1
    assert metrics["num_keyframes"] > 5
    assert metrics["per_class"]["14"]["name"] == "walk"
    checkpoint = load_checkpoint(trained / "checkpoints" / "last.pt")
    assert checkpoint["label_map"][14] == "walk"
    assert not list(trained.rglob("*.tmp"))
    samples = cv2.imread(str(trained / "samples.png"))
    assert samples is not None
    assert samples.std() > 20  # frames with people on them, not an empty sheet


def test_the_console_has_a_line_per_interval_and_curves_are_drawn(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    code, out, err = run_tool("train_ava", *synthetic_config)
    assert code == 0, err
    line = out.splitlines()[0]
    for part in (
        "epoch 0.",
        "step 1: loss ",
        "lr ",
        " clips/s",
        "waiting for data ",
        "memory ",
        " left",
    ):
        assert part in line
    assert cv2.imread(str(tmp_path / "run/curves.png")) is not None


def test_tensorboard_shows_the_run_where_it_is_installed(trained: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained / "tensorboard"))
    events.Reload()
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    losses = [(line["step"], pytest.approx(line["loss"])) for line in lines if "loss" in line]
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == losses
    (scored,) = events.Scalars("val/mAP")
    assert (scored.step, scored.value) == (losses[-1][0], pytest.approx(lines[-1]["mAP"]))


def test_without_matplotlib_one_line_says_so(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, out, err = run_tool("train_ava", *synthetic_config)
    assert code == 0, err
    assert "pip install 'ava_det[report]'" in out
    assert not (tmp_path / "run/curves.png").exists()


def test_detections_are_ava_rows_of_the_label_map(trained: Path, synthetic: Path) -> None:
    labels = set(load_checkpoint(trained / "checkpoints" / "last.pt")["label_map"])
    with open(trained / "detections.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {8}
    assert {int(row[6]) for row in rows} == labels
    assert all(0 <= float(row[7]) <= 1 and row[1].startswith("09") for row in rows)


def test_scoring_the_checkpoint_again_gives_the_same_map(
    trained: Path, run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    first = json.loads((trained / "metrics.json").read_text())
    weights = trained / "checkpoints" / "last.pt"
    # it is in the checkpoint
    overrides = [*synthetic_config, f"output_dir={tmp_path}/again", "data.label_map=null"]
    code, out, err = run_tool("test_ava", *overrides[:2], "--weights", weights, *overrides[2:])
    assert code == 0, err
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert again["mAP"] == pytest.approx(first["mAP"], abs=1e-6)
    assert "frame mAP" in out
    code, out, err = run_tool("train_ava", *synthetic_config, "--eval-only", f"weights={weights}")
    assert code == 0, err
    assert json.loads((trained / "metrics.json").read_text())["mAP"] == pytest.approx(
        first["mAP"], abs=1e-6
    )


@pytest.mark.parametrize("override", ["data.label_map={}", "train.action_ids=[14,10]"])
def test_both_tools_score_the_actions_of_the_config(
    trained: Path,
    run_tool: RunTool,
    synthetic_config: list[str],
    synthetic: Path,
    tmp_path: Path,
    override: str,
) -> None:
    renamed = tmp_path / "renamed.pbtxt"
    text = (synthetic / "labelmap.pbtxt").read_text()
    renamed.write_text(text.replace('"walk"', '"stroll"'))
    weights = trained / "checkpoints" / "last.pt"
    config = [*synthetic_config, override.format(renamed)]
    tools: dict[str, list[object]] = {
        "test": ["test_ava", "--weights", weights],
        "train": ["train_ava", "--eval-only"],
    }
    metrics = {}
    for name, [tool, *options] in tools.items():
        folder = [f"output_dir={tmp_path}/{name}", f"weights={weights}"]
        code, _, err = run_tool(tool, *config, *options, *folder)
        assert code == 0, err
        metrics[name] = json.loads((tmp_path / name / "metrics.json").read_text())
        said = "id 14 is 'stroll', the weights learned it as 'walk'" in err
        assert said is override.startswith("data.label_map")
    assert metrics["test"]["mAP"] == pytest.approx(metrics["train"]["mAP"], abs=1e-6)
    assert metrics["test"]["per_class"].keys() == metrics["train"]["per_class"].keys()
    assert (len(metrics["test"]["per_class"]) == 2) is override.startswith("train")


def test_boxes_on_nobody_come_with_their_cause(
    trained: Path, run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("val_0000000,0902,0.0,0.0,0.1,0.1,,0.95\n")
    weights = ["--weights", trained / "checkpoints" / "last.pt"]
    code, out, err = run_tool(
        "test_ava", *synthetic_config, *weights, "--boxes", boxes, f"output_dir={tmp_path}/again"
    )
    assert code == 0, err
    assert "persons: recall 0.000, precision 0.000" in out
    assert "boxes.csv: its boxes find 0.000 of the labeled persons" in err
    assert "keyframes with persons have no box" in err
    assert len(json.loads((tmp_path / "again/metrics.json").read_text())["warnings"]) >= 1


def test_several_scales_and_flips_are_averaged(
    trained: Path, run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    """Each view alone, then all of them: the scores of the last are the mean of the others'."""
    weights = ["--weights", trained / "checkpoints/last.pt"]
    scores = {}
    for name, overrides in {
        "small": ["data.test_short_side=32"],
        "large": ["eval.short_sides=[40]"],
        "both": ["eval.short_sides=[32,40]"],
        "flip": ["eval.short_sides=[32,40]", "eval.flip=true"],
    }.items():
        code, _, err = run_tool(
            "test_ava", *synthetic_config, *weights, *overrides, f"output_dir={tmp_path}/{name}"
        )
        assert code == 0, err
        with open(tmp_path / name / "detections.csv", newline="") as file:
            scores[name] = torch.tensor([float(row[7]) for row in csv.reader(file)])
    torch.testing.assert_close(
        scores["both"], (scores["small"] + scores["large"]) / 2, atol=2e-4, rtol=0
    )
    assert not torch.equal(scores["both"], scores["flip"])
    metrics = json.loads((tmp_path / "flip/metrics.json").read_text())
    assert (metrics["short_sides"], metrics["flip"]) == ([32, 40], True)


def test_chosen_actions_alone_are_trained_scored_and_saved(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    code, _, err = run_tool(
        "train_ava", *synthetic_config, "train.action_ids=[14,10]", "train.focal_gamma=2"
    )
    assert code == 0, err
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert sorted(metrics["per_class"]) == ["10", "14"]
    checkpoint = load_checkpoint(tmp_path / "run/checkpoints/last.pt")
    assert sorted(checkpoint["label_map"]) == [10, 14]
    assert_mistake(
        run_tool("train_ava", *synthetic_config, "train.action_ids=[77]"), "train.action_ids", "77"
    )


def test_a_learning_rate_without_its_batch_is_a_loud_warning(
    run_tool: RunTool, synthetic_config: list[str]
) -> None:
    code, _, err = run_tool("train_ava", *synthetic_config)  # a batch of 4 in place of 8
    assert code == 0
    assert "WARNING: train.batch_size is 4" in err
    assert "expected train.lr=0.001" in err
    assert "WARNING" not in run_tool("train_ava", *synthetic_config, "train.lr=0.001")[2]


def test_a_hundred_times_the_learning_rate_is_caught(
    run_tool: RunTool, synthetic_config: list[str]
) -> None:
    overrides = [
        "train.lr=0.3",
        "train.clip_grad_norm=null",
        "train.warmup_epochs=0",
        "train.epochs=10",
    ]
    result = run_tool("train_ava", *synthetic_config, *overrides, "train.log_every=50")
    assert_mistake(result, "lr 0.", "train.lr")
    assert int(result[2].rpartition("step ")[2].split()[0]) <= 50


def test_resume_goes_on_where_it_stopped(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    last = Path("checkpoints/last.pt")
    two = [
        *synthetic_config,
        "train.epochs=2",
        "train.schedule=steps",
        f"output_dir={tmp_path}/two",
    ]
    assert run_tool("train_ava", *two)[0] == 0
    one = [*synthetic_config, "train.schedule=steps", f"output_dir={tmp_path}/one"]
    assert run_tool("train_ava", *one)[0] == 0
    assert run_tool("train_ava", *one, "--resume", "train.epochs=2")[0] == 0
    whole, resumed = (load_checkpoint(tmp_path / name / last)["model"] for name in ("two", "one"))
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name
    steps = [
        json.loads(line).get("step")
        for line in (tmp_path / "one/log.jsonl").read_text().splitlines()
    ]
    assert [step for step in steps if step] == sorted({step for step in steps if step})


def test_a_split_without_labels_gives_a_submission_and_no_map(
    trained: Path, run_tool: RunTool, synthetic_config: list[str], tmp_path: Path, synthetic: Path
) -> None:
    rows = [line.split(",")[:2] for line in (synthetic / "val.csv").read_text().splitlines()]
    listed = tmp_path / "test.csv"
    listed.write_text(
        "".join(f"{video},{second}\n" for video, second in sorted({tuple(row) for row in rows}))
    )
    arguments = [
        *synthetic_config,
        f"data.test.annotations={listed}",
        f"output_dir={tmp_path}/test",
    ]
    weights = ["--weights", trained / "checkpoints" / "last.pt", "--split", "test"]
    code, out, err = run_tool(
        "test_ava", *arguments, *weights, "--boxes", "motion", "data.min_person_score=0.1"
    )
    assert code == 0, err
    assert "no mAP" in out
    metrics = json.loads((tmp_path / "test/metrics.json").read_text())
    assert metrics["mAP"] is None
    assert metrics["boxes"] == "motion"
    assert all(entry["AP"] is None for entry in metrics["per_class"].values())
    assert (tmp_path / "test/detections.csv").stat().st_size > 0
    assert_mistake(run_tool("test_ava", *arguments, *weights, "--boxes", "gt"), "data.test.boxes")


def test_a_box_file_is_used_as_it_stands(
    trained: Path, run_tool: RunTool, synthetic_config: list[str], tmp_path: Path, synthetic: Path
) -> None:
    ground_truth = [line.split(",") for line in (synthetic / "val.csv").read_text().splitlines()]
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("".join(",".join(row[:6]) + ",,0.95\n" for row in ground_truth))
    weights = ["--weights", trained / "checkpoints" / "last.pt", "--boxes", boxes]
    code, _, err = run_tool("test_ava", *synthetic_config, *weights, f"output_dir={tmp_path}/file")
    assert code == 0, err
    metrics = json.loads((tmp_path / "file/metrics.json").read_text())
    expected = json.loads((trained / "metrics.json").read_text())
    assert metrics["boxes"] == str(boxes)
    assert metrics["mAP"] == pytest.approx(expected["mAP"], abs=1e-4)


def test_initial_weights_may_have_another_head(
    trained: Path, run_tool: RunTool, synthetic_config: list[str]
) -> None:
    weights = f"weights={trained}/checkpoints/last.pt"
    other = [*synthetic_config, weights, "model.num_classes=90", f"output_dir={trained}_other"]
    assert run_tool("train_ava", *other)[0] == 0
    assert_mistake(run_tool("train_ava", *other, "--eval-only"), "head")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train.learning=1"], ["train.learning", "unknown"]),
        (["data.val.annotations=nowhere.csv"], ["nowhere.csv"]),
        (["data.label_map=nowhere.pbtxt"], ["nowhere.pbtxt"]),
        (["data.video_dir=nowhere"], ["nowhere"]),
        (["data.val.boxes=detectron9"], ["detectron9", "motion"]),
        (["weights=nowhere.pt"], ["nowhere.pt"]),
        (["model.num_classes=10"], ["10"]),
        (["train.batch_size=5000"], ["train.batch_size"]),
        (["device=cuda:77"], ["device"]),
        (["--resume"], ["last.pt"]),
        (["--eval-only"], ["weights"]),
        (["--frobnicate"], ["--frobnicate"]),
        (["eval.protocol=coco"], ["eval.protocol", "activitynet-2020"]),
        (["data.start_second=0"], [".mp4", "data.start_second"]),
        (["model.head=classification"], ["model.head", "roi"]),
        (["data.train.annotations=null"], ["data.train.annotations"]),
        (["data.val.annotations=null"], ["data.val.annotations"]),
    ],
)
def test_a_mistake_is_one_sentence(
    run_tool: RunTool,
    synthetic_config: list[str],
    tmp_path: Path,
    arguments: list[str],
    words: list[str],
) -> None:
    assert_mistake(run_tool("train_ava", *synthetic_config, *arguments), *words)
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_a_resume_that_does_not_fit_says_what_differs(
    trained: Path, run_tool: RunTool, synthetic_config: list[str]
) -> None:
    resume = [*synthetic_config, "train.epochs=2", "--resume"]
    assert_mistake(
        run_tool("train_ava", *resume, "train.optimizer=sgd"), "train.optimizer", "adamw"
    )
    assert_mistake(run_tool("train_ava", *resume, "model.width=8"), "last.pt", "shape")
    with open(trained / "log.jsonl", "a") as log:
        log.write('{"step": 99, "epo')  # a crash in the middle of a line
    assert run_tool("train_ava", *resume)[0] == 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{video},0903,12,20,80,140,12,0", ["line 1", "fractions"]),
        ("{video},0903,0.5,0.5,0.1,0.9,12,0", ["line 1", "fractions"]),
        ("{video},0903,0.1,0.1,0.5,0.9,,0", ["no labeled box"]),
    ],
)
def test_boxes_nobody_can_have_meant_are_refused(
    run_tool: RunTool,
    synthetic_config: list[str],
    synthetic: Path,
    tmp_path: Path,
    row: str,
    words: list[str],
) -> None:
    video = next((synthetic / "videos").glob("train_*.mp4")).stem
    bad = tmp_path / "bad.csv"
    bad.write_text(row.format(video=video) + "\n")
    assert_mistake(
        run_tool("train_ava", *synthetic_config, f"data.train.annotations={bad}"), "bad.csv", *words
    )


def test_a_box_file_for_other_keyframes_is_refused(
    run_tool: RunTool, synthetic_config: list[str], synthetic: Path, tmp_path: Path
) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("elsewhere,0903,0.1,0.1,0.5,0.9,,0.9\n")
    result = run_tool("train_ava", *synthetic_config, f"data.val.boxes={boxes}")
    assert_mistake(result, "boxes.csv", "expected person boxes for the keyframes of data.val")


def test_a_detector_that_is_never_sure_enough_is_said(
    run_tool: RunTool, synthetic_config: list[str]
) -> None:
    code, _, err = run_tool(
        "train_ava", *synthetic_config, "data.val.boxes=motion", "data.min_person_score=1.0"
    )
    assert code == 0
    assert "motion is not sure of any person" in err


def test_excluded_keyframes_that_were_scored_are_said(
    run_tool: RunTool, synthetic_config: list[str], synthetic: Path, tmp_path: Path
) -> None:
    rows = {tuple(line.split(",")[:2]) for line in (synthetic / "val.csv").read_text().splitlines()}
    excluded = tmp_path / "excluded.csv"
    excluded.write_text("".join(f"{video},{second}\n" for video, second in sorted(rows)))
    code, _, err = run_tool("train_ava", *synthetic_config, f"data.val.excluded={excluded}")
    assert code == 0
    assert "uses no exclusion list" in err


def test_a_malformed_row_names_file_and_line(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("v,0902,0.1,0.1,0.5,0.5,12,0\nv,0903,0.1,zero,0.5,0.5,12,0\n")
    assert_mistake(
        run_tool("train_ava", *synthetic_config, f"data.train.annotations={bad}"),
        "bad.csv",
        "line 2",
    )


def test_an_undecodable_video_is_named(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path, synthetic: Path
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for path in (synthetic / "videos").iterdir():
        (videos / path.name).write_bytes(b"not a video" * 50)
    result = run_tool("train_ava", *synthetic_config, f"data.video_dir={videos}")
    assert_mistake(result, ".mp4", "cannot be opened")
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize("tool", ["train_ava", "test_ava"])
def test_help(run_tool: RunTool, tool: str) -> None:
    code, out, _ = run_tool(tool, "--help")
    assert code == 0
    assert "--config" in out


@pytest.mark.gpu
def test_a_run_on_cuda_goes_on_where_it_stopped(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    common = [*synthetic_config, "device=cuda", "precision=bf16", "train.schedule=steps"]
    assert run_tool("train_ava", *common)[0] == 0
    code, _, err = run_tool("train_ava", *common, "--resume", "train.epochs=2")
    assert code == 0, err
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert all(line["cuda_gb"] > 0 for line in lines if "cuda_gb" in line)
    assert load_checkpoint(tmp_path / "run/checkpoints/last.pt")["epoch"] == 2
