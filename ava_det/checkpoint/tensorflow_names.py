"""Names and layout of deepmind's TensorFlow checkpoints of I3D.

    [RGB/inception_i3d/ or Flow/inception_i3d/]Conv3d_1a_7x7/{conv_3d/w,batch_norm/X}
    [...]Mixed_3b/Branch_1/Conv3d_0b_3x3/{conv_3d/w,batch_norm/X}, X = beta, moving_{mean,variance}
    [...]Logits/Conv3d_0c_1x1/conv_3d/{w,b}

Their norms have no factor: it is 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ava_det.checkpoint.translation import SKIP, Source, Table

_BEFORE = r"(?:(?:RGB|Flow)/inception_i3d/)?"
_LEAVES = {
    "conv_3d/w": "conv.weight",
    "batch_norm/beta": "bn.bias",
    "batch_norm/moving_mean": "bn.running_mean",
    "batch_norm/moving_variance": "bn.running_var",
}
# In Mixed_5b the 3x3 of the third branch is called 0a, too.
_UNITS = {"00a": "b0", "10a": "b1a", "10b": "b1b", "20b": "b2b", "30b": "b3b"}


def _deepmind(_: list[str]) -> Table:
    leaf = f"({'|'.join(_LEAVES)})"

    def unit(match: re.Match[str]) -> str:
        block, branch, place, side, end = match.groups()
        third = "b2b" if side == "3" else "b2a"
        name = third if branch == "2" else _UNITS[branch + place]
        return f"backbone.mixed_{block}.{name}.{_LEAVES[end]}"

    return [
        (r".*/Momentum|global_step|learning_rate", SKIP),
        (
            rf"{_BEFORE}Conv3d_(1a|2b|2c)_\dx\d/{leaf}",
            lambda m: f"backbone.conv_{m[1]}.{_LEAVES[m[2]]}",
        ),
        (
            rf"{_BEFORE}Mixed_(\d[b-f])/Branch_([0-3])/Conv3d_(0[ab])_([13])x\d/{leaf}",
            unit,
        ),
        (
            rf"{_BEFORE}Logits/Conv3d_0c_1x1/conv_3d/([wb])",
            lambda m: f"head.projection.{ {'w': 'weight', 'b': 'bias'}[m[1]] }",
        ),
    ]


def _to_our_layout(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turns kernels [t, h, w, in, out] to [out, in, t, h, w], and adds the norms' factors."""
    ours = {}
    for name, tensor in tensors.items():
        if name.endswith(".weight") and tensor.ndim == 5:
            ours[name] = tensor.permute(4, 3, 0, 1, 2).contiguous()
        elif tensor.ndim > 1 and tensor.numel() == tensor.shape[-1]:
            ours[name] = tensor.flatten()  # statistics [1, 1, 1, 1, channels]
        else:
            ours[name] = tensor
        if name.endswith(".bn.bias"):
            ours[name.replace(".bias", ".weight")] = torch.ones_like(ours[name])
    return ours


DEEPMIND = Source(rf"{_BEFORE}Conv3d_1a_7x7/conv_3d/w", _deepmind, _to_our_layout)
