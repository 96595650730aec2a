"""Every family of networks, in a tiny form, does what the toolkit asks of a backbone.

A new family is tested here by its line in `TINY`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ava_det.checkpoint import load_weights, save_checkpoint
from ava_det.checkpoint.architecture import describe_network
from ava_det.choices import EXPORT_FORMATS
from ava_det.commands.export import main as export
from ava_det.config import Config, ConfigError, config_to_dict, load_config
from ava_det.config.networks import FAMILIES
from ava_det.data.build import build_clip_reader
from ava_det.export import export_model
from ava_det.models.build import BUILDERS, build_model
from ava_det.models.cost import compute_cost
from ava_det.models.inference_form import optimize_for_inference
from ava_det.operations.export import draw_inputs
from ava_det.operations.info import format_table

# overrides that make each family small
_RESNET = (
    "model.depth=14",
    "model.width=8",
    "model.alpha=4",
    "model.beta_inv=4",
    "model.num_slow_frames=2",
)
TINY: dict[str, tuple[str, ...]] = {
    "slowfast": _RESNET,
    "slow_only": _RESNET,
    "fast_only": _RESNET,
    "i3d": _RESNET,
    "i3d_inception": ("model.width=4",),
    "nl_i3d": (
        "model.depth=14",
        "model.width=8",
        "model.nl_i3d.non_local_res3=[0]",
        "model.non_local_res4=[0]",
        "model.non_local_pool=[1,2,2]",
    ),
    "r2plus1d": ("model.width=4", "model.r2plus1d.depth=10"),
    "s3d": ("model.width=4", "model.s3d.gating=true"),
    "eco": ("model.width=8", "model.eco.full=true"),
    "artnet": ("model.width=8",),
    "stc": ("model.depth=14", "model.width=4", "model.stc.reduction=2"),
    "two_stream_cnn": ("model.width=4",),
    "vit": ("model.vit.width=24", "model.vit.depth=2", "model.vit.heads=3"),
    "mvit_v2_s": ("model.torchvision.width=8", "model.torchvision.drop_path=0"),
    "swin3d_t": ("model.torchvision.width=24", "model.torchvision.drop_path=0"),
    "swin3d_s": ("model.torchvision.width=24", "model.torchvision.drop_path=0"),
    "swin3d_b": ("model.torchvision.width=16", "model.torchvision.drop_path=0"),
}
FRAMES = 8  # where TINY does not say otherwise
SIDE = 96
# on clips of 96 x 96; the third and fourth leave the clip
ROIS = torch.tensor(
    [
        [0, 4.0, 4.0, 60.0, 80.0],
        [1, 10.0, 2.0, 90.0, 95.0],
        [1, -20.0, -9.0, 35.0, 40.0],
        [0, 50.0, 30.0, 130.0, 170.0],
    ]
)
# what makes each head; those that score boxes are not named classification
HEADS: dict[str, tuple[str, ...]] = {
    "roi": ("model.head=roi",),
    "classification": ("model.head=classification",),
    "acrn": ("model.head=roi", "model.roi_relation=acrn"),
    "atr": ("model.head=roi", "model.roi_relation=atr"),
    "tail": ("model.head=roi", "model.i3d_inception.roi_tail=true"),
    "context": ("model.head=roi", "model.roi_context=true", "model.roi_hidden_layer=true"),
    "flow": ("model.head=roi", "model.streams=flow", "model.flow.stack=2"),
    "late": ("model.head=roi", "model.streams=two_stream", "model.flow.scores=sigmoid"),
    "map": ("model.head=roi", "model.streams=two_stream", "model.flow.fusion=map"),
}
# SlowFast has no stem of optical flow, so that another network is its second stream
HEADS["beside"] = (*HEADS["late"], "model.flow.backbone=slow_only", "model.flow.num_frames=5")
CASES = [
    (family, head)
    for family, facts in FAMILIES.items()
    for head in ("roi", "classification")
    if head not in facts.cannot
]
CASES += [("slowfast", "acrn"), ("s3d", "acrn"), ("slowfast", "atr"), ("nl_i3d", "atr")]
CASES += [("i3d_inception", "tail"), ("slow_only", "context")]
CASES += [("vit", "acrn"), ("vit", "context"), ("mvit_v2_s", "context"), ("swin3d_t", "context")]
OF_FLOW = [name for name, facts in FAMILIES.items() if facts.clips == ("slow",)]
OF_FLOW = [name for name in OF_FLOW if FAMILIES[name].needs_rgb is None]
STREAMS = [(family, streams) for family in OF_FLOW for streams in ("flow", "late", "map")]
CASES += [*STREAMS, ("slowfast", "beside")]
# of those that read optical flow, the ones of the fast suite
QUICK = (("slow_only", "flow"), ("i3d_inception", "late"), ("two_stream_cnn", "map"))

BOX_CASES = [(family, head) for family, head in CASES if head != "classification"]
# swin3d_t and these run the same code; they have three times its blocks, and swin3d_b more heads
DEEPER = ("swin3d_s", "swin3d_b")


def mark_deeper(cases: Iterable[tuple[str, str]]) -> list[Any]:
    """The cases as parameters of a test, slow where others of the fast suite run the same code."""
    return [
        pytest.param(
            *case,
            marks=[pytest.mark.slow]
            if case[0] in DEEPER or (case in STREAMS and case not in QUICK)
            else [],
        )
        for case in cases
    ]


def make_config(family: str, head: str, *overrides: str) -> Config:
    return load_config(
        "configs/ava/slowfast_r50_4x16.yaml",
        [
            f"model.backbone={family}",
            *HEADS[head],
            f"model.num_slow_frames={FRAMES}",
            "model.num_classes=5",
            "model.dropout=0",
            "model.zero_init_last_gamma=false",
            *TINY[family],
            *overrides,
        ],
    )


def build_small(family: str, head: str) -> nn.Module:
    torch.manual_seed(0)
    return build_model(make_config(family, head))


def make_clips(
    family: str, head: str, batch: int = 2, height: int = SIDE, width: int = SIDE
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(batch, channels, frames, height, width, generator=generator)
        for name, (channels, frames) in make_config(family, head).model.clip_shapes().items()
    }


def give_statistics(model: nn.Module) -> nn.Module:
    """Runs batch norms to statistics, scales and shifts of their own, as training does."""
    generator = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.0, generator=generator)
            module.bias.data.uniform_(-0.2, 0.2, generator=generator)
    return model.eval()


def test_the_tables_name_the_same_families() -> None:
    assert set(FAMILIES) == set(BUILDERS) == set(TINY)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_family_cannot_do_is_one_sentence(family: str) -> None:
    for head, reason in FAMILIES[family].cannot.items():
        with pytest.raises(ConfigError) as caught:
            make_config(family, head)
        assert "model.head" in str(caught.value)
        assert reason in str(caught.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stem_of_optical_flow(family: str) -> None:
    facts = FAMILIES[family]
    if family not in OF_FLOW:
        with pytest.raises(
            ConfigError, match=r"model\.backbone: expected .* optical flow"
        ) as caught:
            make_config(family, "flow")
        assert (facts.needs_rgb or "the clip slow alone") in str(caught.value)
        return
    model = build_small(family, "flow").eval()
    clips = make_clips(family, "flow", batch=1, height=64, width=64)
    with torch.no_grad():
        assert model(**clips, rois=ROIS[:1]).shape == (1, 5)
        with pytest.raises(ValueError, match=r"flow clip has shape .*\[B, 4, frames, H, W\]"):
            model(flow=clips["flow"][:, :2], rois=ROIS[:1])
        with pytest.raises(ValueError, match="the flow clip is missing"):
            model(clips["flow"], rois=ROIS[:1])
    described = describe_network(model.state_dict())
    assert (described["model.streams"], described["model.flow.stack"]) == ("flow", 2)
    config = make_config(family, "flow")
    reader = build_clip_reader(config)
    assert len(reader.ticks) == 0
    assert reader.flow is not None
    assert len(reader.flow.ticks) == 2 * config.model.num_slow_frames


@pytest.mark.parametrize(("family", "head"), mark_deeper(CASES))
def test_batched_equals_single_with_boxes_partly_outside(family: str, head: str) -> None:
    model = give_statistics(build_small(family, head))
    clips = make_clips(family, head)
    with torch.no_grad():
        batched = model(**clips, rois=ROIS)
        assert batched.shape == (4 if head != "classification" else 2, 5)
        assert batched.isfinite().all()
        for index in (0, 1):
            rows = ROIS[:, 0] == index
            rois = ROIS[rows].clone()
            rois[:, 0] = 0
            one = {name: clip[index : index + 1] for name, clip in clips.items()}
            single = model(**one, rois=rois)
            expected = batched[rows] if head != "classification" else batched[index : index + 1]
            deviation = float(batched.std())
            torch.testing.assert_close(single, expected, rtol=1e-4, atol=1e-4 * deviation)


@pytest.mark.parametrize(("family", "head"), mark_deeper(BOX_CASES))
def test_no_boxes_give_no_rows_and_still_train(family: str, head: str) -> None:
    model = build_small(family, head)
    logits = model(**make_clips(family, head), rois=torch.zeros(0, 5))
    assert logits.shape == (0, 5)
    logits.sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(("family", "head"), mark_deeper(CASES))
def test_odd_sizes_keep_their_scores_in_the_inference_form(family: str, head: str) -> None:
    model = give_statistics(build_small(family, head))
    form = optimize_for_inference(model)
    for height, width in ((SIDE, SIDE), (101, 79)):
        clips = make_clips(family, head, height=height, width=width)
        with torch.inference_mode():
            expected = model(**clips, rois=ROIS)
            received = form(**clips, rois=ROIS)
        assert received.dtype == torch.float32
        deviation = float(expected.std())
        assert float((received - expected).abs().max()) <= 1e-4 * deviation


@pytest.mark.parametrize(("family", "head"), mark_deeper(CASES))
def test_every_parameter_gets_a_gradient(family: str, head: str) -> None:
    model = build_small(family, head).train()
    for name, module in model.named_modules():
        if "non_local" in name and isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.ones_(module.weight)  # zero at first, so that nothing flows behind it
    model(**make_clips(family, head), rois=ROIS).square().sum().backward()
    without = [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)
    ]
    assert without == []


@pytest.mark.parametrize(("family", "head"), mark_deeper(CASES))
def test_costs_are_counted_stage_by_stage(family: str, head: str) -> None:
    config = make_config(family, head)
    with torch.device("meta"):
        model = build_model(config)
    cost = compute_cost(model, config.model.clip_shapes(), 224)
    assert sum(stage.gmacs for stage in cost.per_stage) == pytest.approx(cost.gmacs, rel=1e-6)
    params = sum(stage.params_m for stage in cost.per_stage)
    assert params == pytest.approx(cost.params_m, rel=1e-6)
    assert family in format_table(config, model, cost, 224)


@pytest.mark.parametrize("family", FAMILIES)
def test_our_own_file_loads_from_any_container(family: str, tmp_path: Path) -> None:
    head = "roi" if (family, "roi") in CASES else "classification"
    model = give_statistics(build_small(family, head))
    state = {f"student.{name}": tensor for name, tensor in model.state_dict().items()}
    values = config_to_dict(make_config(family, head))
    save_checkpoint(tmp_path / "last.pt", {"model": state, "config": values})
    copy = build_small(family, head)
    load_weights(copy, tmp_path / "last.pt")
    for name, tensor in copy.state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=0, atol=0, msg=name)


LONG_TERM = (
    "model.long_term.bank_channels=6",
    "model.long_term.channels=8",
    "model.long_term.window_seconds=4",
    "model.long_term.persons_per_second=2",
)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("family", "operator"), [("vit", "non_local"), ("slow_only", "avg"), ("slow_only", "max")]
)
def test_export_with_a_bank(family: str, operator: str, file_format: str, tmp_path: Path) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(file_format, file_format))
    config = make_config(family, "roi", f"model.long_term.operator={operator}", *LONG_TERM)
    torch.manual_seed(0)
    model = give_statistics(build_model(config))
    nn.init.normal_(model.get_submodule("head").get_parameter("projection.weight"))
    checks = [draw_inputs(config, 2, 3, SIDE), draw_inputs(config, 1, 0, SIDE + 15)]
    path = tmp_path / f"model{EXPORT_FORMATS[file_format]}"
    assert export_model(model, checks, path, file_format, "fp32", {}) < 1e-4


@pytest.mark.parametrize(
    "family", [family for family, facts in FAMILIES.items() if facts.cannot_export]
)
def test_what_cannot_be_exported_is_one_sentence(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "model.onnx"
    arguments = ["--config", "configs/ava/swin3d_t.yaml", f"model.backbone={family}"]
    arguments += ["--weights", "absent.pt", "--format", "onnx", "--output", str(output)]
    assert export(arguments) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert message.startswith("error: model.backbone: expected a network that can be exported, ")
    assert f"{family} runs in torch alone: its " in message
    assert not output.exists()


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("family", "head"), [case for case in CASES if FAMILIES[case[0]].cannot_export is None]
)
def test_export(family: str, head: str, file_format: str, tmp_path: Path) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(file_format, file_format))
    config = make_config(family, head)
    model = give_statistics(build_small(family, head))
    checks = [draw_inputs(config, 2, 3, SIDE), draw_inputs(config, 1, 0, SIDE + 15)]
    path = tmp_path / f"model{EXPORT_FORMATS[file_format]}"
    assert export_model(model, checks, path, file_format, "fp32", {}) < 1e-4
