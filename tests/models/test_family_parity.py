"""Outputs of the public implementations of other families, from weights under their names.

The fixtures are made as those of `test_parity`; some scale weights by name, so that nothing
overflows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from ava_det.checkpoint import load_weights
from ava_det.config import load_config
from ava_det.models.build import build_model
from tests.support.parity import deviation, load_fixture, make_state_dict


class Case(NamedTuple):
    fixture: str
    config: str
    source: str
    prefix: str = ""  # of the published file's names; the classifier may stand beside it
    classifier: Mapping[str, str] = MappingProxyType({})


CASES = [
    Case(
        "eco_lite_8f",
        "eco_lite",
        "eco",
        "module.base_model.",
        {"fc_final": "module.new_fc"},
    ),
    Case("artnet18_caffe_prototxt", "artnet_r18", "artnet"),
]


def fill(fixture: dict[str, Any]) -> dict[str, Tensor]:
    state = make_state_dict(fixture["keys"])
    for rule in fixture.get("scaled_keys", []):
        for name in state:
            if name.endswith(tuple(rule["endswith"])):
                state[name] = state[name] * rule["factor"]
    return state


def name_as_published(state: dict[str, Tensor], case: Case) -> dict[str, Tensor]:
    named = {}
    for name, tensor in state.items():
        owner, _, leaf = name.rpartition(".")
        named[f"{case.classifier.get(owner, case.prefix + owner)}.{leaf}"] = tensor
    return named


def draw(shape: tuple[int, ...]) -> Tensor:
    """Normal noise, the fixtures' input; channels last in memory, which is faster."""
    noise = np.random.RandomState(20181210).standard_normal(shape).astype(np.float32)
    return torch.from_numpy(noise).contiguous(memory_format=torch.channels_last_3d)


def clip_shape(input_shape: list[int]) -> tuple[int, ...]:
    """[B, 3, T, H, W] of a clip; fixtures of frame networks put the frames into the batch."""
    if len(input_shape) == 5:
        return tuple(input_shape)
    frames, channels, height, width = input_shape
    return (1, channels, frames, height, width)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fixture)
def test_logits_of_the_public_implementation(case: Case, tmp_path: Path) -> None:
    fixture = load_fixture(case.fixture)
    path = tmp_path / "published.pth.tar"
    torch.save({"epoch": 1, "state_dict": name_as_published(fill(fixture), case)}, path)
    model = build_model(load_config(f"configs/kinetics/{case.config}.yaml")).eval()
    report = load_weights(model, path)
    assert report.source == case.source
    assert sum(p.numel() for p in model.parameters()) == fixture["params"]
    model.to(memory_format=torch.channels_last_3d)
    for one in fixture["cases"]:
        clip = draw(clip_shape(one["input_shape"]))
        with torch.no_grad():
            assert deviation(model(clip), one["logits"]) < 1e-5


def test_a_stream_of_flow_with_20_channels(tmp_path: Path) -> None:
    fixture = load_fixture("two_stream_flow_resnet101_jeffreyyihuang")
    torch.save({"state_dict": fill(fixture)}, tmp_path / "flow.pth.tar")
    values = ["model.streams=flow", "model.flow.stack=10", "model.num_classes=101"]
    values += ["model.two_stream_cnn.architecture=resnet"]
    model = build_model(load_config("configs/kinetics/two_stream_cnn_rgb.yaml", values)).eval()
    load_weights(model, tmp_path / "flow.pth.tar")
    model.to(memory_format=torch.channels_last_3d)
    (one,) = fixture["cases"]
    stack = draw((1, 20, 1, 224, 224)).roll(2, 1)  # its first field stood last
    with torch.no_grad():
        assert deviation(model(flow=stack), one["logits"]) < 1e-5
