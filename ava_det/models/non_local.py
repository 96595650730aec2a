"""Non-local blocks (Wang et al., CVPR 2018, section 3), in the forms of their publishers.

    x [B, C, T, H, W] --theta--> queries ----------------+
      |                                                  |
      +--pool--phi--> keys -------------------- weights of the positions
      |                                                  |
      +--pool--g----> values ----------------- weighted sum --out--BN--> added to x

MMAction2 pools behind phi and g. `group_frames` cuts x into groups of frames first.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NonLocalForm(NamedTuple):
    """Describes how a non-local block compares positions.

    Attributes:
        mode: What the weights of the positions are. `dot_product`: the products divided by the
            number of positions (SlowFast); `embedded_gaussian`: their softmax; `gaussian`: the
            softmax of products of x itself, without theta and phi.
        pool: (time, height, width) window and stride of the max pooling of keys and values.
        scaled: Whether `embedded_gaussian` first divides the products by the square root of their
            width.
        pool_embedded: Whether the pooling comes after phi and g instead of before.
        out_bias: Whether the last convolution has a bias, though the norm after it has one too.
    """

    mode: str = "dot_product"
    pool: tuple[int, int, int] = (2, 2, 2)
    scaled: bool = True
    pool_embedded: bool = False
    out_bias: bool = True


DOT_PRODUCT = NonLocalForm()


class NonLocal(nn.Module):
    """Adds to each position what it has in common with all others.

    x + BN(out(sum over p of w(x, p) g(p))), where p are the positions of a max-pooled copy of x and
    w is the form's.

    Args:
        channels: Channels of x; theta, phi and g work on half of them.
        form: How positions are compared.
        group_frames: Frames that are compared with each other: positions of the first so many, of
            the next so many, and so on; None compares all.
    """

    def __init__(
        self,
        channels: int,
        form: NonLocalForm = DOT_PRODUCT,
        group_frames: int | None = None,
    ) -> None:
        super().__init__()
        inner = channels // 2
        self.form = form
        self.group_frames = group_frames
        if form.mode != "gaussian":
            self.theta = nn.Conv3d(channels, inner, kernel_size=1)
            self.phi = nn.Conv3d(channels, inner, kernel_size=1)
        self.g = nn.Conv3d(channels, inner, kernel_size=1)
        self.out = nn.Conv3d(inner, channels, kernel_size=1, bias=form.out_bias)
        self.bn = nn.BatchNorm3d(channels)
        for conv in self.children():
            if isinstance(conv, nn.Conv3d):
                nn.init.normal_(conv.weight, std=0.01)
                if conv.bias is not None:
                    nn.init.zeros_(conv.bias)
        # Zero gamma: the block starts as the identity, so that a pretrained network can take it
        # (section 4.1).
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, C, T, H, W] to the same shape.

        Raises:
            ValueError: T is no multiple of `group_frames`.
        """
        frames = self.group_frames
        if frames is None or x.shape[2] == frames:
            return self._relate(x)
        if x.shape[2] % frames:
            raise ValueError(
                f"a non-local block with groups of {frames} frames got {x.shape[2]} frames, "
                f"expected a multiple of {frames}"
            )
        groups = x.unflatten(2, (-1, frames)).transpose(1, 2).flatten(0, 1)
        related = self._relate(groups).unflatten(0, (x.shape[0], -1))
        joined: Tensor = related.transpose(1, 2).flatten(2, 3)
        return joined

    def _relate(self, x: Tensor) -> Tensor:
        source = x if self.form.pool_embedded else self._pool(x)
        is_embedded = self.form.mode != "gaussian"
        queries, keys = (self.theta(x), self.phi(source)) if is_embedded else (x, source)
        values = self.g(source)
        if self.form.pool_embedded:
            keys, values = self._pool(keys), self._pool(values)
        query = queries.flatten(2).transpose(1, 2)  # [B, positions, inner]
        key = keys.flatten(2)  # [B, inner, pooled positions]
        value = values.flatten(2).transpose(1, 2)  # [B, pooled positions, inner]
        if self.form.mode == "dot_product":
            weights = torch.bmm(query, key) / key.shape[2]
        else:
            is_scaled = self.form.scaled and self.form.mode == "embedded_gaussian"
            weights = torch.bmm(query * key.shape[1] ** -0.5 if is_scaled else query, key)
            weights = weights.softmax(dim=2)
        gathered = torch.bmm(weights, value).transpose(1, 2).unflatten(2, x.shape[2:])
        added: Tensor = self.bn(self.out(gathered))
        return x + added

    def _pool(self, x: Tensor) -> Tensor:
        return x if self.form.pool == (1, 1, 1) else F.max_pool3d(x, kernel_size=self.form.pool)
