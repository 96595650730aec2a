"""The STC block against its formula, and what a clip of another length is told."""

from __future__ import annotations

import pytest
import torch

from ava_det.config import ConfigError, load_config
from ava_det.models.stc import ResNeXtBlock, STCBlock, STCResNeXt


def test_the_block_is_the_mean_of_two_squeeze_and_excitations() -> None:
    torch.manual_seed(0)
    block = STCBlock(8, 3, 2)
    x = torch.randn(2, 8, 3, 5, 4)
    expected = torch.zeros_like(x)
    for clip in range(2):
        of_clip = x[clip].mean(dim=(1, 2, 3))
        of_moments = torch.stack([x[clip, c, t].mean() for c in range(8) for t in range(3)])
        branches = (
            (of_clip, block.clip_squeeze, block.clip_excite),
            (of_moments, block.time_squeeze, block.time_excite),
        )
        for means, first, second in branches:
            hidden = (first.weight @ means + first.bias).clamp(min=0)
            weights = 1 / (1 + (-(second.weight @ hidden + second.bias)).exp())
            expected[clip] += x[clip] * weights[:, None, None, None] / 2
    torch.testing.assert_close(block(x), expected)
    assert block.time_squeeze.weight.shape == (12, 24)


def test_a_moment_counts_only_in_the_branch_over_time() -> None:
    torch.manual_seed(0)
    block = STCBlock(4, 6, 1)
    x = torch.randn(1, 4, 6, 3, 3)
    turned = x.flip(2)
    assert not torch.allclose(block(turned).flip(2), block(x))
    torch.nn.init.zeros_(block.time_excite.weight)
    torch.testing.assert_close(block(turned).flip(2), block(x))


@pytest.mark.parametrize(("placement", "low"), [("block", 0.5), ("residual", 1.0)])
def test_where_the_block_stands(placement: str, low: float) -> None:
    """With weights of 1/2 everywhere, the input itself is halved only on the block's output."""
    stc = STCBlock(4, 2, 1)
    block = ResNeXtBlock(4, 4, 1, (1, 1), stc, placement).eval()
    torch.nn.init.zeros_(block.c.conv.weight)
    for linear in (stc.clip_excite, stc.time_excite):
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    x = torch.rand(1, 4, 2, 3, 3)
    torch.testing.assert_close(block(x), low * x)


def test_a_clip_of_another_length_and_a_wrong_value_are_refused() -> None:
    network = STCResNeXt(depth=14, width=4, num_frames=8)
    with pytest.raises(ValueError, match="4 frames, expected 8"):
        network(torch.zeros(1, 3, 4, 32, 32))
    with pytest.raises(ValueError, match="width 5 is odd"):
        STCResNeXt(depth=14, width=5)
    overrides = ["model.stc.placement=blok"]
    with pytest.raises(ConfigError, match=r"model\.stc\.placement: .*did you mean block"):
        load_config("configs/kinetics/stc_resnext101.yaml", overrides)
    with pytest.raises(ConfigError, match=r"model\.width: expected an even number for stc"):
        load_config("configs/kinetics/stc_resnext101.yaml", ["model.width=5"])
