"""Late fusion and fusion at the feature maps, by known answers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ava_det.checkpoint import load_weights
from ava_det.config import Config, ConfigError, load_config
from ava_det.models.build import build_model
from ava_det.models.inference_form import optimize_for_inference
from ava_det.models.two_stream import TwoStream, join_logits, view_stream
from tests.models.test_families import give_statistics

ROIS = torch.tensor([[0, 4.0, 4.0, 60.0, 60.0], [1, 0.0, 8.0, 40.0, 64.0]])
LOGITS = [torch.tensor([[2.0, -1.0, 0.5], [30.0, -40.0, 0.0]]), torch.tensor([[0.0, 1, 2]] * 2)]


def make_config(*overrides: str) -> Config:
    values = [
        "model.backbone=i3d_inception",
        "model.width=4",
        "model.num_slow_frames=8",
        "model.streams=two_stream",
        "model.num_classes=5",
        *overrides,
    ]
    return load_config("configs/ava/slowfast_r50_4x16.yaml", values)


def build(*overrides: str) -> nn.Module:
    torch.manual_seed(0)
    return give_statistics(build_model(make_config(*overrides)))


@pytest.fixture
def clips() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "slow": torch.randn(2, 3, 8, 64, 64, generator=generator),
        "flow": torch.randn(2, 2, 8, 64, 64, generator=generator),
    }


def test_logits_are_added_as_i3d_adds_them() -> None:
    assert torch.equal(join_logits(LOGITS, [1, 1], "logits"), LOGITS[0] + LOGITS[1])
    joined = join_logits(LOGITS, [0.5, 2], "logits")
    torch.testing.assert_close(joined, 0.5 * LOGITS[0] + 2 * LOGITS[1])


def test_softmax_of_the_result_is_the_weighted_mean_of_softmax() -> None:
    joined = join_logits(LOGITS, [0.6, 0.4], "softmax").softmax(dim=1)
    expected = 0.6 * LOGITS[0].softmax(dim=1) + 0.4 * LOGITS[1].softmax(dim=1)
    torch.testing.assert_close(joined, expected)
    torch.testing.assert_close(join_logits(LOGITS, [3, 2], "softmax").softmax(dim=1), expected)


def test_sigmoid_of_the_result_is_the_weighted_mean_of_sigmoids() -> None:
    joined = join_logits(LOGITS, [1, 3], "sigmoid")
    expected = (LOGITS[0].sigmoid() + 3 * LOGITS[1].sigmoid()) / 4
    torch.testing.assert_close(joined.sigmoid(), expected)


@pytest.mark.parametrize("scores", ["logits", "softmax", "sigmoid"])
def test_scores_near_0_and_1_stay_finite_and_a_stream_may_weigh_nothing(scores: str) -> None:
    sure = torch.tensor([[90.0, -90.0]], requires_grad=True)
    joined = join_logits([sure, sure], [1, 1], scores)
    assert joined.isfinite().all()
    alone = join_logits([sure, torch.tensor([[-90.0, 90.0]])], [1, 0], scores)
    mine = sure.detach().softmax(1) if scores == "softmax" else sure.detach().sigmoid()
    torch.testing.assert_close(alone.softmax(1) if scores == "softmax" else alone.sigmoid(), mine)
    alone.sum().backward()
    assert sure.grad is not None
    assert sure.grad.isfinite().all()


@pytest.mark.parametrize("scores", ["logits", "sigmoid"])
def test_late_fusion_joins_what_both_networks_say_alone(
    scores: str, clips: dict[str, Tensor]
) -> None:
    model = build(f"model.flow.scores={scores}", "model.flow.weights=[0.4,0.6]")
    with torch.no_grad():
        rgb = view_stream(model, "rgb")(clips["slow"], rois=ROIS)
        flow = view_stream(model, "flow")(flow=clips["flow"], rois=ROIS)
        joined = model(**clips, rois=ROIS)
    torch.testing.assert_close(joined, join_logits([rgb, flow], [0.4, 0.6], scores))
    assert float((rgb - flow).abs().max()) > 1e-4


@pytest.mark.parametrize("head", ["roi", "classification"])
def test_the_mean_of_the_maps_goes_into_one_head(head: str, clips: dict[str, Tensor]) -> None:
    model = build(f"model.head={head}", "model.flow.fusion=map", "model.flow.weights=[1,3]")
    backbone = model.get_submodule("backbone")
    with torch.no_grad():
        (rgb,) = backbone.get_submodule("rgb")(clips["slow"])
        (flow,) = backbone.get_submodule("flow")(flow=clips["flow"])
        joined = [(rgb + 3 * flow) / 4]
        rois = (ROIS,) if head == "roi" else ()
        torch.testing.assert_close(
            model(**clips, rois=ROIS), model.get_submodule("head")(joined, *rois)
        )


@pytest.mark.parametrize("fusion", ["late", "map"])
def test_weights_of_a_network_alone_load_into_its_stream(fusion: str, tmp_path: object) -> None:
    model = build(f"model.flow.fusion={fusion}")
    for name in ("rgb", "flow"):
        torch.manual_seed(5)
        alone = build_model(make_config(f"model.streams={name}"))
        torch.save({"state_dict": alone.state_dict()}, f"{tmp_path}/{name}.pth")
        report = load_weights(view_stream(model, name), f"{tmp_path}/{name}.pth")
        assert not report.missing
        prefix = "backbone" if fusion == "late" else f"backbone.{name}"
        prefix = f"{name}.{prefix}" if fusion == "late" else prefix
        stem = "conv_1a.conv.weight"
        loaded = model.state_dict()[f"{prefix}.{stem}"]
        assert torch.equal(loaded, alone.state_dict()[f"backbone.{stem}"])


def test_half_precision_computes_both_streams_in_it(clips: dict[str, Tensor]) -> None:
    model = build("model.flow.fusion=map")
    form = optimize_for_inference(model, dtype=torch.bfloat16)
    with torch.inference_mode():
        maps = form.get_submodule("backbone")(clips["slow"], None, clips["flow"])
    assert maps[0].dtype == torch.bfloat16


def test_maps_that_have_no_mean_are_one_sentence(clips: dict[str, Tensor]) -> None:
    with pytest.raises(
        ConfigError, match=r"model\.flow\.fusion: map: expected .* \[52\] .* \[128\]"
    ):
        build("model.flow.fusion=map", "model.flow.backbone=slow_only")
    model = build("model.flow.fusion=map", "model.flow.num_frames=16")
    flow = torch.randn(2, 2, 16, 64, 64)
    with pytest.raises(ValueError, match="maps of RGB have 2 frames, those of flow 4, expected"):
        model(clips["slow"], rois=ROIS, flow=flow)


def test_each_stream_has_frames_of_its_own(clips: dict[str, Tensor]) -> None:
    config = make_config("model.flow.num_frames=16", "model.flow.stack=5")
    assert config.model.clip_shapes() == {"slow": (3, 8), "flow": (10, 16)}
    model = build_model(config).eval()
    assert isinstance(model, TwoStream)
    with pytest.raises(ValueError, match="the flow clip is missing"):
        model(clips["slow"], rois=ROIS)
    with torch.no_grad():
        flow = torch.randn(2, 10, 16, 64, 64)
        assert model(clips["slow"], rois=ROIS, flow=flow).shape == (2, 5)
