"""The head of whole clips: its pool of overlapping windows."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ava_det.models.classification_head import ClassificationHead


@pytest.mark.parametrize("window", [(2, 7, 7), (1, 3, 5), (2, 2, 2)])
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 2, 9), (2, 7, 7), (3, 8, 12), (4, 7, 3)])
def test_windows_of_stride_1_then_their_mean(
    window: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    head = ClassificationHead([5], 3, window=window).eval()
    nn.init.normal_(head.projection.weight)
    features = torch.randn(2, 5, *size)
    kernel = [min(pair) for pair in zip(window, size, strict=True)]
    pooled = F.avg_pool3d(features, kernel, stride=1).mean(dim=(2, 3, 4))
    torch.testing.assert_close(head([features]), head.projection(pooled), rtol=0, atol=1e-6)


def test_the_pool_is_right_at_sizes_that_were_not_traced() -> None:
    """An exported network keeps no size of the clip that it was traced with."""
    head = ClassificationHead([5], 3, window=(2, 7, 7)).eval()
    dynamic = {
        0: torch.export.Dim.DYNAMIC,
        3: torch.export.Dim.DYNAMIC,
        4: torch.export.Dim.DYNAMIC,
    }
    traced = torch.export.export(
        head, ([torch.randn(2, 5, 2, 3, 4)],), dynamic_shapes=([dynamic],)
    ).module()
    for height, width in ((4, 4), (7, 8), (12, 9), (2, 3)):
        features = torch.randn(1, 5, 2, height, width)
        torch.testing.assert_close(traced([features]), head([features]))
