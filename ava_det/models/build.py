"""Builds the network that a config describes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ava_det.config import Config, ConfigError
from ava_det.config.model import ModelConfig
from ava_det.models.acrn_head import ACRNHead
from ava_det.models.action_detector import ActionClassifier, ActionDetector
from ava_det.models.artnet import ARTNet
from ava_det.models.atr_head import ATRHead
from ava_det.models.backbone import Backbone
from ava_det.models.classification_head import ClassificationHead
from ava_det.models.eco import ECO
from ava_det.models.i3d_inception import I3DInception
from ava_det.models.long_term_head import LongTermDetector, LongTermHead
from ava_det.models.nl_i3d import NonLocalI3D
from ava_det.models.non_local import NonLocalForm
from ava_det.models.r2plus1d import R2Plus1D
from ava_det.models.roi_head import RoIHead
from ava_det.models.s3d import S3D
from ava_det.models.slowfast import SlowFast
from ava_det.models.stc import STCResNeXt
from ava_det.models.tail_detector import TailDetector, TailHead
from ava_det.models.torchvision_video import MultiscaleTransformer, ShiftedWindowTransformer
from ava_det.models.two_stream import TwoStream, TwoStreamBackbone
from ava_det.models.two_stream_cnn import build_two_stream_cnn
from ava_det.models.vit import VideoTransformer


def build_model(config: Config) -> nn.Module:
    """Builds the network of `config.model`, in float32 on the CPU.

    Returns:
        A module whose call `model(slow=None, fast=None, rois=None, flow=None)` gives logits; one
        with a long-term head takes the bank as its fourth argument.

    Raises:
        ConfigError: The streams of RGB and flow cannot be joined at their feature maps.
    """
    streams = config.model.split_streams()
    backbones = {name: BUILDERS[stream.backbone](stream) for name, stream in streams.items()}
    if len(backbones) == 1:
        return _add_head(config.model, *backbones.values())
    fusion = config.model.flow
    if fusion.fusion == "late":
        rgb, flow = (_add_head(config.model, backbones[name]) for name in ("rgb", "flow"))
        return TwoStream(rgb, flow, fusion.weights, fusion.scores)
    try:
        joined = TwoStreamBackbone(backbones["rgb"], backbones["flow"], fusion.weights)
    except ValueError as error:
        raise ConfigError(f"model.flow.fusion: map: {error}") from None
    return _add_head(config.model, joined)


def _add_head(model: ModelConfig, backbone: Backbone) -> ActionDetector | ActionClassifier:
    """Puts the head of the section `model` on a backbone."""
    if model.head == "classification":
        head = ClassificationHead(
            backbone.out_channels,
            model.num_classes,
            dropout=model.dropout,
            window=backbone.pool_window,
            norm=backbone.norm_in_head,
        )
        return ActionClassifier(backbone, head)
    if model.long_term.is_used:
        return LongTermDetector(backbone, _build_long_term_head(model, backbone))
    if model.roi_relation != "none":
        relation_head = RELATION_HEADS[model.roi_relation](
            backbone.out_channels,
            model.num_classes,
            backbone.feature_stride,
            aligned=model.roi_aligned,
            resolution=model.roi_resolution,
            dropout=model.dropout,
            time_pool=model.roi_time_pool,
        )
        return ActionDetector(backbone, relation_head)
    tail = backbone if isinstance(backbone, I3DInception) and backbone.tail_channels else None
    roi_head = (RoIHead if tail is None else TailHead)(
        backbone.out_channels if tail is None else [tail.tail_channels],
        model.num_classes,
        backbone.feature_stride,
        aligned=model.roi_aligned,
        resolution=model.roi_resolution,
        dropout=model.dropout,
        time_pool=model.roi_time_pool,
        context=model.roi_context,
        hidden_layer=model.roi_hidden_layer,
    )
    if tail is not None and isinstance(roi_head, TailHead):
        return TailDetector(tail, roi_head)
    return ActionDetector(backbone, roi_head)


def _build_vit(model: ModelConfig) -> Backbone:
    vit = model.vit
    return VideoTransformer(
        vit.width,
        vit.depth,
        vit.heads,
        in_channels=model.in_channels,
        num_frames=model.num_slow_frames,
        tubelet=vit.tubelet,
        border=vit.border,
        final_norm=model.head == "roi",
        drop_path=vit.drop_path,
        checkpoint_activations=vit.checkpoint_activations,
    )


def _build_slowfast(model: ModelConfig) -> Backbone:
    return SlowFast(
        in_channels=model.in_channels,
        backbone=model.backbone,
        depth=model.depth,
        width=model.width,
        alpha=model.alpha,
        beta_inv=model.beta_inv,
        lateral=model.lateral,
        lateral_kernel=model.lateral_kernel,
        lateral_norm=model.lateral_norm,
        res4_temporal_blocks=model.res4_temporal_blocks,
        res5_stride=_res5_stride(model),
        res5_dilation=model.res5_dilation,
        non_local_res4=model.non_local_res4,
        non_local_pool=(model.non_local_pool[0], model.non_local_pool[1], model.non_local_pool[2]),
        zero_init_last_gamma=model.zero_init_last_gamma,
        temporal_difference_init=model.temporal_difference_init,
    )


def _build_i3d_inception(model: ModelConfig) -> Backbone:
    settings = model.i3d_inception
    return I3DInception(
        in_channels=model.in_channels,
        width=model.width,
        roi_endpoint=settings.roi_endpoint if model.head == "roi" else None,
        roi_tail=settings.roi_tail and model.head == "roi",
        pool_window=settings.pool_window,
    )


def _build_s3d(model: ModelConfig) -> Backbone:
    settings = model.s3d
    return S3D(
        in_channels=model.in_channels,
        width=model.width,
        roi_endpoint=settings.roi_endpoint if model.head == "roi" else None,
        stem=settings.stem,
        stem_frames=settings.stem_frames,
        temporal_norm=settings.temporal_norm,
        padding=settings.padding,
        gating=settings.gating,
        gate_bias=settings.gate_bias,
        bn_eps=settings.bn_eps,
        pool_window=settings.pool_window,
    )


def _res5_stride(model: ModelConfig) -> int:
    """Returns 2 for the published networks, 1 for boxes, which need larger feature maps."""
    return 2 if model.head == "classification" else 1


def _build_eco(model: ModelConfig) -> Backbone:
    return ECO(
        full=model.eco.full,
        width=model.width,
        res5_stride=_res5_stride(model),
        in_channels=model.in_channels,
    )


def _build_artnet(model: ModelConfig) -> Backbone:
    return ARTNet(width=model.width, in_channels=model.in_channels)


def _build_stc(model: ModelConfig) -> Backbone:
    return STCResNeXt(
        in_channels=model.in_channels,
        depth=model.depth,
        width=model.width,
        num_frames=model.num_slow_frames,
        reduction=model.stc.reduction,
        placement=model.stc.placement,
        res5_stride=_res5_stride(model),
    )


def _build_two_stream_cnn(model: ModelConfig) -> Backbone:
    return build_two_stream_cnn(
        model.two_stream_cnn.architecture,
        detection=model.head == "roi",
        width=model.width,
        depth=model.depth,
        res5_dilation=model.res5_dilation,
        dropout=model.dropout,
        in_channels=model.in_channels,
    )


def _build_r2plus1d(model: ModelConfig) -> Backbone:
    settings = model.r2plus1d
    # The features have stride 16 for boxes: without MMAction2's pool they have it anyway.
    keeps_size = model.head == "roi" and settings.form == "mmaction2"
    return R2Plus1D(
        in_channels=model.in_channels,
        width=model.width,
        depth=settings.depth,
        form=settings.form,
        bn_eps=settings.bn_eps,
        last_stride=1 if keeps_size else 2,
    )


def _build_mvit(model: ModelConfig) -> Backbone:
    return MultiscaleTransformer(model.torchvision.width, model.torchvision.drop_path)


def _build_swin3d(model: ModelConfig) -> Backbone:
    chosen = model.torchvision
    return ShiftedWindowTransformer(model.backbone, chosen.width, chosen.drop_path)


def _build_nl_i3d(model: ModelConfig) -> Backbone:
    settings = model.nl_i3d
    return NonLocalI3D(
        in_channels=model.in_channels,
        depth=model.depth,
        width=model.width,
        stem_stride=settings.stem_stride,
        pool_frames=settings.pool_frames,
        pool_stride=settings.pool_stride,
        pool_padding=settings.pool_padding,
        non_local_res3=settings.non_local_res3,
        non_local_res4=model.non_local_res4,
        non_local_form=NonLocalForm(
            settings.non_local_mode,
            (model.non_local_pool[0], model.non_local_pool[1], model.non_local_pool[2]),
            scaled=settings.non_local_form == "wang",
            pool_embedded=settings.non_local_form == "mmaction2",
            out_bias=settings.non_local_form == "wang",
        ),
        res3_group_frames=settings.res3_group_frames,
        res4_temporal_blocks=model.res4_temporal_blocks,
        res5_stride=_res5_stride(model),
        res5_dilation=model.res5_dilation,
        zero_init_last_gamma=model.zero_init_last_gamma,
    )


# The backbone of each family of `config.networks.FAMILIES`, from the section `model`.
BUILDERS: dict[str, Callable[[ModelConfig], Backbone]] = {
    "vit": _build_vit,
    "slowfast": _build_slowfast,
    "slow_only": _build_slowfast,
    "fast_only": _build_slowfast,
    "i3d": _build_slowfast,
    "i3d_inception": _build_i3d_inception,
    "s3d": _build_s3d,
    "eco": _build_eco,
    "artnet": _build_artnet,
    "stc": _build_stc,
    "two_stream_cnn": _build_two_stream_cnn,
    "r2plus1d": _build_r2plus1d,
    "mvit_v2_s": _build_mvit,
    "swin3d_t": _build_swin3d,
    "swin3d_s": _build_swin3d,
    "swin3d_b": _build_swin3d,
    "nl_i3d": _build_nl_i3d,
}


# The heads that relate boxes to the map around them, by `model.roi_relation`.
RELATION_HEADS: dict[str, type[ACRNHead | ATRHead]] = {"acrn": ACRNHead, "atr": ATRHead}


def _build_long_term_head(model: ModelConfig, backbone: Backbone) -> LongTermHead:
    bank = model.long_term
    return LongTermHead(
        backbone.out_channels,
        model.num_classes,
        backbone.feature_stride,
        operator=bank.operator,
        bank_channels=bank.bank_channels,
        num_places=bank.window_seconds * bank.persons_per_second,
        fusion_channels=bank.channels,
        num_layers=bank.layers,
        fusion_dropout=bank.dropout,
        aligned=model.roi_aligned,
        resolution=model.roi_resolution,
        dropout=model.dropout,
        time_pool=model.roi_time_pool,
    )


def to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """Moves a network to the device, channels last in memory: bf16 is several times faster so."""
    return model.to(device).to(memory_format=torch.channels_last_3d)
