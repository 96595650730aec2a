"""`ava-det push` and hf:user/name, against a server on this machine; nothing leaves it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ava_det.checkpoint import WeightsError, load_checkpoint, resolve_weights, save_checkpoint
from ava_det.config import load_config
from ava_det.formats.label_map import load_label_map
from ava_det.inference.predictor import Predictor
from tests.support.fake_hub import FakeHub
from tests.support.tool_runs import RunTool, assert_mistake

NAME = "user/walk-net"
# said by the library under huggingface_hub of a call that is huggingface_hub's
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
Push = Callable[..., tuple[int, str, str]]
needs_hub = pytest.mark.skipif(
    find_spec("huggingface_hub") is None, reason="needs huggingface_hub (extra hub)"
)


def forget_library() -> None:
    """The library reads its variables when it is imported."""
    if "huggingface_hub" in sys.modules:
        sys.modules["huggingface_hub"].close_session()
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        del sys.modules[name]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub() as server:
        for name, value in server.environment(tmp_path / "hub").items():
            monkeypatch.setenv(name, value)
        forget_library()
        yield server
        forget_library()


@pytest.fixture
def run(weights: Path, tmp_path: Path) -> Path:
    """The folder of a run that was scored after its second epoch."""
    folder = tmp_path / "run"
    facts = {"epoch": 2, "batch": 0, "mean_aps": {1: 0.1, 2: 0.25}, "optimizer": {}}
    content = load_checkpoint(weights)
    save_checkpoint(folder / "checkpoints" / "last.pt", {**content, **facts})
    (folder / "environment.json").write_text('{"packages": {"torch": "2.6.0"}}')
    write_metrics(folder, 0.25)
    return folder


def write_metrics(folder: Path, score: float) -> None:
    metrics = {
        "mAP": score,
        "iou_threshold": 0.5,
        "boxes": "/home/somebody/boxes.csv",
        "num_keyframes": 12,
        "warnings": ["/home/somebody/boxes.csv:3: see https://example.org/a/b or mine/val.csv"],
        "per_class": {"1": {"name": "stand", "AP": 0.5, "num_gt": 7}},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.fixture
def push(run_tool: RunTool, run: Path) -> Push:
    return lambda *options: run_tool("push", run, "--repo", NAME, *options)


@needs_hub
def test_others_get_what_was_pushed(
    hub: FakeHub, push: Push, run: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, err = push("--private")
    assert code == 0, err
    [commit] = [name for name, files in hub.repositories[NAME].commits.items() if files]
    assert said == f"{hub.url}/{NAME}/commit/{commit}: weights hf:{NAME}\n"
    assert hub.repositories[NAME].private
    mine, theirs = (
        Predictor.from_pretrained(weights, detector="motion", device="cpu")
        for weights in (run / "checkpoints/last.pt", f"hf:{NAME}")
    )
    assert f"hf:{NAME} is hf:{NAME}@{commit}\n" in capsys.readouterr().err
    assert (theirs.label_map, theirs.thresholds) == (mine.label_map, mine.thresholds)
    for one, other in zip(mine(video, every=4.0), theirs(video, every=4.0), strict=True):
        assert torch.equal(one.action_scores, other.action_scores)


@needs_hub
@pytest.mark.slow
def test_what_a_training_leaves_is_pushed_and_scored(
    hub: FakeHub, run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    code, _, err = run_tool("train_ava", *synthetic_config)
    assert code == 0, err
    code, _, err = run_tool("push", tmp_path / "run", "--repo", NAME)
    assert code == 0, err
    files = hub.repositories[NAME].newest()
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert json.loads(files["metrics.json"])["per_class"] == metrics["per_class"]
    assert f"frame mAP: {metrics['mAP']:.4f}" in files["README.md"].decode()
    scored = ["--weights", f"hf:{NAME}", f"output_dir={tmp_path}/scored"]
    code, _, err = run_tool("test_ava", *synthetic_config, *scored)
    assert code == 0, err
    assert json.loads((tmp_path / "scored/metrics.json").read_text())["mAP"] == metrics["mAP"]
    code, _, err = run_tool("train_head", *synthetic_config, f"weights=hf:{NAME}")
    assert code == 0, err
    code, _, err = run_tool("push", tmp_path / "run/head", "--repo", "user/head")
    assert code == 0, err
    files = hub.repositories["user/head"].newest()
    assert b"Only the last layer was fitted" in files["README.md"]
    head = json.loads((tmp_path / "run/head/metrics.json").read_text())
    assert json.loads(files["thresholds.json"]) == head["thresholds"]


@needs_hub
def test_the_card_says_what_the_run_says(
    hub: FakeHub, push: Push, run: Path, tmp_path: Path
) -> None:
    path = run / "checkpoints/last.pt"
    content = load_checkpoint(path)
    names = {**content["label_map"], 1: "stand | still"}
    thresholds = {1: 0.75}
    content["config"]["data"]["video_dir"] = "/home/somebody/videos"
    content["config"]["data"]["val"]["annotations"] = "/home/somebody/my_val.csv"
    content["config"]["weights"] = "pyslowfast/SLOWFAST_32x2_R101_50_50"
    save_checkpoint(path, {**content, "label_map": names, "thresholds": thresholds})
    code, _, err = push("--license", "apache-2.0")
    assert code == 0, err
    files = hub.repositories[NAME].newest()
    card = files["README.md"].decode()
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["license"], front["library_name"]) == ("apache-2.0", "ava_det")
    [result] = front["model-index"][0]["results"]
    assert result["dataset"]["name"] == "my_val.csv"
    assert result["metrics"][0]["value"] == 0.25
    import huggingface_hub

    [read] = huggingface_hub.ModelCard(card).data.eval_results
    assert (read.metric_value, read.task_type) == (0.25, front["pipeline_tag"])
    assert "| 1 | stand \\| still | 0.5 | 7 | 0.75 |" in card
    assert "They began with pyslowfast/SLOWFAST_32x2_R101_50_50, whose license is" in card
    assert "Made with torch 2.6.0." in card
    assert "(12 keyframes)" in card
    assert not [name for name, text in files.items() if b"somebody" in text]
    assert "- warning: boxes.csv:3: see https://example.org/a/b or mine/val.csv\n" in card
    assert json.loads(files["thresholds.json"])["1"] == 0.75
    for name in ("config.yaml", "labelmap.pbtxt"):
        (tmp_path / name).write_bytes(files[name])
    assert load_config(tmp_path / "config.yaml").data.video_dir == "videos"
    assert load_label_map(tmp_path / "labelmap.pbtxt") == names
    shared = load_checkpoint(f"hf:{NAME}")
    assert shared["label_map"] == names
    assert shared["thresholds"] == dict.fromkeys(names, 0.5) | thresholds


@needs_hub
def test_revisions_and_the_cache(
    hub: FakeHub,
    push: Push,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert push()[0] == 0
    content = load_checkpoint(run / "checkpoints/last.pt")
    for tensor in content["model"].values():
        tensor.zero_()
    save_checkpoint(run / "checkpoints/last.pt", content)
    code, said, err = push("--revision", "v2")
    assert code == 0, err
    assert said.endswith(f"weights hf:{NAME}@v2\n")
    branches = hub.repositories[NAME].branches
    assert set(branches) == {"main", "v2"}
    assert is_zero(f"hf:{NAME}@v2") and is_zero(f"hf:{NAME}@{branches['v2']}")
    assert not is_zero(f"hf:{NAME}") and not is_zero(f"hf:{NAME}@main")
    fetched = [path for method, path in hub.log if method == "GET" and path.startswith("/lfs/")]
    assert len(fetched) == len(set(fetched)) == 2
    asked = len(hub.log)
    assert resolve_weights(f"hf:{NAME}@{branches['main']}").is_file()
    assert len(hub.log) == asked  # a commit that is here asks nobody
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    forget_library()
    assert is_zero(f"hf:{NAME}@v2") and not is_zero(f"hf:{NAME}")
    assert len(hub.log) == asked
    with pytest.raises(WeightsError, match=r"v3: was never downloaded, and HF_HUB_OFFLINE forbids"):
        resolve_weights(f"hf:{NAME}@v3")


def is_zero(name: str) -> bool:
    return not any(bool(tensor.any()) for tensor in load_checkpoint(name)["model"].values())


@needs_hub
def test_without_a_network(hub: FakeHub, push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    assert push()[0] == 0
    commit = resolve_weights(f"hf:{NAME}").parent.name
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between its attempts
    forget_library()
    assert resolve_weights(f"hf:{NAME}").parent.name == commit
    with pytest.raises(WeightsError, match=r"was never .*127.0.0.1:9 failed: .*refused"):
        resolve_weights("hf:user/other")
    assert_mistake(push(), f"hf:{NAME}: http://127.0.0.1:9 failed: ", "refused")


@needs_hub
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hf:walk-net", "expected hf:user/name or hf:user/name@revision"),
        ("hf:user/walk-net@", "expected hf:user/name or hf:user/name@revision"),
        ("hf:user/none", "no such repository, or one that is private .*: log in by"),
        ("hf:user/hidden", "no such repository, or one that is private .*: log in by"),
        ("hf:user/gated", "its owner decides who may read it: ask on its page, then log in by"),
        ("hf:user/open@v9", "the repository has no such revision"),
        ("hf:user/open", "the repository has no model.safetensors, which `ava-det push` writes"),
    ],
)
def test_a_name_that_cannot_be_had(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    hub.make("user/hidden", private=True).commit("main", {"model.safetensors": b"x"})
    hub.make("user/gated").gated = True
    hub.make("user/open").commit("main", {"pytorch_model.bin": b"x"})
    with pytest.raises(WeightsError, match=f"^{name}: {sentence}"):
        resolve_weights(name)


@needs_hub
def test_pickles_in_place_of_safetensors_are_not_run(hub: FakeHub, tmp_path: Path) -> None:
    victim = tmp_path / "created"

    class Malicious:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return Path.mkdir, (victim,)  # type: ignore[return-value]

    buffer = io.BytesIO()
    torch.save({"model": Malicious()}, buffer)
    hub.make("user/evil").commit("main", {"model.safetensors": buffer.getvalue()})
    with pytest.raises(WeightsError, match=r"model\.safetensors: "):
        load_checkpoint("hf:user/evil")
    assert not victim.exists()


@needs_hub
def test_what_cannot_be_pushed(
    hub: FakeHub,
    push: Push,
    run_tool: RunTool,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert_mistake(run_tool("push", run, "--repo", "walk-net"), "--repo: expected user/name")
    nothing = run_tool("push", tmp_path, "--repo", NAME)
    assert_mistake(nothing, "checkpoints/last.pt: no such file, expected the output_dir of a tra")
    assert_mistake(push("--license", "mine"), "Invalid metadata in README.md", "license")
    hub.make("user/open")
    public = run_tool("push", run, "--repo", "user/open", "--private")
    assert_mistake(public, "--private: expected a private repository, user/open is public")
    hub.broken = 418
    assert_mistake(push(), f"hf:{NAME}: {hub.url} failed: ", "418")
    hub.broken = None
    monkeypatch.delenv("HF_TOKEN")
    assert_mistake(push(), f"hf:{NAME}: ", "log in by `hf auth login`, or set HF_TOKEN")
    path = run / "checkpoints/last.pt"
    content = load_checkpoint(path)
    content["config"]["model"]["long_term"] |= {"operator": "avg", "bank_weights": "mine/bank.pt"}
    save_checkpoint(path, content)
    assert_mistake(push(), "bank_weights: expected weights that others have too", "mine/bank.pt")
    save_checkpoint(path, {"model": content["model"]})
    assert_mistake(push(), "last.pt: expected the config and the label map")
    assert all(len(repository.commits) == 1 for repository in hub.repositories.values())


@needs_hub
def test_numbers_of_other_weights_are_not_theirs(hub: FakeHub, push: Push, run: Path) -> None:
    write_metrics(run, 0.26)
    code, _, err = push()
    assert code == 0
    assert "metrics.json: is left out, because it is not of checkpoints/last.pt" in err
    files = hub.repositories[NAME].newest()
    assert set(files) == {
        "README.md",
        "config.yaml",
        "labelmap.pbtxt",
        "model.safetensors",
        "thresholds.json",
    }
    assert b"These weights were not scored." in files["README.md"]
    assert b"model-index" not in files["README.md"]


def test_without_the_extra(push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert_mistake(push(), "needs huggingface_hub: pip install 'ava_det[hub]'")
    with pytest.raises(WeightsError, match=r"hf:user/a: needs huggingface_hub"):
        resolve_weights("hf:user/a")
