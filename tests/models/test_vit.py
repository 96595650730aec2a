"""The video transformer: published logits, costs, free sizes, and each of its values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ava_det.boxes import normalize_boxes, place_as_videomae_ad, scale_boxes
from ava_det.checkpoint import load_weights
from ava_det.config import load_config
from ava_det.data.build import build_clip_reader
from ava_det.inference.unlike_input import describe_unlike_input
from ava_det.models.action_detector import ActionDetector
from ava_det.models.build import build_model
from ava_det.models.roi_head import RoIHead
from ava_det.models.vit import VideoTransformer, make_position_table
from tests.support.parity import deviation, load_fixture, make_clip, make_state_dict

SIZES = {"small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16)}
TINY = (24, 3, 3)
FRAMES = 4
LIMIT = 3e-5  # of the logits' deviation; the public code differs from itself in float64 by 1.4e-6
ROIS = torch.tensor(
    [
        [0, 4.0, 4.0, 30.0, 40.0],
        [1, 10.0, 2.0, 60.0, 47.0],
        [1, -20.0, -9.0, 15.0, 20.0],  # leaves the clip
        [0, 20.0, 20.0, 20.5, 20.5],  # tiny
        [0, 63.9, 47.9, 90.0, 70.0],  # a corner
    ]
)


def build_tiny(**values: Any) -> ActionDetector:
    torch.manual_seed(0)
    backbone = VideoTransformer(*TINY, num_frames=FRAMES, **values)
    return ActionDetector(backbone, RoIHead(backbone.out_channels, 5, backbone.feature_stride))


def tiny_clip(height: int = 48, width: int = 64, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, FRAMES, height, width, generator=torch.Generator().manual_seed(1))


def fill(model: ActionDetector, fixture: dict[str, Any], file: Path) -> None:
    """Through a file under its authors' names, without the table, which is computed."""
    shapes = {name: shape for name, shape in fixture["keys"].items() if "pos_embed" not in name}
    torch.save({"model": make_state_dict(shapes, set(fixture["norm_stems"]))}, file)
    assert load_weights(model, file).missing == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ActionDetector:
    backbone = VideoTransformer(*SIZES["small"])
    head = RoIHead(backbone.out_channels, 81, backbone.feature_stride, resolution=8)
    model = ActionDetector(backbone, head).eval()
    file = tmp_path_factory.mktemp("vit") / "small.pth"
    fill(model, load_fixture("mmaction2_videomae_vit_small_p16"), file)
    return model


@pytest.mark.parametrize(
    "case", ["96x128", "100x134", pytest.param("224x224", marks=pytest.mark.slow)]
)
def test_logits_of_mmaction2(case: str, small: ActionDetector) -> None:
    expected = load_fixture("mmaction2_videomae_vit_small_p16")["cases"][case]
    with torch.no_grad():
        logits = small(
            make_clip(expected["input"]["make_input"]), rois=torch.tensor(expected["rois"])
        )
    assert deviation(logits, expected["logits"]) < LIMIT


def test_the_stages_of_mmaction2(small: ActionDetector) -> None:
    expected = load_fixture("mmaction2_videomae_vit_small_p16")["cases"]["96x128"]
    seen: dict[str, Tensor] = {}
    backbone = small.backbone
    hooks = [
        backbone.blocks[index].register_forward_hook(
            lambda _m, _i, output, name=f"block{index}": seen.update({name: output})
        )
        for index in (0, 6, 11)
    ]
    with torch.no_grad():
        (seen["feature_map"],) = backbone(make_clip(expected["input"]["make_input"]))
    for hook in hooks:
        hook.remove()
    assert len(seen) == 4
    for name, tensor in seen.items():
        stage = expected["stages"][name]
        assert list(tensor.shape) == stage["shape"]
        assert tensor.mean().item() == pytest.approx(stage["mean"], abs=2e-6)
        assert tensor.std(correction=0).item() == pytest.approx(stage["std"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["96x128", "112x144"])
def test_logits_of_unmasked_teacher(case: str, tmp_path: Path) -> None:
    fixture = load_fixture("umt_vit_base")
    backbone = VideoTransformer(*SIZES["base"], num_frames=8, tubelet=1, border="pad")
    model = ActionDetector(backbone, RoIHead(backbone.out_channels, 80, 16, aligned=False)).eval()
    fill(model, fixture, tmp_path / "umt.pth")
    expected = fixture["cases"][case]
    boxes = [[i, *box] for i, rows in enumerate(expected["boxes_extended"]) for box in rows]
    with torch.no_grad():
        logits = model(make_clip(expected["input"]["make_input"]), rois=torch.tensor(boxes))
    assert deviation(logits, expected["logits"]) < LIMIT


def test_the_position_table() -> None:
    expected = load_fixture("mmaction2_videomae_vit_small_p16")["pos_embed"]
    table = make_position_table(1568, 384)
    assert table.double().sum().item() == pytest.approx(expected["sum"], abs=0.01)
    assert torch.allclose(table[777, :4], torch.tensor(expected["row_777_first_4"]), atol=1e-7)
    assert torch.allclose(table[1567, -2:], torch.tensor(expected["row_1567_last_2"]), atol=1e-7)


def test_the_table_is_itself_at_its_own_size_and_resized_step_by_step_elsewhere() -> None:
    backbone = VideoTransformer(*TINY, num_frames=FRAMES)
    table = backbone.position_table
    assert torch.equal(backbone._positions(14, 14), table)
    steps = backbone._positions(6, 8).unflatten(1, (2, 48))
    other = VideoTransformer(*TINY, num_frames=FRAMES)
    other.position_table[:, :196] = 0.0  # the first of two time steps
    changed = other._positions(6, 8).unflatten(1, (2, 48))
    assert bool((changed[:, 0] == 0).all())
    assert torch.equal(changed[:, 1], steps[:, 1])


def test_every_norm_has_the_published_eps() -> None:
    """No output pins it: 1e-5 in its place moves logits by 2e-6 of their deviation."""
    norms = [m for m in VideoTransformer(*TINY).modules() if isinstance(m, nn.LayerNorm)]
    assert len(norms) == 2 * TINY[1] + 1
    assert {norm.eps for norm in norms} == {1e-6}


@pytest.mark.parametrize(
    ("size", "height", "width", "gmacs", "params_m"),
    [
        ("small", 224, 224, 57, 21.9),
        pytest.param("base", 224, 224, 180, 86.3, marks=pytest.mark.slow),
        ("base", 256, 256, 254, 86.3),
        pytest.param("base", 256, 336, 365, 86.3, marks=pytest.mark.slow),
        pytest.param("large", 224, 224, 597, 303.9, marks=pytest.mark.slow),
        pytest.param("large", 256, 256, 828, 303.9, marks=pytest.mark.slow),
        ("large", 256, 336, 1171, 303.9),
    ],
)
def test_costs(size: str, height: int, width: int, gmacs: float, params_m: float) -> None:
    with torch.device("meta"):
        backbone = VideoTransformer(*SIZES[size]).eval()
        model = ActionDetector(backbone, RoIHead(backbone.out_channels, 80, 16))
        clip = torch.empty(1, 3, 16, height, width)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(clip, rois=torch.empty(1, 5, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmacs, rel=0.005)
    found = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert found == pytest.approx(params_m, rel=0.005)


def test_a_batch_is_its_clips_and_its_boxes_one_by_one() -> None:
    model = build_tiny().eval()
    clips = tiny_clip()
    with torch.no_grad():
        together = model(clips, rois=ROIS)
        for row, roi in zip(together, ROIS, strict=True):
            index = int(roi[0])
            alone = model(clips[index : index + 1], rois=torch.cat((torch.zeros(1), roi[1:]))[None])
            assert torch.allclose(alone[0], row, atol=1e-5)
        assert model(clips, rois=ROIS[:0]).shape == (0, 5)


def test_sides_that_are_no_multiple_of_16_are_cut_or_padded_with_zeros() -> None:
    clip = tiny_clip(50, 70)
    model = build_tiny(border="cut").eval()
    padding = build_tiny(border="pad").eval()
    padded = nn.functional.pad(clip, (0, 10, 0, 14))
    with torch.no_grad():
        assert torch.equal(model(clip, rois=ROIS), model(clip[..., :48, :64], rois=ROIS))
        assert torch.equal(padding(clip, rois=ROIS), model(padded, rois=ROIS))
        assert padding.backbone(clip)[0].shape == (2, 24, 2, 4, 5)
        assert model.backbone(clip)[0].shape == (2, 24, 2, 3, 4)


def test_attention_is_softmax_of_scaled_scores() -> None:
    attention = build_tiny().backbone.blocks[0].attn
    nn.init.normal_(attention.q_bias)
    nn.init.normal_(attention.v_bias)
    x = torch.randn(2, 7, 24)
    q, k, v = (x @ part.T for part in attention.qkv.weight.chunk(3))
    heads = [
        (t.unflatten(-1, (3, 8)).transpose(1, 2))
        for t in (q + attention.q_bias, k, v + attention.v_bias)
    ]
    weights = (heads[0] @ heads[1].transpose(-1, -2) / 8**0.5).softmax(dim=-1)
    expected = attention.proj((weights @ heads[2]).transpose(1, 2).flatten(2))
    assert torch.allclose(attention(x), expected, atol=1e-6)


def test_every_parameter_gets_a_gradient_and_checkpointing_changes_none() -> None:
    model = build_tiny().train()
    saving = build_tiny(checkpoint_activations=True).train()
    saving.load_state_dict(model.state_dict())
    clips = tiny_clip()
    for network in (model, saving):
        network.head.dropout.p = 0.0
        network(clips, rois=ROIS).square().sum().backward()
    saved = dict(saving.named_parameters())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name
        assert torch.allclose(parameter.grad, saved[name].grad, rtol=1e-4, atol=1e-7), name


def test_checkpointing_keeps_one_tensor_a_block() -> None:
    def count_saved(depth: int, saves: bool) -> int:
        kept: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            kept.append(tensor.numel())
            return tensor

        backbone = VideoTransformer(
            24, depth, 3, num_frames=FRAMES, checkpoint_activations=saves
        ).train()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            backbone(tiny_clip())
        return sum(kept)

    plain, saving = (count_saved(6, saves) - count_saved(3, saves) for saves in (False, True))
    assert saving <= 3 * 2 * 24 * 24  # clips x tokens x channels
    assert plain > 10 * saving


def test_drop_path_rises_to_its_value_and_leaves_scoring_alone() -> None:
    model = build_tiny(drop_path=0.4)
    assert [block.drop_path.p for block in model.backbone.blocks] == [0.0, 0.2, 0.4]
    clips = tiny_clip()
    plain = build_tiny().eval()
    with torch.no_grad():
        assert torch.equal(model.eval()(clips, rois=ROIS), plain(clips, rois=ROIS))
        train = model.train().backbone
        assert any(not torch.equal(train(clips)[0], plain.backbone(clips)[0]) for _ in range(8))


def test_bfloat16_by_autocast_is_near() -> None:
    model = build_tiny().eval()
    clips = tiny_clip()
    with torch.no_grad():
        exact = model(clips, rois=ROIS)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(clips, rois=ROIS)
    assert rough.dtype == torch.float32
    assert (rough.sigmoid() - exact.sigmoid()).abs().max() < 0.006


def test_it_learns_a_batch_by_heart() -> None:
    model = build_tiny().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    labels = (torch.rand(len(ROIS), 5, generator=torch.Generator().manual_seed(3)) < 0.4).float()
    rois = ROIS.clone()
    rois[2, 1:] = torch.tensor([2.0, 2.0, 30.0, 30.0])
    clips = tiny_clip()
    model.head.dropout.p = 0.0
    for _ in range(120):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(clips, rois=rois), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"width": 25, "num_heads": 3}, "3 heads: expected a divisor of the width 25"),
        ({"num_frames": 5}, "5 frames: expected a multiple of the tubelet 2"),
        ({"border": "mirror"}, "border is 'mirror', expected cut or pad"),
    ],
)
def test_values_that_fit_nothing_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        VideoTransformer(**{"width": 24, "depth": 1, "num_heads": 3, **values})


@pytest.mark.parametrize("frames", [3, 8])
def test_a_clip_of_another_length_is_one_sentence(frames: int) -> None:
    with pytest.raises(ValueError, match=f"the clip has {frames} frames, expected 4"):
        build_tiny()(torch.zeros(1, 3, frames, 32, 32), rois=ROIS)


@pytest.mark.parametrize(("case", "width", "height"), [("96x128", 128, 96), ("112x144", 144, 112)])
def test_boxes_get_the_margin_of_videomae_ad(case: str, width: int, height: int) -> None:
    expected = load_fixture("umt_vit_base")["cases"][case]
    pairs = zip(expected["boxes_clipped"], expected["boxes_extended"], strict=True)
    for clipped, extended in pairs:
        fractions = normalize_boxes(torch.tensor(clipped), width, height)
        placed = scale_boxes(place_as_videomae_ad(fractions, width, height), width, height)
        assert torch.allclose(placed, torch.tensor(extended), atol=1e-4)
    outside = torch.tensor([[-0.5, -0.5, 2.0, 2.0], [0.5, 0.5, 0.5, 0.5]])
    placed = scale_boxes(place_as_videomae_ad(outside, width, height), width, height)
    assert placed[0].tolist() == pytest.approx([0, 0, width - 1, height - 1], abs=1e-4)
    point = [width / 2 - 0.05, height / 2 - 0.025, width / 2 + 0.05, height / 2 + 0.025]
    assert placed[1].tolist() == pytest.approx(point, abs=1e-4)


@pytest.mark.parametrize(
    ("config", "ticks"),
    [
        ("mmaction2/vit_b_videomae", [-32, -28, 28]),
        ("videomae_ad/vit_b", [-31, -27, 29]),
        ("umt/vit_b", [-29, -21, 27]),
    ],
)
def test_the_frames_of_a_keyframe_are_those_of_the_weights(config: str, ticks: list[int]) -> None:
    class Asked(Exception):
        pass

    class Recorder:
        def pictures_nearest(self, moments: Any) -> Any:
            raise Asked(list(moments))

    overrides = ["data.frame_grid=seconds"]  # whose grid counts from the keyframe itself
    reader = build_clip_reader(load_config(f"configs/ava/{config}.yaml", overrides))
    with pytest.raises(Asked) as asked:
        reader.read(Recorder(), 902.0, 256)  # type: ignore[arg-type]
    moments = asked.value.args[0]
    found = [round(30 * (moments[index] - 902.0), 6) for index in (0, 1, -1)]
    assert found == ticks


@pytest.mark.parametrize(
    "name",
    [
        *(f"mmaction2/vit_{size}_videomae" for size in "sbl"),
        *(f"videomae_ad/vit_{size}" for size in "sb"),
        *(f"umt/vit_{size}" for size in "bl"),
    ],
)
def test_a_published_form_builds_with_what_its_weights_saw(name: str) -> None:
    config = load_config(f"configs/ava/{name}.yaml")
    with torch.device("meta"):
        model = build_model(config)
    width = SIZES[{"s": "small", "b": "base", "l": "large"}[name.partition("vit_")[2][0]]][0]
    assert model.backbone.out_channels == [width]
    assert model.backbone.border == ("cut" if name.startswith("mmaction2") else "pad")
    assert describe_unlike_input(config, name, {}) == []
