"""The form of S3D in TF-slim: its padding, and convolutions over time without batch norm."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ava_det.models.inference_form import optimize_for_inference
from ava_det.models.s3d import S3D, BiasedUnit


def build_slim(stem: str = "full") -> S3D:
    torch.manual_seed(0)
    return S3D(4, stem=stem, stem_frames=3, padding="same", temporal_norm=False, gating=True).eval()


def test_the_stem_is_padded_as_tensorflow_does() -> None:
    """At 8 x 12 x 16: 3 frames of stride 2 pad (0, 1), 7 pixels of stride 2 pad (2, 3)."""
    stem = build_slim().get_submodule("conv_1a")
    weight = stem.get_parameter("conv.weight")
    clip = torch.randn(1, 3, 8, 12, 16)
    expected = F.conv3d(F.pad(clip, (2, 3, 2, 3, 0, 1)), weight, stride=2) / (1 + 1e-3) ** 0.5
    torch.testing.assert_close(stem(clip), expected.relu(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("length", "stride", "first"), [(6, 2, 1), (7, 2, 0), (6, 1, 0)])
def test_over_time_it_begins_as_the_identity(length: int, stride: int, first: int) -> None:
    """With SAME and stride 2 the middle of a kernel is frame 1 of an even clip, 0 of an odd one."""
    unit = BiasedUnit(4, 3, stride, is_same=True)
    x = torch.randn(1, 4, length, 2, 2)
    torch.testing.assert_close(unit(x), x[:, :, first::stride].relu())
    assert unit.conv.bias is not None


@pytest.mark.parametrize("stem", ["full", "separable"])
def test_the_inference_form_at_odd_sizes(stem: str) -> None:
    network = build_slim(stem)
    assert not any(name.endswith("temporal.bn.weight") for name in network.state_dict())
    clip = torch.randn(1, 3, 9, 61, 50)
    with torch.inference_mode():
        (expected,) = network(clip)
        (received,) = optimize_for_inference(network)(clip)
    assert expected.shape[2:] == (2, 2, 2)  # a ceil at every stride: 5, 3, 2 frames
    torch.testing.assert_close(received, expected, rtol=1e-3, atol=1e-5)
