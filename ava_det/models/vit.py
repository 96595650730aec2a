"""A plain video transformer (ViT, Dosovitskiy et al. 2021) in VideoMAE's form (Tong et al. 2022).

    clip  [B, 3, T, H, W]
      |
     tubelets: convolution, kernel = stride = tubelet x 16 x 16, no padding
      |
     tokens [B, N, C], N = t * h * w with t = T / tubelet, h = H / 16, w = W / 16;
      |     time varies slowest, then rows, then columns
     + position table [t * 14 * 14, C], fixed; resized to h x w, separately for each time step
      |
     block, `depth` times:   x = x + attention(norm1(x))      all tokens see all tokens
      |                      x = x + mlp(norm2(x))            C -> 4C -> GELU -> C
     norm
      |
     map [B, C, t, h, w]

The three families with public AVA weights (MMAction2's VideoMAE, VideoMAE-Action-Detection and
Unmasked Teacher) are this one network. It is written here because the versions in libraries accept
clips of 224 x 224 pixels alone, and persons are found on frames whose sides are free.

    size     C     depth  heads   parameters
    small    384   12      6       22 M
    base     768   12     12       86 M
    large   1024   24     16      304 M
    huge    1280   32     16      632 M
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torchvision.ops import StochasticDepth

from ava_det.models.backbone import SingleStreamBackbone

PATCH = 16  # pixels of a side of a tubelet
TABLE_SIDE = 14  # rows and columns of the position table: patches of 224 x 224 pixels
NORM_EPS = (
    1e-6  # of every LayerNorm; torch's own 1e-5 moves logits by about 2e-6 of their deviation
)
BORDERS = ("cut", "pad")


class Attention(nn.Module):
    """Computes self-attention of all tokens; queries and values have a bias, keys have none.

    A bias of the keys would add the same number to all scores of a query, which softmax cancels.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens [B, N, C] to [B, N, C]."""
        bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        qkv = F.linear(x, self.qkv.weight, bias).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        # never holds the N x N scores of a head: 441 MiB a layer for ViT-L at 256 x 336 pixels
        attended = F.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return output


class Mlp(nn.Module):
    """Computes linear, GELU (exact, by erf) and linear on each token."""

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden_width)
        self.fc2 = nn.Linear(hidden_width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens [B, N, C] to [B, N, C]."""
        output: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return output


class Block(nn.Module):
    """Computes attention and MLP, each on normalized tokens and added to them.

    Args:
        width: C.
        num_heads: Heads of the attention.
        drop_path: Probability with which training leaves out a branch of a clip.
    """

    def __init__(self, width: int, num_heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = Attention(width, num_heads)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = Mlp(width, 4 * width)
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens [B, N, C] to [B, N, C]."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        added: Tensor = self.drop_path(self.mlp(self.norm2(x)))
        return x + added


class VideoTransformer(SingleStreamBackbone):
    """Computes the features of a video ViT, for the RoI head or for classification.

    Args:
        width: C.
        depth: Blocks.
        num_heads: Heads of the attention; they divide C.
        num_frames: T, which the position table fixes.
        tubelet: Frames of a token, 1 or 2.
        border: What happens to sides that are no multiple of 16 pixels. "cut" leaves out the rest
            at the right and below (MMAction2), "pad" adds zeros there (the others). It moves the
            logits by a quarter of their deviation, so it belongs to the weights.
        final_norm: Whether a LayerNorm ends the network. Classifiers have theirs after the mean
            over all tokens, in the head.
        drop_path: Of the last block; it rises linearly from 0 at the first.
        checkpoint_activations: Whether training computes the inside of each block twice instead of
            keeping it: about a third slower, with less memory.
        in_channels: Channels of a frame.

    Raises:
        ValueError: The heads do not divide the width, or the tubelet the frames.
    """

    position_table: Tensor
    token_parts = ("blocks", "norm")

    def __init__(
        self,
        width: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        *,
        num_frames: int = 16,
        tubelet: int = 2,
        border: str = "cut",
        final_norm: bool = True,
        drop_path: float = 0.0,
        checkpoint_activations: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__(in_channels)
        if width % num_heads:
            raise ValueError(f"{num_heads} heads: expected a divisor of the width {width}")
        if num_frames % tubelet:
            raise ValueError(f"{num_frames} frames: expected a multiple of the tubelet {tubelet}")
        if border not in BORDERS:
            raise ValueError(f"border is {border!r}, expected cut or pad")
        self.num_frames = num_frames
        self.border = border
        self.norm_in_head = not final_norm
        self.checkpoint_activations = checkpoint_activations
        self.out_channels = [width]
        self.feature_stride = PATCH
        kernel = (tubelet, PATCH, PATCH)
        self.patch_embed = nn.Conv3d(in_channels, width, kernel, stride=kernel)
        table = make_position_table(num_frames // tubelet * TABLE_SIDE**2, width)
        self.register_buffer("position_table", table[None])
        rates = [drop_path * index / max(depth - 1, 1) for index in range(depth)]
        self.blocks = nn.Sequential(*(Block(width, num_heads, rate) for rate in rates))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS) if final_norm else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def list_layers(self) -> list[list[nn.Module]]:
        """Lists the patches' convolution and then each block."""
        return [[self.patch_embed], *([block] for block in self.blocks)]

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes the features of clips.

        Args:
            clip: Float [B, 3, T, H, W] with sides of at least 16 pixels.

        Returns:
            One tensor [B, C, T / tubelet, h, w] with h = H / 16 and w = W / 16, rounded down where
            the border is cut and up where it is padded.

        Raises:
            ValueError: The clip has another number of frames.
        """
        if clip.shape[2] != self.num_frames:
            raise ValueError(f"the clip has {clip.shape[2]} frames, expected {self.num_frames}")
        if self.border == "pad":
            clip = F.pad(clip, (0, -clip.shape[4] % PATCH, 0, -clip.shape[3] % PATCH))
        patches = self.patch_embed(clip)
        grid = patches.shape[2:]
        x = patches.flatten(2).transpose(1, 2) + self._positions(grid[1], grid[2]).to(patches.dtype)
        if self.checkpoint_activations and self.training:
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=False)
        else:
            x = self.blocks(x)
        return [self.norm(x).transpose(1, 2).unflatten(2, grid)]

    def _positions(self, height: int, width: int) -> Tensor:
        """Resizes the position table to [1, t * height * width, C], bicubic.

        A table computed for the new grid would be another one: it counts the 14 x 14 places of all
        time steps in one row.
        """
        places = self.position_table.unflatten(1, (-1, TABLE_SIDE, TABLE_SIDE))[0]
        resized = F.interpolate(
            places.movedim(3, 1), (height, width), mode="bicubic", align_corners=False
        )
        return resized.movedim(1, 3).flatten(0, 2)[None]


def make_position_table(num_places: int, width: int) -> Tensor:
    """Computes the sinusoids of Vaswani et al. 2017 over the places in one row.

    Args:
        num_places: Places, with the time steps one after another.
        width: Columns: the sine in even ones, the cosine of the same angle in odd ones.

    Returns:
        Float32 [num_places, width], computed in float64.
    """
    column = torch.arange(width, dtype=torch.float64)
    rate = 10000.0 ** (-(column - column % 2) / width)
    angle = torch.arange(num_places, dtype=torch.float64)[:, None] * rate
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()
