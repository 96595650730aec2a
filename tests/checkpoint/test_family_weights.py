"""Names of other families' publishers, written from random tensors and read back exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ava_det.checkpoint import WeightsError, load_weights
from ava_det.config import load_config
from ava_det.models.build import build_model
from tests.support.foreign_names import to_eco, without_counters

# config, overrides that make it small, source, from our names to the publisher's
CASES: list[tuple[str, list[str], str, Callable[[str], str]]] = [
    ("eco_lite", ["model.width=8"], "eco", to_eco),
    ("eco_full", ["model.width=8"], "eco", to_eco),
]


def build(config: str, overrides: list[str]) -> torch.nn.Module:
    return build_model(load_config(f"configs/kinetics/{config}.yaml", overrides))


def publish(model: torch.nn.Module, rename: Callable[[str], str]) -> dict[str, Tensor]:
    """Fills every entry with its own numbers and returns them under the publisher's names."""
    generator = torch.Generator().manual_seed(3)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return {rename(name): tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(("config", "overrides", "source", "rename"), CASES)
def test_every_entry_is_read_back(
    config: str,
    overrides: list[str],
    source: str,
    rename: Callable[[str], str],
    tmp_path: Path,
) -> None:
    expected = build(config, overrides)
    state = publish(expected, rename)
    assert len(state) == len(expected.state_dict())
    path = tmp_path / "weights.pth.tar"
    torch.save({"state_dict": {f"module.base_model.{name}": t for name, t in state.items()}}, path)
    model = build(config, overrides)
    assert load_weights(model, path).source == source
    found = without_counters(model.state_dict())
    for name, tensor in without_counters(expected.state_dict()).items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize(("config", "overrides", "source", "rename"), CASES[:1])
def test_a_file_of_another_family_is_refused_by_its_name(
    config: str,
    overrides: list[str],
    source: str,
    rename: Callable[[str], str],
    tmp_path: Path,
) -> None:
    path = tmp_path / "weights.pth.tar"
    torch.save(publish(build(config, overrides), rename), path)
    other = build("artnet_r18", ["model.width=8"])
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(WeightsError, match=f"model.backbone={source}"):
        load_weights(other, path)
    assert all(torch.equal(before[name], tensor) for name, tensor in other.state_dict().items())
