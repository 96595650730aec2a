"""What `precision` means for exported files, on machines of both kinds; no runtime is needed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.commands.export import main as export
from ava_det.commands.export import parse_arguments
from ava_det.device.precision import HalfPrecision
from ava_det.export import load_exported, runtimes
from tests.support.precision_answers import WITH, WITHOUT, answer

CPU = torch.device("cpu")
ARGUMENTS = ["--config", "c.yaml", "--weights", "w.pt", "--format", "onnx", "--output", "m.onnx"]


class StandIn:
    """OpenVINO's names, as far as a file is loaded by them; keeps the hints that it gets."""

    def __init__(self) -> None:
        self.hints: dict[str, Any] = {}

    def Core(self) -> StandIn:
        return self

    def read_model(self, path: str) -> StandIn:
        return self

    def has_rt_info(self, keys: list[str]) -> bool:
        return True

    def get_rt_info(self, keys: list[str]) -> Any:
        return SimpleNamespace(astype=lambda kind: '{"config": {}}')

    def get_ordered_ops(self) -> list[Any]:
        return []

    def compile_model(self, network: object, device: str, hints: dict[str, Any]) -> Any:
        assert device == "CPU"
        self.hints = hints
        return SimpleNamespace(inputs=[])


@pytest.mark.parametrize(
    ("asked", "found", "hint"),
    [
        ("auto", WITH, "bf16"),
        ("auto", WITHOUT, "f32"),
        ("bf16", WITH, "bf16"),
        ("bf16", WITHOUT, "f32"),
        ("fp16", WITH, "f16"),
        ("fp16", WITHOUT, "f32"),
        ("fp32", WITH, "f32"),
    ],
)
def test_the_hint_of_openvino(
    asked: str,
    found: HalfPrecision,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer(monkeypatch, found)
    openvino = StandIn()
    monkeypatch.setattr(runtimes, "import_extra", lambda module, extra: openvino)
    (tmp_path / "model.xml").touch()
    load_exported(tmp_path / "model.xml", "openvino", CPU, asked)
    assert openvino.hints["INFERENCE_PRECISION_HINT"] == hint
    replaced = asked in ("bf16", "fp16") and not found.is_native
    sentence = f"warning: precision {asked}: fp32 is used in its place ({found.reason})\n"
    assert capsys.readouterr().err == (sentence if replaced else "")


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_a_widened_box_keeps_an_extent(name: str) -> None:
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[name]
    corners = np.linspace(0.5, 1900, 500, dtype=np.float32)
    rois = np.stack([np.zeros_like(corners), *([corners] * 4)], axis=1)
    widened = torch.from_numpy(runtimes.give_extent(rois, runtimes.SPACINGS[name])).to(dtype)
    assert bool((widened[:, 3:] > widened[:, 1:3]).all())


def test_weights_in_bfloat16_are_refused_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        export([*ARGUMENTS, "--precision", "bf16"])
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert (
        "--precision: expected auto, fp32, fp16 or int8, received 'bf16': files store no" in message
    )
    assert parse_arguments([*ARGUMENTS, "--precision", "auto"]).precision == "auto"
