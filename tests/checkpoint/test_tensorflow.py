"""deepmind's TensorFlow checkpoints of I3D, written here and read back; and GoogLeNet's names."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ava_det.checkpoint import WeightsError, load_weights, resolve_weights, zoo
from ava_det.checkpoint.published import PublishedWeights
from ava_det.checkpoint.tensorflow_bundle import read_bundle
from ava_det.config import load_config
from ava_det.models.build import build_model
from tests.support.tensorflow_bundle import write_bundle

CONFIG = "configs/kinetics/i3d_inception.yaml"
UNITS = {"b0": "Branch_0/Conv3d_0a_1x1", "b1a": "Branch_1/Conv3d_0a_1x1"}
UNITS |= {"b1b": "Branch_1/Conv3d_0b_3x3", "b2a": "Branch_2/Conv3d_0a_1x1"}
UNITS |= {"b2b": "Branch_2/Conv3d_0b_3x3", "b3b": "Branch_3/Conv3d_0b_1x1"}
STEM = {"conv_1a": "Conv3d_1a_7x7", "conv_2b": "Conv3d_2b_1x1", "conv_2c": "Conv3d_2c_3x3"}
LEAVES = {"bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def build_small(*overrides: str) -> nn.Module:
    return build_model(load_config(CONFIG, ["model.width=4", *overrides]))


def to_tensorflow(model: nn.Module, prefix: str, slots: bool) -> dict[str, np.ndarray]:
    """Fills a network with noise and writes it as TensorFlow stores it.

    Args:
        model: The network; the factors of its norms become 1.
        prefix: Before each name.
        slots: Whether momenta stand beside, and statistics have five dimensions (Kinetics-600).
    """
    tensors: dict[str, np.ndarray] = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("bn.weight"):
            tensor.fill_(1)
            continue
        tensor.copy_(torch.rand_like(tensor))
        name = name.replace("head.projection.", "backbone.Logits.Conv3d_0c_1x1.conv.")
        _, block, *unit, part, leaf = name.split(".")
        owner = STEM.get(block, block.replace("mixed", "Mixed"))
        for one in unit:
            owner += f"/{UNITS.get(one, one)}"
        if owner == "Mixed_5b/Branch_2/Conv3d_0b_3x3":
            owner = "Mixed_5b/Branch_2/Conv3d_0a_3x3"
        values = tensor.numpy().copy()
        if part == "conv" and leaf == "weight":
            values = values.reshape(*values.shape, *[1] * (5 - values.ndim))
            values = np.ascontiguousarray(values.transpose(2, 3, 4, 1, 0))
        elif slots and part == "bn":
            values = values.reshape(1, 1, 1, 1, -1)
        end = f"conv_3d/{leaf[0]}" if part == "conv" else f"batch_norm/{LEAVES[leaf]}"
        tensors[f"{prefix}{owner}/{end}"] = values
        if slots and "moving" not in end:
            tensors[f"{prefix}{owner}/{end}/Momentum"] = np.full_like(values, 9)
    return tensors


@pytest.mark.parametrize(
    ("prefix", "slots", "stream"),
    [
        ("RGB/inception_i3d/", False, "rgb"),
        ("Flow/inception_i3d/", False, "flow"),
        ("", True, "rgb"),
    ],
)
def test_a_checkpoint_is_read_back_exactly(
    prefix: str, slots: bool, stream: str, tmp_path: Path
) -> None:
    overrides = [f"model.streams={stream}", "model.num_classes=7"]
    expected = build_small(*overrides)
    tensors = to_tensorflow(expected, prefix, slots)
    index = write_bundle(tmp_path / "model.ckpt", tensors)
    assert f"{prefix}Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w" in tensors
    model = build_small(*overrides)
    assert load_weights(model, index).source == "deepmind"
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0, msg=name)


def test_numbers_of_every_type_and_nothing_of_others(tmp_path: Path) -> None:
    tensors: dict[str, np.ndarray] = {
        "a/b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a/bc": np.arange(4, dtype=np.float64),
        "global_step": np.array(7, dtype=np.int64),
        "z": np.zeros((0, 2), dtype=np.int32),
    }
    found = read_bundle(write_bundle(tmp_path / "x", tensors, per_block=2))
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name].numpy(), tensor)
        assert found[name].numpy().dtype == tensor.dtype


def test_damage_and_parts_are_said(tmp_path: Path) -> None:
    index = write_bundle(tmp_path / "model.ckpt", {"v": np.ones(4, dtype=np.float32)})
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    model = build_small()
    with pytest.raises(WeightsError, match=r"name model\.ckpt\.index beside it"):
        load_weights(model, data)
    whole = data.read_bytes()
    data.write_bytes(whole[:-1])
    with pytest.raises(WeightsError, match=r"v is not whole in model\.ckpt\.data-\*"):
        load_weights(model, index)
    data.unlink()
    with pytest.raises(WeightsError, match=r"beside it expected model\.ckpt\.data-00000-of-00001"):
        load_weights(model, index)
    table = index.read_bytes()
    index.write_bytes(table[:20] + table[-48:])
    with pytest.raises(WeightsError, match="damaged index of a TensorFlow checkpoint"):
        load_weights(model, index)


@pytest.mark.parametrize("position", range(0, 60, 7))
def test_any_damaged_byte_ends_in_a_sentence_or_other_numbers(
    position: int, tmp_path: Path
) -> None:
    index = write_bundle(tmp_path / "x", {"name": np.ones(3, dtype=np.float32)})
    table = bytearray(index.read_bytes())
    table[position % (len(table) - 8)] ^= 0xFF
    index.write_bytes(table)
    with contextlib.suppress(ValueError):  # of no other kind
        read_bundle(index)


def test_a_name_fetches_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVA_DET_CACHE", str(tmp_path / "cache"))
    index = write_bundle(tmp_path / "model.ckpt", {"v": np.ones(4, dtype=np.float32)})
    data = index.with_name("model.ckpt.data-00000-of-00001")
    entry = PublishedWeights(index.as_uri(), "Apache-2.0", beside=(data.as_uri(),))
    monkeypatch.setitem(zoo.ZOO, "deepmind/rgb_imagenet", entry)
    file = resolve_weights("deepmind/rgb_imagenet")
    assert file == tmp_path / "cache" / "deepmind" / "rgb_imagenet" / "model.ckpt.index"
    assert torch.equal(read_bundle(file)["v"], torch.ones(4))


def test_torchvisions_googlenet_begins_i3d(tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        network = torchvision.models.googlenet(weights=None, init_weights=False)
    generator = torch.Generator().manual_seed(0)
    state = {
        name: torch.rand(tensor.shape, generator=generator)
        for name, tensor in network.state_dict().items()
        if tensor.ndim
    }
    torch.save(state, tmp_path / "googlenet.pth")
    model = build_model(load_config(CONFIG))
    report = load_weights(model, tmp_path / "googlenet.pth", allow_missing=("head",))
    assert report.source == "torchvision_googlenet"
    assert [*report.missing, *report.unexpected] == []
    assert report.wrong_shape == ["head.projection.weight", "head.projection.bias"]
    ours = model.state_dict()
    kernel = ours["backbone.mixed_4f.b2b.conv.weight"]
    theirs = state["inception4e.branch3.1.conv.weight"]
    torch.testing.assert_close(kernel.sum(dim=2), theirs)
    torch.testing.assert_close(kernel[:, :, 0], theirs / 3)
    assert torch.equal(ours["backbone.conv_1a.bn.running_var"], state["conv1.bn.running_var"])
