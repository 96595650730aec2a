"""From weights to a file to the same mAP and the same overlay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.config import config_to_dict, load_config
from ava_det.formats.annotations import load_detections
from ava_det.formats.label_map import load_label_map
from ava_det.models.build import build_model

pytest.importorskip("onnxscript", reason="needs an extra: pip install 'ava_det[onnx]'")
RunTool = Callable[..., tuple[int, str, str]]
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}


@pytest.fixture
def weights(synthetic_config: list[str], synthetic: Path, tmp_path: Path) -> Path:
    config = load_config(synthetic_config[1], synthetic_config[2:])
    torch.manual_seed(0)
    state = build_model(config).state_dict()
    label_map = load_label_map(synthetic / "labelmap.pbtxt")
    content = {"model": state, "config": config_to_dict(config), "label_map": label_map}
    save_checkpoint(tmp_path / "weights.pt", content)
    return tmp_path / "weights.pt"


@pytest.mark.parametrize("runtime", ["onnx", pytest.param("openvino", marks=pytest.mark.slow)])
def test_the_same_map_and_the_same_demo(
    runtime: str,
    run_tool: RunTool,
    synthetic_config: list[str],
    synthetic: Path,
    weights: Path,
    tmp_path: Path,
) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(runtime, runtime))
    exported = tmp_path / f"network{SUFFIXES[runtime]}"
    code, out, err = run_tool(
        "export_model",
        *synthetic_config,
        "--weights",
        weights,
        "--format",
        runtime,
        "--output",
        exported,
    )
    assert code == 0, err
    assert "and one of" in out  # a real clip was compared
    results = {}
    for name, options in (
        ("torch", ["--weights", weights]),
        (runtime, ["--weights", exported, "--runtime", runtime]),
    ):
        folder = tmp_path / name
        code, _, err = run_tool(
            "test_ava", *synthetic_config, *options, f"output_dir={folder}", "data.label_map=null"
        )
        assert code == 0, err
        metrics = json.loads((folder / "metrics.json").read_text())
        results[name] = metrics["mAP"], load_detections(folder / "detections.csv")
    assert results[runtime][0] == pytest.approx(results["torch"][0], abs=1e-3)
    np.testing.assert_allclose(results[runtime][1].scores, results["torch"][1].scores, atol=1e-5)
    options = ["--weights", exported, "--runtime", runtime, "data.mean=[0.5,0.5,0.5]"]
    code, _, err = run_tool("test_ava", *synthetic_config, *options)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("error: data.mean: expected [0.45, 0.45, 0.45], as")
    video = next((synthetic / "videos").glob("demo_*.mp4"))
    options = [
        "--weights",
        exported,
        "--runtime",
        runtime,
        "--boxes",
        "motion",
        "--output",
        tmp_path / "overlay.mp4",
    ]
    code, out, err = run_tool(
        "demo", *synthetic_config, "--video", video, *options, "data.label_map=null"
    )
    assert code == 0, err
    assert "keyframes; written" in out
    alone = [
        "--weights",
        exported,
        "--boxes",
        "motion",
        "--csv",
        tmp_path / "alone.csv",
        "--end",
        "2",
    ]
    code, out, err = run_tool(
        "demo", "--video", video, *alone
    )  # the file carries all that it needs
    assert code == 0, err


def test_a_wrong_suffix_is_said_first(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    code, _, err = run_tool(
        "export_model",
        *synthetic_config,
        "--weights",
        "none.pt",
        "--format",
        "openvino",
        "--output",
        "a.onnx",
    )
    assert code == 2
    assert "expected a file name that ends in .xml, received 'a.onnx'" in err
