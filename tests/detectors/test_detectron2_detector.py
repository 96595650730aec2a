"""The adapter: what it says where Detectron2 is missing or broken, and what it does with the real
library.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.checkpoint import WeightsError
from ava_det.detectors import PersonDetector
from ava_det.detectors.detectron2_detector import (
    Detectron2Detector,
    Detectron2Unavailable,
    explain,
    import_detectron2,
)
from tests.support.golden_cases import CASES, build_theirs, make_frame

needs_detectron2 = pytest.mark.needs_detectron2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ModuleNotFoundError("No module named 'detectron2'", name="detectron2"),
            ["not installed", "--no-build-iso"],
        ),
        (
            ModuleNotFoundError("No module named 'fvcore'", name="fvcore"),
            ["needs fvcore", "pip install fvcore"],
        ),
        (ImportError("_C.so: undefined symbol: _ZN3c10"), ["another torch", "--force-reinstall"]),
        (
            ImportError("detectron2 is not compiled successfully\nmore"),
            ["another torch", "--force-reinstall"],
        ),
        (
            ImportError("cannot import name 'x'\nmore"),
            ["does not import (cannot import name 'x')", "--force-reinstall"],
        ),
        (OSError("libtorch.so: cannot open"), ["libtorch.so", "--force-reinstall"]),
    ],
)
def test_what_is_wrong_comes_with_the_command_that_fixes_it(
    error: Exception, words: list[str]
) -> None:
    sentence = explain(error)
    assert "python -m pip install" in sentence and "\n" not in sentence
    assert all(word in sentence for word in words)


def refuse_imports(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real: Callable[..., ModuleType] = importlib.import_module

    def import_module(name: str, *arguments: Any) -> ModuleType:
        if name.startswith("detectron2"):
            raise error
        return real(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", import_module)


def test_a_missing_or_broken_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_imports(
        monkeypatch, ModuleNotFoundError("No module named 'detectron2'", name="detectron2")
    )
    with pytest.raises(Detectron2Unavailable, match="not installed; install it by: python -m pip"):
        Detectron2Detector()
    refuse_imports(monkeypatch, ImportError("undefined symbol: _ZN3c10"))
    with pytest.raises(Detectron2Unavailable, match="compiled for another torch"):
        Detectron2Detector()
    assert "pkg_resources" not in sys.modules or sys.modules["pkg_resources"].__file__


class Hostile:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.victim),)


@pytest.fixture
def library() -> ModuleType:
    pytest.importorskip("detectron2", reason="Detectron2 is not installed")
    return import_detectron2()


@pytest.fixture
def narrow(library: ModuleType, tmp_path: Path) -> Detectron2Detector:
    """Its config.yaml and weights.pth are in tmp_path."""
    return build_theirs(CASES["narrow_r50"], tmp_path)


@needs_detectron2
@pytest.mark.filterwarnings("ignore")
def test_a_yacs_file_with_weights(narrow: Detectron2Detector, tmp_path: Path) -> None:
    assert isinstance(narrow, PersonDetector)
    assert (narrow.name, narrow.channel_order, narrow.person_class) == ("detectron2", "BGR", 0)
    assert not narrow.model.training
    narrow.begin_video([])
    frames = [make_frame(120, 160, 3), make_frame(200, 90, 4)]
    results = narrow(frames)
    for (boxes, scores), frame in zip(results, frames, strict=True):
        assert boxes.dtype == scores.dtype == np.float32
        assert (
            len(boxes)
            and boxes[:, 2].max() <= frame.shape[1]
            and boxes[:, 3].max() <= frame.shape[0]
        )
    # with the weights named inside the configuration
    inside = tmp_path / "inside.yaml"
    inside.write_text((tmp_path / "config.yaml").read_text() + f"\n_BASE_: {tmp_path}/empty.yaml\n")
    (tmp_path / "empty.yaml").write_text("VERSION: 2\n")
    text = inside.read_text().splitlines()
    inside.write_text(
        "\n".join(f"  WEIGHTS: {tmp_path}/weights.pth" if "  WEIGHTS:" in t else t for t in text)
        + "\n"
    )
    np.testing.assert_array_equal(Detectron2Detector(inside)(frames)[0][0], results[0][0])


@needs_detectron2
@pytest.mark.filterwarnings("ignore")
def test_halves_and_another_class(narrow: Detectron2Detector, tmp_path: Path) -> None:
    files = tmp_path / "config.yaml", tmp_path / "weights.pth"
    frame = make_frame(120, 160, 3)
    boxes, scores = Detectron2Detector(*files, precision="bf16")([frame])[0]
    assert boxes.dtype == scores.dtype == np.float32
    assert scores[0] == pytest.approx(narrow([frame])[0][1][0], abs=0.05)
    others = [
        len(Detectron2Detector(*files, person_class=k)([frame])[0][0]) for k in range(1, 80, 20)
    ]
    assert max(others) < len(narrow([frame])[0][0])


@needs_detectron2
@pytest.mark.filterwarnings("ignore")
def test_a_lazy_config(library: ModuleType, tmp_path: Path) -> None:
    config = tmp_path / "lazy.py"
    config.write_text(
        "from detectron2 import model_zoo\n"
        "model = model_zoo.get_config('common/models/mask_rcnn_fpn.py').model\n"
        "model.roi_heads.mask_in_features = model.roi_heads.mask_pooler = "
        "model.roi_heads.mask_head = None\n"
    )
    lazy = library.config.LazyConfig.load(str(config))
    torch.manual_seed(0)
    model = library.config.instantiate(lazy.model)
    torch.save({"model": model.state_dict()}, tmp_path / "w.pth")
    detector = Detectron2Detector(config, tmp_path / "w.pth")
    assert detector.channel_order == "BGR"
    assert detector._prepare(make_frame(480, 640, 0))["image"].shape == (3, 800, 1067)
    with pytest.raises(WeightsError, match="names no weights"):
        Detectron2Detector(config)


@needs_detectron2
@pytest.mark.filterwarnings("ignore")
def test_names_of_the_model_zoo_bring_their_weights(
    library: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVA_DET_CACHE", str(tmp_path))
    for kind in ("R_50", "R_101", "X_101_32x8d"):
        name = f"COCO-Detection/faster_rcnn_{kind}_FPN_3x"
        (tmp_path / "detectron2" / "COCO-Detection").mkdir(parents=True, exist_ok=True)
        url = library.model_zoo.get_checkpoint_url(name + ".yaml")
        cached = tmp_path / "detectron2" / "COCO-Detection" / url.rpartition("/")[2]
        # found where ours are kept: our names and theirs are one file
        torch.save({"model": {}}, cached)
        with pytest.raises(WeightsError, match="does not fit the configuration: missing"):
            Detectron2Detector(name)
    with pytest.raises(ValueError, match="no such name in Detectron2's model zoo"):
        Detectron2Detector("COCO-Detection/yolo")


@needs_detectron2
@pytest.mark.filterwarnings("ignore")
def test_files_that_cannot_be_used_are_one_sentence(
    narrow: Detectron2Detector, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    weights = tmp_path / "weights.pth"
    entries = torch.load(weights)["model"]
    torch.save({"model": {k: v for k, v in entries.items() if "res4.5" not in k}}, weights)
    with pytest.raises(WeightsError, match=r"missing backbone\.bottom_up\.res4\.5.* and \d+ more"):
        Detectron2Detector(config, weights)
    weights.write_bytes(pickle.dumps({"model": {"x": Hostile(tmp_path / "victim")}}, protocol=2))
    with pytest.raises(WeightsError, match="nothing in it was run"):
        Detectron2Detector(config, weights)
    config.write_text(
        config.read_text().replace("VERSION: 2", "VERSION: !!python/object/apply:os.mkdir [victim]")
    )
    with pytest.raises(ValueError, match=r"config\.yaml: not a configuration of Detectron2"):
        Detectron2Detector(config, weights)
    config.write_text("MODEL:\n  COLOUR: red\n")
    with pytest.raises(ValueError, match=r"not a configuration of Detectron2 .*COLOUR"):
        Detectron2Detector(config, weights)
    config.write_text("MODEL:\n  WEIGHTS: ''\n")
    with pytest.raises(WeightsError, match="names no weights"):
        Detectron2Detector(config)
    assert not (tmp_path / "victim").exists() and not Path("victim").exists()


@needs_detectron2
def test_it_imports_without_pkg_resources(
    library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with setuptools 82 and later, which no longer have it."""
    for name in [name for name in sys.modules if name.startswith("detectron2.model_zoo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pkg_resources", None)
    assert import_detectron2().model_zoo.get_config_file(
        "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml"
    )
