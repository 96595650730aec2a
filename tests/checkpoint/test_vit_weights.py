"""One video transformer under the names of five projects, with what their training left beside."""

from __future__ import annotations

import argparse
from pathlib import Path, PosixPath
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ava_det.checkpoint import WeightsError, load_checkpoint, load_weights, resolve_weights
from ava_det.checkpoint.zoo import ZOO
from ava_det.config import load_config
from ava_det.models.build import build_model

State = dict[str, Tensor]
TINY = ["model.vit.width=24", "model.vit.depth=2", "model.vit.heads=3", "model.num_classes=5"]
CONFIG = "configs/ava/mmaction2/vit_s_videomae.yaml"


def build(head: str = "roi", *overrides: str) -> torch.nn.Module:
    return build_model(load_config(CONFIG, [*TINY, f"model.head={head}", *overrides]))


def randomize(model: torch.nn.Module) -> State:
    generator = torch.Generator().manual_seed(0)
    return {
        name: entry
        if name.endswith("position_table")
        else torch.randn(entry.shape, generator=generator)
        for name, entry in model.state_dict().items()
    }


def to_videomae(name: str) -> str:
    if name.startswith("head."):
        return name.replace("head.projection.", "head.").replace("head.norm.", "fc_norm.")
    return name.removeprefix("backbone.").replace("patch_embed.", "patch_embed.proj.")


def to_mmaction2(name: str, head: str) -> str:
    last = "roi_head.bbox_head" if head == "roi" else "cls_head"
    for ours, theirs in (
        ("head.projection.", f"{last}.fc_cls."),
        ("head.norm.", "backbone.fc_norm."),
        ("position_table", "pos_embed"),
        ("patch_embed.", "patch_embed.projection."),
        ("mlp.fc1.", "mlp.layers.0.0."),
        ("mlp.fc2.", "mlp.layers.1."),
    ):
        name = name.replace(ours, theirs)
    return name


def to_hub(state: State) -> State:
    theirs = {}
    for name, entry in state.items():
        name = name.removeprefix("backbone.").replace("attn.proj.", "attention.output.dense.")
        for ours, new in (
            ("patch_embed.", "embeddings.patch_embeddings.projection."),
            ("blocks.", "encoder.layer."),
            ("norm1.", "layernorm_before."),
            ("norm2.", "layernorm_after."),
            ("mlp.fc1.", "intermediate.dense."),
            ("mlp.fc2.", "output.dense."),
            ("attn.", "attention.attention."),
        ):
            name = name.replace(ours, new)
        if name.startswith("norm."):
            name = f"layer{name}"
        if name.endswith("qkv.weight"):
            for part, value in zip(("query", "key", "value"), entry.chunk(3), strict=True):
                theirs["videomae." + name.replace("qkv", part)] = value.clone()
        elif name.startswith("head."):
            theirs[
                name.replace("head.projection", "classifier").replace("head.norm", "fc_norm")
            ] = entry
        elif name != "position_table":
            theirs["videomae." + name] = entry
    return theirs


def assert_loaded(model: torch.nn.Module, expected: State) -> None:
    for name, entry in model.state_dict().items():
        assert torch.equal(entry, expected[name]), name


@pytest.mark.parametrize("head", ["roi", "classification"])
def test_mmaction2(head: str, tmp_path: Path) -> None:
    expected = randomize(build(head))
    state = {to_mmaction2(name, head): entry for name, entry in expected.items()}
    if head == "roi":  # class 0 is the background
        for leaf in ("weight", "bias"):
            name = f"roi_head.bbox_head.fc_cls.{leaf}"
            state[name] = torch.cat((torch.zeros_like(state[name][:1]), state[name]))
    torch.save({"state_dict": state, "meta": {"epoch": 20}}, tmp_path / "vit.pth")
    model = build(head)
    assert load_weights(model, tmp_path / "vit.pth").source == "mmaction2"
    assert_loaded(model, expected)


@pytest.mark.parametrize("head", ["roi", "classification"])
@pytest.mark.parametrize("container", ["model", "module"])
def test_videomae_with_the_arguments_of_its_training(
    head: str, container: str, tmp_path: Path
) -> None:
    expected = randomize(build(head))
    state = {to_videomae(name): entry for name, entry in expected.items()}
    del state["position_table"]  # it is computed
    arguments = argparse.Namespace(lr=1e-3, output_dir=PosixPath("/data"), gpu=torch.device("cpu"))
    beside: dict[str, Any] = {"optimizer": {"state": {0: torch.ones(3)}}, "scaler": {"scale": 1.0}}
    torch.save({container: state, "args": arguments, "epoch": 29, **beside}, tmp_path / "vit.pth")
    model = build(head)
    assert load_weights(model, tmp_path / "vit.pth").source == "videomae"
    assert_loaded(model, expected)


@pytest.mark.parametrize("head", ["roi", "classification"])
def test_the_hubs_safetensors(head: str, tmp_path: Path) -> None:
    expected = randomize(build(head))
    save_file(to_hub(expected), tmp_path / "model.safetensors")
    model = build(head)
    assert load_weights(model, tmp_path / "model.safetensors").source == "hub"
    assert_loaded(model, expected)


def test_a_pretrained_encoder_starts_a_detector(tmp_path: Path) -> None:
    expected = randomize(build())
    state = {
        f"encoder.{to_videomae(name)}": entry
        for name, entry in expected.items()
        if name.startswith("backbone.") and not name.endswith("table")
    }
    state["mask_token"] = torch.zeros(1, 1, 8)
    state["decoder.blocks.0.norm1.weight"] = torch.ones(8)
    torch.save({"model": state}, tmp_path / "pretrained.pth")
    model = build()
    report = load_weights(model, tmp_path / "pretrained.pth", allow_missing=("head",))
    assert set(report.missing) == {"head.projection.weight", "head.projection.bias"}
    assert torch.equal(model.state_dict()["backbone.norm.bias"], expected["backbone.norm.bias"])


def test_a_classifier_starts_a_detector_whose_norm_starts_anew(tmp_path: Path) -> None:
    expected = randomize(build("classification"))
    state = {to_videomae(name): entry for name, entry in expected.items()}
    del state["position_table"]
    torch.save({"module": state}, tmp_path / "k710.pth")
    model = build()
    report = load_weights(model, tmp_path / "k710.pth", allow_missing=("head",))
    assert {"backbone.norm.weight", "backbone.norm.bias"} == set(report.missing)
    assert bool((model.state_dict()["backbone.norm.weight"] == 1).all())
    with pytest.raises(WeightsError, match=r"backbone\.norm\.weight"):
        load_weights(build(), tmp_path / "k710.pth")


def test_nothing_in_the_arguments_runs(tmp_path: Path) -> None:
    victim = tmp_path / "victim"

    class Attack:
        def __reduce__(self) -> Any:
            return Path.touch, (victim,)

    torch.save(
        {"model": {"w": torch.ones(2)}, "args": argparse.Namespace(x=Attack())}, tmp_path / "a"
    )
    with pytest.raises(WeightsError):
        load_checkpoint(tmp_path / "a")
    assert not victim.exists()


def test_another_size_is_described_in_keys_of_the_config(tmp_path: Path) -> None:
    other = build("roi", "model.vit.depth=3", "model.vit.tubelet=1", "model.num_slow_frames=8")
    torch.save({"model": other.state_dict()}, tmp_path / "other.pt")
    with pytest.raises(WeightsError) as caught:
        load_weights(build(), tmp_path / "other.pt")
    sentence = str(caught.value)
    assert "model.vit.depth=3" in sentence
    assert "model.vit.tubelet=1" in sentence
    assert "model.num_slow_frames=8" in sentence


def test_weights_fetched_by_hand_say_where_and_are_found_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVA_DET_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"fetched by hand from .*; license: MIT"):
        resolve_weights("umt/vit_l")
    assert not ZOO["videomae_ad/vit_b"].commercial
    file = tmp_path / "umt" / "l16_ptk710_ftk710_ftava_f8_res224.pth"
    file.parent.mkdir()
    file.touch()
    assert resolve_weights("umt/vit_l") == file
