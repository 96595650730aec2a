"""Non-local blocks of every publisher, against sums over all pairs of positions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ava_det.config import ConfigError, load_config
from ava_det.models.non_local import NonLocal, NonLocalForm

# of PySlowFast, video-nonlocal-net and LFB, and MMAction2's three
FORMS = [
    NonLocalForm(pool=(1, 2, 2)),
    NonLocalForm("embedded_gaussian", (1, 2, 2)),
    *(
        NonLocalForm(mode, (1, 2, 2), scaled=False, pool_embedded=True, out_bias=False)
        for mode in ("dot_product", "embedded_gaussian", "gaussian")
    ),
]


def draw_block(form: NonLocalForm, group_frames: int | None = None) -> NonLocal:
    torch.manual_seed(0)
    block = NonLocal(4, form, group_frames).eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    return block


def relate_by_hand(block: NonLocal, x: Tensor) -> Tensor:
    """Sums over pairs of positions, with every axis of its own."""
    form = block.form
    embedded = form.mode != "gaussian"
    if form.pool_embedded:
        phi = F.max_pool3d(block.phi(x) if embedded else x, form.pool)
        g = F.max_pool3d(block.g(x), form.pool)
    else:
        pooled = F.max_pool3d(x, form.pool)
        phi, g = (block.phi(pooled) if embedded else pooled), block.g(pooled)
    theta = block.theta(x) if embedded else x
    products = torch.einsum("bcthw,bcuij->bthwuij", theta, phi)
    if form.mode == "dot_product":
        weights = products / (phi.shape[2] * phi.shape[3] * phi.shape[4])
    else:
        width = theta.shape[1] if form.scaled and embedded else 1
        powers = (products / width**0.5).double().exp()
        weights = (powers / powers.sum((4, 5, 6), keepdim=True)).float()
    return x + block.bn(block.out(torch.einsum("bthwuij,bcuij->bcthw", weights, g)))


@pytest.mark.parametrize("form", FORMS, ids=[f"{form.mode}-{form.scaled}" for form in FORMS])
@torch.no_grad()
def test_by_hand(form: NonLocalForm) -> None:
    block = draw_block(form)
    assert hasattr(block, "theta") is (form.mode != "gaussian")
    assert (block.out.bias is not None) is form.out_bias
    x = torch.randn(2, 4, 2, 5, 6)
    torch.testing.assert_close(block(x), relate_by_hand(block, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS[:2])
@torch.no_grad()
def test_a_group_of_frames_sees_no_other(form: NonLocalForm) -> None:
    block = draw_block(form, group_frames=2)
    x = torch.randn(2, 4, 6, 4, 4)
    parts = [relate_by_hand(block, part) for part in x.split(2, dim=2)]
    torch.testing.assert_close(block(x), torch.cat(parts, dim=2), rtol=1e-4, atol=1e-4)
    whole = relate_by_hand(block, x)
    assert not torch.allclose(block(x), whole, rtol=1e-2, atol=1e-2)
    channels_last = x.contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(block(channels_last), block(x), rtol=1e-4, atol=1e-4)


def test_frames_that_make_no_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="got 6 frames, expected a multiple of 4"):
        draw_block(FORMS[1], group_frames=4)(torch.randn(1, 4, 6, 4, 4))
    with pytest.raises(ConfigError, match="a divisor of the 6 frames that reach res3"):
        load_config("configs/ava/nl_i3d_r50.yaml", ["model.num_slow_frames=12"])


def test_a_new_block_is_the_identity() -> None:
    x = torch.randn(1, 8, 2, 4, 4)
    for form in FORMS:
        assert torch.equal(NonLocal(8, form).eval()(x), x)
