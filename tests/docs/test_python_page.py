"""docs/python.md, run as written on the small set, and what its objects say to other programs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ava_det import Predictor
from ava_det.checkpoint import save_checkpoint
from ava_det.config import config_to_dict, load_config
from ava_det.formats.label_map import load_label_map
from ava_det.interchange.fiftyone_labels import add_to_sample
from ava_det.models.build import build_model
from ava_det.structures import Detections, Keyframe

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs/python.md").read_text(
    encoding="utf-8"
)


@pytest.fixture
def video(synthetic: Path) -> Path:
    return next((synthetic / "videos").glob("demo_*.mp4"))


@pytest.fixture
def predictor(synthetic_config: list[str], synthetic: Path, tmp_path: Path) -> Predictor:
    config = load_config(synthetic_config[1], synthetic_config[2:])
    torch.manual_seed(0)
    names = load_label_map(synthetic / "labelmap.pbtxt")
    path = tmp_path / "weights.pt"
    save_checkpoint(
        path,
        {
            "model": build_model(config).state_dict(),
            "config": config_to_dict(config),
            "label_map": names,
        },
    )
    return Predictor.from_pretrained(
        path, detector="motion", device="cpu", overrides=["data.min_person_score=0.1"]
    )  # as the page's second line


def blocks(kind: str) -> list[str]:
    return re.findall(rf"<!-- {kind} -->\n```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_runs(
    predictor: Predictor,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"predictor": predictor, "video": video}
    assert len(blocks("run")) == 4
    for block in blocks("run"):
        exec(block, names)
    assert " s: #1 at [" in capsys.readouterr().out
    assert (tmp_path / "overlay.mp4").stat().st_size > 10_000
    assert names["table"].columns[:4] == ["video", "time", "timestamp", "track"]
    assert len(names["results"]) == 8
    assert (
        names["scores"].shape == (1, len(names["scores"][0]))
        and names["scores"].dtype == np.float32
    )


def test_the_page_runs_with_supervision(predictor: Predictor, video: Path) -> None:
    pytest.importorskip("supervision")
    names: dict[str, Any] = {"predictor": predictor, "video": video}
    [block] = blocks("run supervision")
    exec(block, names)
    assert names["shown"].xyxy.shape == (len(names["detections"].boxes), 4)


def test_importing_the_package_loads_no_torch() -> None:
    code = (
        "import sys, ava_det; assert 'torch' not in sys.modules; ava_det.Detections; assert "
        "'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(ImportError):
        from ava_det import Predicator  # noqa: F401


def test_predict_clip_says_what_the_video_says(predictor: Predictor, video: Path) -> None:
    from ava_det.video.file import VideoReader

    found = next(one for one in predictor(video, start=4.0) if len(one.boxes))
    width, height = found.keyframe.frame_size
    ticks = (
        found.keyframe.timestamp
        + (np.arange(predictor.num_ticks) - predictor.num_ticks // 2) / predictor.clip_fps
    )
    with VideoReader(video, predictor.start_second) as reader:
        frames = reader.read(ticks)
    scores = predictor.predict_clip(frames, found.boxes.numpy() * [width, height, width, height])
    assert np.abs(scores - found.action_scores.numpy()).max() < 1e-4
    assert predictor.predict_clip(frames, np.zeros((0, 4))).shape == (0, scores.shape[1])
    for wrong, boxes, words in (
        (frames[:-1], [[0, 0, 9, 9]], "frames: expected uint8"),
        (frames.astype(np.float32), [[0, 0, 9, 9]], "received float32"),
        (frames, [[0, 0, 9]], r"boxes: expected finite pixels \[N, 4\]"),
        (frames, [[0, 0, np.nan, 9]], "finite"),
        (frames, [[9, 0, 3, 9]], "x1 < x2"),
    ):
        with pytest.raises(ValueError, match=words):
            predictor.predict_clip(wrong, np.array(boxes))


@pytest.fixture
def found() -> Detections:
    boxes = torch.tensor([[0.1, 0.2, 0.3, 0.6], [0.5, 0.5, 1.0, 1.0]])
    keyframe = Keyframe("v", 902.0, boxes, None, torch.tensor([0.9, 0.8]), (200, 100))
    scores = torch.tensor([[0.1, 0.7, 0.6], [0.2, 0.1, 0.05]])
    return Detections(boxes, scores, keyframe.person_scores, torch.tensor([4, 7]), keyframe)


def test_supervision(found: Detections) -> None:
    pytest.importorskip("supervision")
    shown = found.to_supervision({1: "sit", 2: "stand", 3: "walk"})
    assert np.allclose(shown.xyxy, [[20, 20, 60, 60], [100, 50, 200, 100]])
    assert shown.class_id.tolist() == [2, 1]
    assert shown.confidence.tolist() == [pytest.approx(0.7), pytest.approx(0.2)]
    assert shown.tracker_id.tolist() == [4, 7]
    assert list(shown.data["class_name"]) == ["stand", "sit"]
    assert shown[shown.confidence > 0.5].data["action_scores"].shape == (1, 3)


def test_without_supervision_a_sentence_says_so(
    found: Detections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ValueError, match=r"ava_det\[supervision\]"):
        found.to_supervision()


def make_stand_in() -> ModuleType:
    """FiftyOne's three classes, as far as labels go."""
    module = ModuleType("fiftyone")
    for name in ("Detection", "Detections", "Frame"):
        setattr(module, name, type(name, (SimpleNamespace,), {}))
    return module


@pytest.mark.parametrize("real", [False, True])
def test_fiftyone(found: Detections, monkeypatch: pytest.MonkeyPatch, real: bool) -> None:
    """With a stand-in, which shows what is written, and with the real one where it is installed."""
    sample: Any = SimpleNamespace(frames={})
    if real:
        fiftyone = pytest.importorskip("fiftyone")
        sample = fiftyone.Sample(filepath="v.mp4")
    else:
        monkeypatch.setitem(sys.modules, "fiftyone", make_stand_in())
    names = {1: "sit", 2: "stand", 3: "walk"}
    thresholds = {1: 0.5, 2: 0.5, 3: 0.65}
    add_to_sample(sample, [found], names, thresholds, fps=25.0, start_second=900.0)
    [label] = sample.frames[51].actions.detections
    assert (label.label, label.index) == ("stand", 4)
    assert label.bounding_box == pytest.approx([0.1, 0.2, 0.2, 0.4])
    assert label.confidence == pytest.approx(0.7)


def test_without_fiftyone_a_sentence_says_so(
    found: Detections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(ValueError, match=r"ava_det\[fiftyone\]"):
        add_to_sample(SimpleNamespace(frames={}), [found], {}, {}, 25.0)
