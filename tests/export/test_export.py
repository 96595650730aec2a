"""Exported networks give the network's logits, or no file at all."""

from __future__ import annotations

import importlib
import shutil
import struct
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ava_det.config import Config, config_to_dict, load_config
from ava_det.export import export_model, load_exported
from ava_det.export.int8 import list_parts, read_network
from ava_det.export.runtimes import give_extent
from ava_det.inference.batch import compute_scores
from ava_det.models.build import build_model
from ava_det.operations.export import draw_inputs

# the package has a function of the same name
export_module = importlib.import_module("ava_det.export.export")
pytest.importorskip("onnxscript", reason="needs an extra: pip install 'ava_det[onnx]'")
CPU = torch.device("cpu")
SMALL = [
    "model.width=8",
    "model.depth=14",
    "model.num_slow_frames=2",
    "model.zero_init_last_gamma=false",
]
FAMILIES = {
    "slowfast": ["model.beta_inv=4", "model.alpha=4"],
    "slow_only": ["model.backbone=slow_only"],
    "fast_only": ["model.backbone=fast_only", "model.beta_inv=2", "model.alpha=4"],
    "i3d": ["model.backbone=i3d"],
    "classification": ["model.beta_inv=4", "model.alpha=4", "model.head=classification"],
    "mmaction2": [
        "model.beta_inv=4",
        "model.alpha=4",
        "model.lateral_norm=false",
        "model.roi_context=true",
        "model.roi_time_pool=max",
        "model.roi_hidden_layer=true",
        "model.roi_resolution=8",
    ],
    "non_local": ["model.backbone=slow_only", "model.non_local_res4=[0]"],
    "ttoc_concat": [
        "model.beta_inv=4",
        "model.alpha=4",
        "model.lateral=ttoc_concat",
        "model.roi_aligned=false",
    ],
}


def build(*overrides: str) -> tuple[Config, nn.Module, list[dict[str, Tensor]]]:
    torch.manual_seed(0)
    config = load_config("configs/ava/slowfast_r50_4x16.yaml", [*SMALL, *overrides])
    model = build_model(config).eval()
    return (
        config,
        model,
        [draw_inputs(config, 2, 3), draw_inputs(config, 1, 0), draw_inputs(config, 3, 1, 45)],
    )


def export(
    path: Path, file_format: str, *overrides: str, precision: str = "fp32"
) -> tuple[Config, nn.Module]:
    config, model, checks = build(*overrides)
    facts = {"config": config_to_dict(config), "label_map": {1: "bend/bow"}, "precision": precision}
    export_model(model, checks, path, file_format, precision, facts)
    return config, model


@pytest.fixture(scope="module", params=["onnx", pytest.param("openvino", marks=pytest.mark.slow)])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, nn.Module]:
    """Runtime, file, and the network that is in it: a small SlowFast."""
    pytest.importorskip({"onnx": "onnxruntime"}.get(request.param, request.param))
    suffix = {"onnx": ".onnx", "openvino": ".xml"}[request.param]
    path = tmp_path_factory.mktemp("exported") / f"model{suffix}"
    return request.param, path, export(path, request.param, *FAMILIES["slowfast"])[1]


@pytest.mark.parametrize(
    ("batch", "boxes", "short_side"), [(1, 1, 64), (3, 7, 45), (2, 0, 71), (1, 100, 96)]
)
def test_any_number_of_clips_boxes_and_pixels(
    exported: tuple[str, Path, nn.Module], batch: int, boxes: int, short_side: int
) -> None:
    runtime, path, model = exported
    loaded = load_exported(path, runtime, CPU)
    config, _, _ = build(*FAMILIES["slowfast"])
    inputs = draw_inputs(config, batch, boxes, short_side)
    with torch.inference_mode():
        expected = model(**inputs)
        received = loaded(**inputs)
    assert received.dtype == torch.float32
    torch.testing.assert_close(received, expected, rtol=0, atol=1e-5)


def test_the_facts_travel(exported: tuple[str, Path, nn.Module]) -> None:
    runtime, path, _ = exported
    facts = load_exported(path, runtime, CPU).facts
    assert facts["label_map"] == {1: "bend/bow"}
    assert facts["config"]["data"]["mean"] == [0.45, 0.45, 0.45]
    assert facts["config"]["data"]["frame_grid"] == "seconds"
    assert facts["config"]["model"]["width"] == 8


def test_layers_are_named_by_their_modules(exported: tuple[str, Path, nn.Module]) -> None:
    runtime, path, _ = exported
    stages = [
        f"{way}.{stage}"
        for way in ("slow", "fast")
        for stage in ("stem", "res2", "res3", "res4", "res5")
    ]
    parts = {f"backbone.{part}" for part in [*stages, *(f"laterals.{n}" for n in range(4))]}
    # a layer whose bias is zero has the name of its output in OpenVINO
    last = {"head": "head"} | {"openvino": {"logits": "head"}}.get(runtime, {})
    found = list_parts(read_network(path, runtime), runtime)
    assert {last.get(part, part) for part in found} == {*parts, "head"}


def plant(runtime: str, path: Path, value: float) -> None:
    """Changes one number of the largest float32 weight of an exported file."""
    if runtime == "onnx":
        onnx = pytest.importorskip("onnx")
        model = onnx.load(path)
        floats = [one for one in model.graph.initializer if one.data_type == 1]
        largest = max(floats, key=lambda one: one.ByteSize())
        values = onnx.numpy_helper.to_array(largest).copy()
        values.flat[-1] = value
        largest.CopyFrom(onnx.numpy_helper.from_array(values, largest.name))
        onnx.save(model, path)
        return
    places = [
        (int(data.attrib["size"]), int(data.attrib["offset"]))
        for data in ElementTree.parse(path).iter("data")
        if data.attrib.get("element_type") == "f32" and "offset" in data.attrib
    ]
    offset = max(places)[1]
    content = bytearray(path.with_suffix(".bin").read_bytes())
    content[offset : offset + 4] = struct.pack("<f", value)
    path.with_suffix(".bin").write_bytes(content)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (-np.inf, "infinity")])
def test_weights_that_are_no_numbers_are_refused(
    exported: tuple[str, Path, nn.Module], tmp_path: Path, value: float, word: str
) -> None:
    runtime, path, _ = exported
    for part in path.parent.iterdir():
        shutil.copy(part, tmp_path)
    plant(runtime, tmp_path / path.name, value)
    with pytest.raises(ValueError, match=rf"{path.name}: .+ holds {word}, expected finite numbers"):
        load_exported(tmp_path / path.name, runtime, CPU)


def test_inputs_that_do_not_fit_are_named(exported: tuple[str, Path, nn.Module]) -> None:
    runtime, path, _ = exported
    loaded = load_exported(path, runtime, CPU)
    inputs = draw_inputs(build(*FAMILIES["slowfast"])[0], 1, 1)
    with pytest.raises(ValueError, match="the fast clip is missing"):
        loaded(inputs["slow"], None, inputs["rois"])
    with pytest.raises(
        ValueError, match="made for any x 3 x 8 x any x any, received 1 x 3 x 7 x 64 x 77"
    ):
        loaded(inputs["slow"], inputs["fast"][:, :, :7], inputs["rois"])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_openvino_computes_at_the_precision_asked_for(
    exported: tuple[str, Path, nn.Module], precision: str
) -> None:
    runtime, path, model = exported
    inputs = draw_inputs(build(*FAMILIES["slowfast"])[0], 2, 3)
    with torch.inference_mode():
        logits = load_exported(path, runtime, CPU, precision)(**inputs)
        assert float((logits.sigmoid() - model(**inputs).sigmoid()).abs().max()) <= 0.006


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_box_without_extent_spoils_nothing(
    exported: tuple[str, Path, nn.Module], precision: str
) -> None:
    """OpenVINO's own RoIAlign gives NaN for each of the first three, in bfloat16 for the fourth as
    well.
    """
    runtime, path, model = exported
    inputs = draw_inputs(build(*FAMILIES["slowfast"])[0], 1, 1)
    flat = [
        [0, 10, 10, 10, 40],
        [0, 10, 10, 30, 10],
        [0, 30, 10, 10, 40],
        [0, 365.3, 83, 366.1, 134],
        [0, 5, 5, 30, 30],
    ]
    inputs["rois"] = torch.tensor(flat, dtype=torch.float32)
    with torch.inference_mode():
        logits = load_exported(path, runtime, CPU, precision)(**inputs)
        expected = model(**inputs)
    assert logits.isfinite().all()
    assert float((logits[-1].sigmoid() - expected[-1].sigmoid()).abs().max()) <= 0.006


@given(
    low=st.floats(0, 2000, width=32),
    extent=st.one_of(st.just(0.0), st.floats(0, 1, width=32), st.floats(0, 500, width=32)),
)
def test_a_widened_box_has_an_extent_in_its_precision(low: float, extent: float) -> None:
    rois = np.array([[3, low, low, low + extent, low]], np.float32)
    for spacing, dtype in ((2.0**-7, torch.bfloat16), (2.0**-13, torch.float32)):
        widened = give_extent(rois, spacing)
        assert widened.dtype == np.float32
        _, x1, y1, x2, y2 = torch.from_numpy(widened).to(dtype)[0].tolist()
        assert x2 > x1 and y2 > y1
        assert (widened[0, :3] == rois[0, :3]).all()
        if extent > 2.0**-6 * (low + extent + 8):
            assert widened[0, 3] == rois[0, 3]


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["onnx", "openvino"])
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "slowfast"])
def test_every_family(family: str, file_format: str, tmp_path: Path) -> None:
    suffix = {"onnx": ".onnx", "openvino": ".xml"}[file_format]
    # compares on three sets of inputs itself
    export(tmp_path / f"model{suffix}", file_format, *FAMILIES[family])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file_format", "binary"), [("onnx", "model.onnx"), ("openvino", "model.bin")]
)
def test_fp16_files_are_half_as_large(file_format: str, binary: str, tmp_path: Path) -> None:
    suffix = {"onnx": ".onnx", "openvino": ".xml"}[file_format]
    wide = [*FAMILIES["slowfast"], "model.width=32"]
    sizes = []
    for precision in ("fp32", "fp16"):
        export(tmp_path / f"model{suffix}", file_format, *wide, precision=precision)
        sizes.append((tmp_path / binary).stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]


@pytest.mark.slow
def test_a_file_that_differs_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(nn.Module):
        """Right about what it is traced with, wrong about every other number of boxes."""

        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.backbone = model.backbone
            self.head = model.head

        def forward(self, slow: Tensor, fast: Tensor, rois: Tensor) -> Tensor:
            logits = self.head(self.backbone(slow, fast), rois)
            return logits if torch.compiler.is_compiling() or len(rois) == 3 else logits + 1e-3

    _, model, checks = build(*FAMILIES["slowfast"])
    path = tmp_path / "model.onnx"
    path.write_text("an earlier file")
    with pytest.raises(
        ValueError, match=r"expected outputs within 0\.0001 of the network's, found .* 0\.001"
    ):
        export_model(Wrong(model), checks, path, "onnx", "fp32", {"label_map": None})
    assert path.read_text() == "an earlier file"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("exclusive", [False, True])
def test_fp16_is_judged_by_the_scores_that_the_network_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exclusive: bool
) -> None:
    """A change where sigmoids are full and a softmax is undecided, and one that only they see."""

    class Planted(nn.Module):
        def __init__(self, *logits: float) -> None:
            super().__init__()
            self.logits = torch.tensor([logits])

        def forward(self, rois: Tensor) -> Tensor:
            return self.logits

    def write(model: nn.Module, inputs: object, path: Path, *rest: object) -> None:
        path.write_bytes(b"")

    def export_changed(before: nn.Module, after: nn.Module) -> float:
        monkeypatch.setattr(export_module, "load_exported", lambda *args: after)
        score = partial(compute_scores, exclusive=exclusive)
        checks = [{"rois": torch.zeros(1, 5)}]
        return export_model(before, checks, tmp_path / "model.onnx", "onnx", "fp16", {}, score)

    monkeypatch.setattr(export_module, "import_extra", lambda *names: None)
    monkeypatch.setattr(export_module, "_write_onnx", write)
    full = Planted(10.0, 10.0), Planted(10.0, 10.05)
    shifted = Planted(0.0, 0.0), Planted(0.05, 0.05)
    seen, unseen = (full, shifted) if exclusive else (shifted, full)
    assert export_changed(*unseen) < 1e-5
    with pytest.raises(ValueError, match=r"within 0\.006 .* a difference of 0\.012"):
        export_changed(*seen)


@pytest.mark.parametrize(("runtime", "name"), [("onnx", "model.onnx"), ("openvino", "model.xml")])
def test_a_file_of_something_else_is_one_sentence(runtime: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(runtime, runtime))
    with pytest.raises(ValueError, match=rf"{name}: no such file"):
        load_exported(tmp_path / name, runtime, CPU)
    (tmp_path / name).write_text("nothing of the kind")
    with pytest.raises(
        ValueError, match=rf"{name}: expected .* written by ava-det export"
    ) as caught:
        load_exported(tmp_path / name, runtime, CPU)
    assert "\n" not in str(caught.value)


def test_a_missing_extra_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    (tmp_path / "model.onnx").write_text("")
    with pytest.raises(
        ValueError, match=r'onnxruntime is not installed: pip install "ava_det\[onnx\]"'
    ):
        load_exported(tmp_path / "model.onnx", "onnx", CPU)
