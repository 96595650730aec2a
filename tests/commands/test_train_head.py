"""train_head on the small synthetic set, and on mini_ava."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import load_checkpoint, save_checkpoint
from ava_det.config import load_config
from ava_det.models.build import build_model
from ava_det.tasks import own_head as build_features

RunTool = Callable[..., tuple[int, str, str]]


@pytest.fixture
def weights(synthetic_config: list[str], tmp_path: Path) -> Path:
    """A network nobody has trained: any will do to put a head on."""
    config = load_config(synthetic_config[1], synthetic_config[2:])
    torch.manual_seed(0)
    path = tmp_path / "start.pt"
    save_checkpoint(path, {"model": build_model(config).state_dict()})
    return path


def test_features_are_computed_once_and_the_head_is_an_ordinary_network(
    run_tool: RunTool,
    synthetic_config: list[str],
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = [*synthetic_config, f"weights={weights}", "--table", tmp_path / "features.csv"]
    code, out, err = run_tool("train_head", *arguments)
    assert code == 0, err
    assert "hand wave" in out
    head = tmp_path / "run/head"
    first = json.loads((head / "metrics.json").read_text())
    checkpoint = load_checkpoint(head / "checkpoints/last.pt")
    assert set(checkpoint["thresholds"]) == set(checkpoint["label_map"])
    assert all(0 <= value <= 1 for value in checkpoint["thresholds"].values())
    with open(tmp_path / "features.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {"train", "val"}
    num_files = len(list((head / "features").glob("*.npy")))
    assert num_files == 4 + 4 + 2  # one for each video, and for each of training mirrored

    def never(*_: object) -> None:
        raise AssertionError("the features were there")

    with monkeypatch.context() as patch:
        patch.setattr(build_features, "optimize_for_inference", never)
        code, _, err = run_tool("train_head", *arguments)
    assert code == 0, err
    assert json.loads((head / "metrics.json").read_text())["mAP"] == first["mAP"]

    again = [
        *synthetic_config,
        "--weights",
        head / "checkpoints/last.pt",
        f"output_dir={tmp_path}/again",
    ]
    code, _, err = run_tool("test_ava", *again, "--boxes", "gt")
    assert code == 0, err
    assert json.loads((tmp_path / "again/metrics.json").read_text())["mAP"] == pytest.approx(
        first["mAP"], abs=1e-3
    )


def test_the_demo_shows_each_action_from_its_own_threshold(
    run_tool: RunTool, synthetic_config: list[str], weights: Path, synthetic: Path, tmp_path: Path
) -> None:
    """What the head's checkpoint says, with no option: every score above is shown, and no other."""
    assert run_tool("train_head", *synthetic_config, f"weights={weights}")[0] == 0
    head = tmp_path / "run/head/checkpoints/last.pt"
    thresholds = load_checkpoint(head)["thresholds"]
    assert len(set(thresholds.values())) > 2
    video = next((synthetic / "videos").glob("demo_*.mp4"))
    outputs = ["--json", tmp_path / "o.jsonl", "--csv", tmp_path / "o.csv", "--detector", "motion"]
    code, _, err = run_tool(
        "demo", "--video", video, "--weights", head, *outputs, "data.min_person_score=0.1"
    )
    assert code == 0, err
    with open(tmp_path / "o.csv", newline="") as file:
        expected = Counter(
            int(row[6]) for row in csv.reader(file) if float(row[7]) >= thresholds[int(row[6])]
        )
    lines = map(json.loads, (tmp_path / "o.jsonl").read_text().splitlines())
    shown = Counter(
        action["id"] for line in lines for person in line["persons"] for action in person["actions"]
    )
    assert shown == expected
    plain = Counter()
    with open(tmp_path / "o.csv", newline="") as file:
        plain.update(int(row[6]) for row in csv.reader(file) if float(row[7]) >= 0.5)
    assert shown != plain  # the default of other checkpoints


def test_more_layers_and_fewer_classes(
    run_tool: RunTool, synthetic_config: list[str], weights: Path, tmp_path: Path
) -> None:
    chosen = ["train.action_ids=[12,14]", "model.roi_hidden_layer=true"]
    code, out, err = run_tool("train_head", *synthetic_config, f"weights={weights}", *chosen)
    assert code == 0, err
    assert "hand wave" not in out
    checkpoint = load_checkpoint(tmp_path / "run/head/checkpoints/last.pt")
    assert set(checkpoint["thresholds"]) == {12, 14}
    assert checkpoint["model"]["head.hidden.weight"].any()


@pytest.mark.parametrize("fusion", ["late", "map"])
def test_a_network_of_two_streams_has_a_head_each_or_one(
    fusion: str, run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    streams = [
        "model.streams=two_stream",
        "model.backbone=slow_only",
        "model.num_slow_frames=2",
        f"model.flow.fusion={fusion}",
        "data.flip=false",
    ]
    config = load_config(synthetic_config[1], [*synthetic_config[2:], *streams])
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "start.pt", {"model": build_model(config).state_dict()})
    arguments = [*synthetic_config, *streams, f"weights={tmp_path}/start.pt"]
    code, _, err = run_tool("train_head", *arguments)
    assert code == 0, err
    head = tmp_path / "run/head"
    fitted = json.loads((head / "metrics.json").read_text())
    assert isinstance(fitted["penalty"], list) == (fusion == "late")
    again = [*synthetic_config, *streams, f"output_dir={tmp_path}/again", "--boxes", "gt"]
    code, _, err = run_tool("test_ava", *again, "--weights", head / "checkpoints/last.pt")
    assert code == 0, err
    scored = json.loads((tmp_path / "again/metrics.json").read_text())
    assert scored["mAP"] == pytest.approx(fitted["mAP"], abs=1e-3)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["weights=null"], ["weights", "expected the trained network"]),
        (["model.head=classification"], ["model.head", "expected roi"]),
        (["weights=absent.pt"], ["absent.pt", "no such"]),
        (["model.width=8"], ["does not fit"]),
        (["data.video_dir=absent"], ["absent", "no such folder"]),
    ],
)
def test_mistakes_are_one_sentence(
    run_tool: RunTool,
    synthetic_config: list[str],
    weights: Path,
    overrides: list[str],
    words: list[str],
) -> None:
    code, _, err = run_tool("train_head", *synthetic_config, f"weights={weights}", *overrides)
    assert code == 2
    assert "Traceback" not in err
    for word in words:
        assert word in err


@pytest.mark.slow
@pytest.mark.needs_shared
def test_mini_ava_in_minutes(
    run_tool: RunTool, synthetic_config: list[str], shared_data: Path, tmp_path: Path
) -> None:
    """From a network trained on the synthetic set, here a smaller one; the second time without a
    video.
    """
    small = ["model.width=16", "train.epochs=2", f"output_dir={tmp_path}/start"]
    assert run_tool("train_ava", *synthetic_config, *small)[0] == 0
    root = Path(__file__).resolve().parent.parent.parent
    arguments = [
        "--config",
        root / "configs/mini_ava/slowfast.yaml",
        f"output_dir={tmp_path}/mini",
        "device=cpu",
    ]
    arguments += [
        f"weights={tmp_path}/start/checkpoints/last.pt",
        f"data.video_dir={shared_data}/videos",
    ]
    arguments += [f"data.label_map={shared_data}/mini_ava/labelmap.pbtxt"]
    for split in ("train", "val"):
        arguments += [f"data.{split}.annotations={shared_data}/mini_ava/{split}.csv"]
        arguments += [
            f"data.{split}.excluded={shared_data}/mini_ava/{split}_excluded_timestamps.csv"
        ]
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        code, out, err = run_tool("train_head", *arguments)
        seconds.append(time.perf_counter() - start)
        assert code == 0, err
    assert seconds[0] < 300
    assert seconds[1] < seconds[0]
    assert json.loads((tmp_path / "mini/head/metrics.json").read_text())["mAP"] > 0.4
    assert "features 0." in out
