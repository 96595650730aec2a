"""The keys of optical flow: `model.streams`, the section `model.flow`, and `data.flow_*`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ava_det.config import Config, ConfigError, load_config

PLAIN = ("model.backbone=i3d_inception", "model.num_slow_frames=64", "model.slow_stride=1")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "empty.yaml"
    path.write_text("")
    return path


def load(path: Path, *overrides: str) -> Config:
    return load_config(path, [*PLAIN, *overrides])


def test_rgb_is_the_default_and_has_no_stream_of_flow(empty: Path) -> None:
    model = load(empty).model
    assert model.in_channels == 3
    assert model.split_streams() == {"rgb": model}


def test_flow_alone_has_two_channels_a_field(empty: Path) -> None:
    model = load(empty, "model.streams=flow", "model.flow.stack=10").model
    assert model.in_channels == 20
    assert model.split_streams() == {"flow": model}


def test_a_stream_takes_from_rgb_what_it_does_not_set(empty: Path) -> None:
    own = ("model.flow.backbone=s3d", "model.flow.num_frames=16")
    two = load(empty, "model.streams=two_stream", *own).model.split_streams()
    assert list(two) == ["rgb", "flow"]
    assert two["rgb"].backbone == "i3d_inception"
    assert (two["rgb"].num_slow_frames, two["rgb"].in_channels) == (64, 3)
    assert two["flow"].backbone == "s3d"
    assert (two["flow"].num_slow_frames, two["flow"].slow_stride) == (16, 1)
    assert two["flow"].in_channels == 2
    alone = load(empty, "model.streams=flow", *own).model.split_streams()
    assert alone == {"flow": two["flow"]}
    assert two["flow"].split_streams() == {"flow": two["flow"]}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["streams=rbg"], r"model\.streams: expected one of .*did you mean rgb"),
        (["streams=flow", "backbone=fast_only", "alpha=1"], r"model\.backbone: .* slow alone"),
        (["streams=flow", "backbone=swin3d_t"], r"model\.backbone: .* because torchvision's stem"),
        (["flow.backbone=fast_only"], r"model\.flow\.backbone: .* the clip slow alone"),
        (["flow.backbone=s3dd"], r"model\.flow\.backbone: expected one of .*did you mean s3d"),
        (["flow.backbone=s3d", "flow.num_frames=4"], r"model\.flow\.num_frames: .* at least 5"),
        (["flow.backbone=artnet", "width=7"], r"model\.width: expected an even number for artnet"),
        (["flow.stride=0"], r"model\.flow\.stride: expected null or a whole number"),
        (["flow.stack=0"], r"model\.flow\.stack: expected a whole number of at least 1"),
        (["flow.fusion=early"], r"model\.flow\.fusion: expected one of late, map"),
        (["flow.weights=[1]"], r"model\.flow\.weights: expected two numbers \(RGB, flow\)"),
        (["flow.weights=[0,0]"], r"model\.flow\.weights: expected two numbers .*not both 0"),
        (["flow.scores=softmax"], r"model\.flow\.scores: .* several actions at a time"),
        (["flow.scores=sigmoid", "head=classification"], r"model\.flow\.scores: .* exclusive"),
        (["flow.scores=sigmoid", "flow.fusion=map"], r"model\.flow\.scores: expected logits"),
        (["i3d_inception.roi_tail=true", "flow.fusion=map"], r"model\.flow\.fusion: .* late with"),
        (["long_term.operator=avg"], r"model\.long_term\.operator: expected none with optical"),
    ],
)  # fmt: skip
def test_streams_that_cannot_be_are_one_sentence(
    empty: Path, overrides: list[str], expected: str
) -> None:
    keys = [f"model.{text}" for text in ("streams=two_stream", *overrides)]
    with pytest.raises(ConfigError, match=expected) as caught:
        load(empty, *keys)
    assert "\n" not in str(caught.value)


def test_the_learning_rate_by_depth_is_for_one_stream(empty: Path) -> None:
    values = ("model.backbone=vit", "model.num_slow_frames=8", "train.layer_decay=0.75")
    assert load(empty, *values, "model.streams=flow").train.layer_decay == 0.75
    with pytest.raises(ConfigError, match=r"train\.layer_decay: expected 1 for two streams"):
        load(empty, *values, "model.streams=two_stream")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("flow_algorithm=diss", r"data\.flow_algorithm: expected one of .*did you mean dis"),
        ("flow_range=0", r"data\.flow_range: expected a positive number"),
        ("flow_gap=0", r"data\.flow_gap: expected a whole number of at least 1"),
        ("flow_short_side=8", r"data\.flow_short_side: expected null or at least 16"),
        ("flow_mean=[0]", r"data\.flow_mean: expected two numbers"),
        ("flow_std=[1,0]", r"data\.flow_std: expected two positive numbers"),
    ],
)
def test_flow_that_cannot_be_is_one_sentence(empty: Path, override: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load(empty, f"data.{override}")
