"""A name to a detector: what `auto` is, where weights come from, and what is said when there are
none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ava_det.checkpoint import WeightsError, zoo
from ava_det.choices import DETECTORS
from ava_det.config import ConfigError
from ava_det.detectors import detectron2_detector
from ava_det.detectors.detectron2_detector import DEFAULT_CONFIG, Detectron2Unavailable
from ava_det.detectors.faster_rcnn import (
    FasterRCNN,
    FasterRCNNDetector,
    InputRule,
    save_faster_rcnn,
)
from ava_det.detectors.registry import (
    DEFAULT_PERSON_WEIGHTS,
    build_detector,
    names_detector,
)

CPU = torch.device("cpu")
NARROW = {"depth": 18, "width": 8, "channels": 8, "hidden": 8, "norm": "gn", "num_classes": 1}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AVA_DET_CACHE", str(tmp_path))
    monkeypatch.setattr(zoo, "_fetch", no_network)
    return tmp_path


@pytest.fixture
def weights(cache: Path) -> Path:
    """A file in the place of the default weights."""
    url = zoo.ZOO[DEFAULT_PERSON_WEIGHTS].url
    assert url is not None
    path = cache / "detectron2" / "COCO-Detection" / url.rpartition("/")[2]
    save_faster_rcnn(path, FasterRCNN(**NARROW), InputRule(64, 96))  # type: ignore[arg-type]
    return path


def no_network(*_: object) -> None:
    raise OSError("no route to host")


def no_detectron2() -> None:
    raise Detectron2Unavailable("Detectron2 is not installed; install it by: pip")


def test_auto_without_detectron2_is_faster_rcnn_and_says_so(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detectron2_detector, "import_detectron2", no_detectron2)
    detector = build_detector("auto", CPU)
    assert isinstance(detector, FasterRCNNDetector)
    assert (detector.short_side, detector.long_side) == (64, 96)
    said = capsys.readouterr().out
    assert (
        "person detector: faster_rcnn" in said
        and DEFAULT_PERSON_WEIGHTS in said
        and "not installed" in said
    )


def test_auto_with_detectron2_is_detectron2_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Library:
        __version__ = "0.6"

    class Stub:
        name = "detectron2"

        def __init__(self, *arguments: Any, **named: Any) -> None:
            self.given = arguments, named

    monkeypatch.setattr(detectron2_detector, "import_detectron2", Library)
    monkeypatch.setattr(detectron2_detector, "Detectron2Detector", Stub)
    detector: Any = build_detector("auto", CPU, "bf16")
    assert detector.given == ((DEFAULT_CONFIG, None, CPU), {"precision": "bf16"})
    assert "person detector: detectron2, 0.6" in capsys.readouterr().out
    assert f"detectron2/{DEFAULT_CONFIG}" == DEFAULT_PERSON_WEIGHTS
    detector = build_detector("detectron2:mine.yaml:runs/mine.pth", CPU)
    assert detector.given[0] == ("mine.yaml", "runs/mine.pth", CPU)
    detector = build_detector("detectron2:mine.yaml:detectron2://x/y.pkl", CPU)
    assert detector.given[0] == ("mine.yaml", "detectron2://x/y.pkl", CPU)


def test_weights_follow_the_name(weights: Path) -> None:
    for name in ("faster_rcnn", "auto"):
        detector = build_detector(f"{name}:{weights}", CPU, "bf16")
        assert isinstance(detector, FasterRCNNDetector)
        assert detector.precision == "bf16"
        assert names_detector(f"{name}:{weights}")
    assert all(map(names_detector, DETECTORS))
    assert not names_detector("gt") and not names_detector("boxes/motion.csv")
    with pytest.raises(ConfigError, match="motion takes no weights"):
        build_detector("motion:weights.pth", CPU)
    with pytest.raises(WeightsError, match=r"^nowhere\.pth: no such weights file[^;]*$"):
        build_detector("faster_rcnn:nowhere.pth", CPU)


@pytest.mark.parametrize("name", ["auto", "faster_rcnn"])
def test_offline_with_nothing_cached_names_the_ways_out(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(detectron2_detector, "import_detectron2", no_detectron2)
    with pytest.raises(WeightsError) as caught:
        build_detector(name, CPU)
    sentence = str(caught.value)
    assert "\n" not in sentence and "no route to host" in sentence
    assert f"put it at {cache}/detectron2/COCO-Detection/model_final_280758.pkl" in sentence
    assert "motion" in sentence and "faster_rcnn:FILE" in sentence


def test_urls_are_kept_like_names(
    cache: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = "detectron2://COCO-Detection/faster_rcnn_R_50_FPN_3x/137849458/model_final_280758.pkl"
    assert zoo.resolve_weights(short) == zoo.resolve_weights(DEFAULT_PERSON_WEIGHTS) == weights
    monkeypatch.setattr(zoo, "_fetch", lambda url, path: Path(path).write_text(url))
    other = zoo.resolve_weights("detectron2://ImageNetPretrained/MSRA/R-50.pkl")
    assert other == cache / "detectron2" / "ImageNetPretrained" / "MSRA" / "R-50.pkl"
    assert (
        other.read_text()
        == "https://dl.fbaipublicfiles.com/detectron2/ImageNetPretrained/MSRA/R-50.pkl"
    )
