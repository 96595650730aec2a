"""The form for inference says what the plain network says: every family, every config, any batch
and size.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ava_det.config import Config, load_config
from ava_det.config.networks import BACKBONES, FAMILIES, LATERALS
from ava_det.models.action_detector import ActionDetector
from ava_det.models.build import build_model
from ava_det.models.inference_form import FoldedConv, optimize_for_inference
from ava_det.models.roi_head import RoIHead
from ava_det.models.slowfast import SlowFast

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "configs").rglob("*.yaml"))


def give_statistics(model: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms as after training: statistics, scales and shifts of their own, and no residual
    branch of zeros.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(like: Tensor, low: float, high: float) -> Tensor:
        return torch.empty_like(like).uniform_(low, high, generator=generator)

    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm3d):
            assert module.running_mean is not None
            assert module.running_var is not None
            scale = (0.1, 0.4) if name.endswith("c_bn") or "non_local" in name else (0.5, 1.5)
            module.running_mean.copy_(draw(module.running_mean, -0.2, 0.2))
            module.running_var.copy_(draw(module.running_var, 0.5, 1.5))
            module.weight.data.copy_(draw(module.weight, *scale))
            module.bias.data.copy_(draw(module.bias, -0.2, 0.2))
    return model.eval()


def make_inputs(
    config: Config, batch: int, height: int, width: int, boxes: int
) -> dict[str, Tensor]:
    """What a network is called with, by name; one without the Fast pathway does not read `fast`."""
    generator = torch.Generator().manual_seed(1)
    frames = config.model.num_slow_frames
    alpha = config.model.alpha
    fast = torch.randn(batch, 3, alpha * frames, height, width, generator=generator)
    corners = torch.rand(boxes, 2, 2, generator=generator).sort(dim=1).values * torch.tensor(
        [width, height]
    )
    index = torch.arange(boxes).remainder(batch)[:, None].float()
    inputs = {"slow": fast[:, :, ::alpha], "fast": fast}
    inputs["rois"] = torch.cat([index, corners.flatten(1)], dim=1)
    if "flow" in (shapes := config.model.clip_shapes()):
        inputs["flow"] = torch.randn(batch, *shapes["flow"], height, width, generator=generator)
    if config.model.long_term.is_used:
        places = (batch, 4, config.model.long_term.bank_channels)
        inputs["long_term"] = torch.rand(places, generator=generator)
    return inputs


def sigmoid_difference(plain: nn.Module, form: nn.Module, inputs: dict[str, Tensor]) -> float:
    with torch.inference_mode():
        expected = plain(**inputs)
        received = form(**inputs)
    assert received.shape == expected.shape
    assert received.dtype == torch.float32
    return float((received.sigmoid() - expected.sigmoid()).abs().max()) if expected.numel() else 0.0


def find_largest_feature(model: nn.Module, inputs: dict[str, Tensor]) -> float:
    """Largest input of a last layer, to which the rounding of a logit is proportional.

    Without norms of trained statistics it is about 1 in ResNets, and 60 after the 30 layers of
    BN-Inception.
    """
    seen: list[Tensor] = []
    lasts = [last for name, last in model.named_modules() if name.endswith("head.projection")]
    hooks = [
        last.register_forward_pre_hook(lambda _, given: seen.append(given[0])) for last in lasts
    ]
    with torch.inference_mode():
        model(**inputs)
    for hook in hooks:
        hook.remove()
    return max(float(features.abs().max()) for features in seen)


@pytest.mark.parametrize("config_path", CONFIGS)
def test_every_config_keeps_its_scores(config_path: str) -> None:
    """Narrow and with few frames, so that all of them take seconds; depth, laterals and blocks are
    the config's.
    """
    torch.manual_seed(0)
    config = load_config(config_path)
    config.model.width = max(16, config.model.beta_inv)
    config.model.num_slow_frames = max(2, FAMILIES[config.model.backbone].min_frames)
    config.model.vit.width = 8 * config.model.vit.heads
    config.model.torchvision.width = 24
    if config.model.backbone == "nl_i3d":
        config.model.num_slow_frames = 32  # some pool frames to an eighth and go in groups of four
    plain = give_statistics(build_model(config))
    inputs = make_inputs(config, batch=2, height=64, width=80, boxes=3)
    bound = 1e-6
    # ACRN's are three layers more, without trained statistics
    networks = {stream.backbone for stream in config.model.split_streams().values()}
    if not networks <= set(BACKBONES) or config.model.roi_relation == "acrn":
        bound *= max(1.0, find_largest_feature(plain, inputs))
    assert sigmoid_difference(plain, optimize_for_inference(plain), inputs) <= bound


@given(
    backbone=st.sampled_from(BACKBONES),
    lateral=st.sampled_from(LATERALS),
    batch=st.integers(1, 3),
    frames=st.integers(2, 3),
    height=st.integers(32, 75),
    width=st.integers(32, 75),
    boxes=st.integers(0, 3),
    norm=st.booleans(),
)
@settings(max_examples=25)
def test_any_size_keeps_its_scores(
    backbone: str,
    lateral: str,
    batch: int,
    frames: int,
    height: int,
    width: int,
    boxes: int,
    norm: bool,
) -> None:
    torch.manual_seed(height)
    config = Config()
    config.model.num_slow_frames = frames
    config.model.alpha = 4
    network = SlowFast(
        backbone,
        14,
        8,
        4,
        4,
        lateral,
        5,
        norm,
        None,
        1,
        2,
        non_local_res4=[0],
        non_local_pool=(1, 2, 2),
    )
    head = RoIHead(
        network.out_channels, 5, 16, time_pool="max", context=True, hidden_layer=True, resolution=3
    )
    plain = give_statistics(ActionDetector(network, head))
    inputs = make_inputs(config, batch, height, width, boxes)
    assert sigmoid_difference(plain, optimize_for_inference(plain), inputs) <= 1e-6


def small_detector() -> tuple[nn.Module, dict[str, Tensor]]:
    torch.manual_seed(0)
    config = load_config("configs/ava/slowfast_r50_4x16.yaml", ["model.width=16", "model.depth=26"])
    return give_statistics(build_model(config)), make_inputs(config, 2, 64, 64, 4)


def test_bfloat16_moves_scores_a_little() -> None:
    plain, inputs = small_detector()
    moved = sigmoid_difference(plain, optimize_for_inference(plain, dtype=torch.bfloat16), inputs)
    assert 0 < moved <= 0.006


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("size", [17, 32])
def test_bfloat16_runs_where_layouts_are_ambiguous(width: int, size: int) -> None:
    """One clip, one frame, one channel, one pixel: strides of such sides say nothing about the
    layout.
    """
    torch.manual_seed(0)
    overrides = [
        "model.num_slow_frames=1",
        "model.depth=14",
        f"model.width={width}",
        "model.beta_inv=4",
    ]
    config = load_config("configs/ava/slowfast_r50_4x16.yaml", overrides)
    plain = give_statistics(build_model(config))
    inputs = make_inputs(config, 1, size, size, 1)
    assert (
        sigmoid_difference(plain, optimize_for_inference(plain, dtype=torch.bfloat16), inputs)
        <= 0.01
    )
    assert sigmoid_difference(plain, optimize_for_inference(plain), inputs) <= 1e-6


def test_without_onednn_the_scores_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, inputs = small_detector()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert sigmoid_difference(plain, optimize_for_inference(plain), inputs) <= 1e-6


def test_layout_and_autocast_of_the_caller_do_not_matter() -> None:
    plain, inputs = small_detector()
    slow, fast, rois = inputs.values()
    form = optimize_for_inference(plain)
    channels_last = [clip.contiguous(memory_format=torch.channels_last_3d) for clip in (slow, fast)]
    with torch.inference_mode():
        expected = form(slow, fast, rois)
        torch.testing.assert_close(form(*channels_last, rois), expected, rtol=0, atol=0)
        half = optimize_for_inference(plain, dtype=torch.bfloat16)
        outside = half(slow, fast, rois)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(half(slow, fast, rois), outside, rtol=0, atol=0)


def test_the_plain_network_is_left_as_it_was() -> None:
    plain, _ = small_detector()
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    form = optimize_for_inference(plain.train())
    assert plain.training
    assert not form.training
    assert before.keys() == plain.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in plain.state_dict().items())
    assert all(parameter.requires_grad for parameter in plain.parameters())


def test_nothing_is_left_of_the_batch_norms_and_only_stems_that_see_time_are_3d() -> None:
    plain, _ = small_detector()
    form = optimize_for_inference(plain)
    assert not [
        module for module in form.modules() if isinstance(module, nn.BatchNorm3d | nn.Conv3d)
    ]
    volumes = [
        n for n, m in form.named_modules() if isinstance(m, FoldedConv) and m.view == "volume"
    ]
    assert volumes == ["backbone.fast.stem.conv"]


def test_a_missing_clip_is_named() -> None:
    plain, inputs = small_detector()
    with pytest.raises(ValueError, match="fast clip is missing"):
        optimize_for_inference(plain)(**{**inputs, "fast": None})


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.006)])
def test_a_gpu_keeps_the_scores(
    dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TF32, which torch lets convolutions use, is off. Features stay channels last: cuDNN is never
    asked to reorder.
    """
    monkeypatch.setattr("torch.backends.cudnn.conv.fp32_precision", "ieee")
    plain, inputs = small_detector()
    form = optimize_for_inference(plain, "cuda", dtype)
    slow, fast, rois = (value.cuda() for value in inputs.values())
    with torch.inference_mode():
        expected = plain(**inputs)
        received = form(slow, fast, rois).cpu()
        features = form.get_submodule("backbone")(slow, fast)
    assert float((received.sigmoid() - expected.sigmoid()).abs().max()) <= tolerance
    assert all(feature.dtype == dtype for feature in features)
    assert all(feature.is_contiguous(memory_format=torch.channels_last_3d) for feature in features)
    assert form(slow, fast, rois[:0]).shape == (0, 80)
