"""The long-term feature bank head: MMAction2's outputs, and what the bank may and may not
change.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ava_det.checkpoint import load_weights
from ava_det.config import ConfigError, load_config
from ava_det.models.build import build_model
from ava_det.models.cost import compute_cost
from ava_det.models.long_term_head import OPERATORS, LongTermHead
from ava_det.tasks.frozen_network import load_frozen
from tests.support.parity import BOXES, load_fixture, make_state_dict

PLACES = 12
CHANNELS = 6


class HeadOnly(nn.Module):
    """Holds a head under the name that it has in a detector."""

    def __init__(self, head: LongTermHead) -> None:
        super().__init__()
        self.head = head


def build_head(operator: str, **changed: object) -> LongTermHead:
    settings: dict[str, object] = {
        "operator": operator,
        "bank_channels": CHANNELS,
        "fusion_channels": 8,
        "dropout": 0.0,
        "fusion_dropout": 0.0,
    }
    torch.manual_seed(0)
    head = LongTermHead([5], 4, 16, **(settings | changed))  # type: ignore[arg-type]
    nn.init.normal_(head.projection.weight)
    return head.eval()


def make_inputs() -> tuple[list[Tensor], Tensor]:
    """Feature maps of two clips, and their bank."""
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(2, 5, 3, 6, 8, generator=generator).relu()
    return [maps], torch.randn(2, PLACES, CHANNELS, generator=generator)


def test_logits_of_mmaction2(tmp_path: Path) -> None:
    fixture = load_fixture("mmaction2_lfb_non_local")
    backbone = {"backbone.conv1.conv.weight": torch.zeros(1, 3, 1, 1, 1)}  # says whose names
    weights = make_state_dict(fixture["keys"], fixture["norm_stems"])
    torch.save({"state_dict": weights | backbone}, tmp_path / "lfb.pth")
    head = LongTermHead([2048], 81, 16, operator="non_local", bank_channels=2048, resolution=8)
    load_weights(HeadOnly(head), tmp_path / "lfb.pth", ("backbone",))
    maps = np.maximum(np.random.RandomState(3).standard_normal([2, 2048, 4, 6, 8]), 0)
    bank = 0.5 * np.random.RandomState(4).standard_normal([7, 2048, 300]).astype(np.float32)
    bank[:, :, 40:90] = 0
    with torch.no_grad():
        vectors = head.pool([torch.from_numpy(maps.astype(np.float32))], BOXES)
        long_term = torch.from_numpy(bank).transpose(1, 2)
        logits = head.eval().classify(vectors, long_term, torch.arange(7))
    assert vectors.mean().item() == pytest.approx(fixture["stages"]["short_term"]["mean"], rel=1e-5)
    expected = torch.tensor(fixture["logits"])
    deviation = float((logits - expected).abs().max() / expected.std())
    assert deviation < 3e-5
    assert sum(parameter.numel() for parameter in head.parameters()) == fixture["params"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_each_box_reads_the_bank_of_its_own_clip(operator: str) -> None:
    head = build_head(operator)
    features, bank = make_inputs()
    with torch.no_grad():
        logits = head(features, BOXES, bank)
        changed = head(features, BOXES, torch.stack([bank[0], bank[1] + 1]))
        alone = head([features[0][1:]], BOXES[3:6] - torch.tensor([1.0, 0, 0, 0, 0]), bank[1:])
    first = BOXES[:, 0] == 0
    assert torch.equal(logits[first], changed[first])
    assert (logits[~first] - changed[~first]).abs().min() > 1e-4
    assert torch.allclose(logits[3:6], alone, atol=1e-6)


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_order_of_the_bank_does_not_matter(operator: str) -> None:
    head = build_head(operator)
    features, bank = make_inputs()
    with torch.no_grad():
        shuffled = bank[:, torch.randperm(PLACES, generator=torch.Generator().manual_seed(2))]
        difference = head(features, BOXES, bank) - head(features, BOXES, shuffled)
    assert difference.abs().max() < 1e-6


def test_pools_count_places_without_a_person_as_zeros() -> None:
    _, bank = make_inputs()
    negative = -bank.abs()
    negative[:, ::2] = 0
    clips = torch.tensor([0, 1, 1])
    mean = build_head("avg").fusion(torch.zeros(3, 5), negative, clips)
    assert torch.allclose(mean, (negative.sum(dim=1) / PLACES)[clips])
    assert not build_head("max").fusion(torch.zeros(3, 5), negative, clips).any()


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_parameter_learns(operator: str) -> None:
    head = build_head(operator).train()
    features, bank = make_inputs()
    head(features, BOXES, bank).square().sum().backward()
    still = [name for name, one in head.named_parameters() if one.grad is None]
    # phi's bias moves all keys of a query alike, which softmax does not see
    dead = [name for name, one in head.named_parameters() if one.grad is not None]
    assert not still
    assert all(
        head.get_parameter(name).grad.abs().sum() > 0 for name in dead if "phi.b" not in name
    )


LFB = "configs/ava/mmaction2/slowonly_lfb_nl_r50_4x16_v2.1.yaml"


def test_a_config_builds_it_and_its_cost_is_counted() -> None:
    costs = []
    for operator in ("none", "avg", "non_local"):
        config = load_config(LFB, [f"model.long_term.operator={operator}"])
        with torch.device("meta"):
            model = build_model(config)
        costs.append(compute_cost(model, {"slow": (3, 4)}, 224))
    plain, pooled, attended = costs
    assert pooled.params_m - plain.params_m == pytest.approx(80 * 2048 / 1e6)
    assert attended.params_m - pooled.params_m == pytest.approx(
        (4_408_913 - 81 * 2561 + 80 * 2561 - 80 * 4097) / 1e6
    )
    # 300 places through the layer that reduces them, phi and g of two layers
    reduced = 300 * (2048 * 512 + 4 * 512 * 512) / 1e9
    assert attended.gmacs - plain.gmacs == pytest.approx(reduced, rel=0.01)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.head=classification", "model.head: expected roi for model.long_term"),
        ("model.roi_context=true", "model.roi_context: expected false for a head with"),
        ("model.long_term.operator=nonlocal", "did you mean non_local"),
        ("model.long_term.layers=0", "model.long_term.layers: expected a whole number"),
    ],
)
def test_a_config_that_does_not_fit_is_one_sentence(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_config(LFB, [override])


def test_a_head_for_own_classes_reads_no_bank() -> None:
    with pytest.raises(ConfigError, match="features of boxes are computed without a bank"):
        load_frozen(load_config(LFB))


def test_every_norm_has_the_published_eps() -> None:
    """torch's own, which MMAction2's constructor leaves as it is."""
    norms = [m for m in build_head("non_local").modules() if isinstance(m, nn.LayerNorm)]
    assert [norm.eps for norm in norms] == [1e-5, 1e-5]


def test_no_boxes_give_no_logits() -> None:
    features, bank = make_inputs()
    assert build_head("non_local")(features, torch.zeros(0, 5), bank).shape == (0, 4)


@pytest.mark.parametrize("bank", [None, torch.zeros(2, PLACES, CHANNELS + 1), torch.zeros(2, 3)])
def test_a_missing_or_foreign_bank_is_one_sentence(bank: Tensor | None) -> None:
    features, _ = make_inputs()
    with pytest.raises(ValueError, match=r"long_term: expected .*\[B, L, 6\], got"):
        build_head("max")(features, BOXES, bank)


def test_an_unknown_operator_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="operator is 'sum', expected one of non_local, avg, max"):
        build_head("sum")
