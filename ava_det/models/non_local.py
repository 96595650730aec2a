"""Non-local block (Wang et al., CVPR 2018, section 3), in the dot-product form SlowFast uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NonLocal(nn.Module):
    """Adds to each position what it has in common with all others.

    x + BN(out(mean over p of <theta(x), phi(p)> g(p))), where p are the positions of a max-pooled
    copy of x.

    Args:
        channels: Channels of x; theta, phi and g work on half of them.
        pool: (time, height, width) window and stride of the max pooling before phi and g.
        softmax: Whether the weights of the positions are the softmax of the products divided by
            the square root of their width (Wang et al.'s I3D), instead of the products divided by
            the number of positions.
    """

    def __init__(
        self, channels: int, pool: tuple[int, int, int] = (2, 2, 2), softmax: bool = False
    ) -> None:
        super().__init__()
        inner = channels // 2
        self.softmax = softmax
        self.pool = pool
        self.theta = nn.Conv3d(channels, inner, kernel_size=1)
        self.phi = nn.Conv3d(channels, inner, kernel_size=1)
        self.g = nn.Conv3d(channels, inner, kernel_size=1)
        self.out = nn.Conv3d(inner, channels, kernel_size=1)
        self.bn = nn.BatchNorm3d(channels)
        for conv in (self.theta, self.phi, self.g, self.out):
            nn.init.normal_(conv.weight, std=0.01)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        # Zero gamma: the block starts as the identity, so that a pretrained network can take it
        # (section 4.1).
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, C, T, H, W] to the same shape."""
        pooled = F.max_pool3d(x, kernel_size=self.pool) if self.pool != (1, 1, 1) else x
        query = self.theta(x).flatten(2).transpose(1, 2)  # [B, positions, inner]
        key = self.phi(pooled).flatten(2)  # [B, inner, pooled positions]
        value = self.g(pooled).flatten(2).transpose(1, 2)  # [B, pooled positions, inner]
        if self.softmax:
            affinity = torch.bmm(query * key.shape[1] ** -0.5, key).softmax(dim=2)
        else:
            affinity = torch.bmm(query, key) / key.shape[2]
        gathered = torch.bmm(affinity, value).transpose(1, 2).unflatten(2, x.shape[2:])
        added: Tensor = self.bn(self.out(gathered))
        return x + added
