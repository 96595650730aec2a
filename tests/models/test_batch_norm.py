"""Batch norm of very few channels, beside torch's in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.batch_norm import BatchNorm3d


def run(norm: nn.BatchNorm3d, clip: Tensor, gradient: Tensor) -> list[Tensor]:
    """Returns the output of norm and ReLU, the gradients and the running statistics."""
    leaf = clip.clone(memory_format=torch.preserve_format).requires_grad_()
    y = F.relu(norm(leaf), inplace=True)
    y.backward(gradient)
    found = [y, leaf.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]
    assert all(tensor is not None for tensor in found)
    return [tensor.detach().double() for tensor in found if tensor is not None]


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
def test_it_is_torchs(channels: int, layout: torch.memory_format) -> None:
    torch.manual_seed(channels)
    clip = (3 * torch.randn(2, channels, 4, 8, 8) + 5).to(memory_format=layout)
    gradient = torch.randn_like(clip)
    ours = BatchNorm3d(channels)
    theirs = nn.BatchNorm3d(channels).double()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.uniform_(0.5, 1.5)
    theirs.load_state_dict(ours.state_dict())
    for step in range(1, 3):
        found = run(ours, clip, gradient)
        expected = run(theirs, clip.double(), gradient.double())
        assert int(ours.num_batches_tracked) == step
        for one, other in zip(found, expected, strict=True):
            # sums of 512 float32 numbers, each rounded to 6e-8 of the largest
            torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-5 * float(other.abs().max()))
    torch.testing.assert_close(ours.eval()(clip), theirs.eval()(clip.double()).float())


def test_the_table_sums_more_accurately_than_torch() -> None:
    torch.manual_seed(0)
    clip = torch.randn(4, 4, 8, 48, 48).to(memory_format=torch.channels_last_3d) + 3
    exact = clip.double().mean((0, 2, 3, 4))
    errors = []
    for norm in (BatchNorm3d(4, momentum=1.0), nn.BatchNorm3d(4, momentum=1.0)):
        norm(clip)
        assert norm.running_mean is not None
        errors.append(float((norm.running_mean - exact).abs().max()))
    ours, theirs = errors
    assert ours < 1e-6
    assert ours <= theirs


@pytest.mark.parametrize("channels", [2, 4])
def test_under_autocast_it_is_float32(channels: int) -> None:
    """Of numbers in bfloat16 it computes what float32 does; only the gradient is rounded again."""
    torch.manual_seed(channels)
    clip = (3 * torch.randn(2, channels, 4, 8, 8) + 5).to(memory_format=torch.channels_last_3d)
    half = clip.bfloat16()
    gradient = torch.randn_like(clip)
    plain, cast = BatchNorm3d(channels), BatchNorm3d(channels)
    expected = run(plain, half.float(), gradient)
    with torch.autocast("cpu", torch.bfloat16):
        assert cast(half).dtype == torch.float32
        cast.reset_running_stats()
        found = run(cast, half, gradient)
    found[1:2], rounded = [], found[1]
    expected[1:2], exact = [], expected[1]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(rounded, exact, rtol=2**-8, atol=0)


def test_without_autocast_bfloat16_stays_bfloat16() -> None:
    clip = torch.randn(2, 4, 4, 8, 8).bfloat16().to(memory_format=torch.channels_last_3d)
    assert BatchNorm3d(4).bfloat16()(clip).dtype == torch.bfloat16
