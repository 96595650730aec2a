"""The weight rule of the golden numbers: a network's weights from the names and shapes of its
parameters alone.

Each entry of a state dict is drawn from NumPy's `RandomState` (whose streams never change) seeded
by the CRC-32 of its name, and scaled by its role so that features stay of order one, the proposals
spread over the image, and a few dozen boxes of many classes pass the score threshold. Detectron2
and ava_det use the same names, so both get the same network.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor, nn

# The end of a name -> (offset, deviation); the first that fits counts.
VECTORS = (
    # residual branches add a little each, or 33 in a row would overflow
    ("conv3.norm.weight", 0.3, 0.02),
    ("norm.running_var", 1.0, 0.0),
    ("norm.weight", 1.0, 0.1),
    ("norm.bias", -0.3, 0.3),  # sparse features differ more from place to place
    ("", 0.0, 0.1),
)
# The end of a name -> gain; the deviation is gain / sqrt(fan in).
MATRICES = (
    ("objectness_logits.weight", 1.0),
    ("anchor_deltas.weight", 0.1),
    ("cls_score.weight", 1.5),
    ("bbox_pred.weight", 0.5),
    ("fpn_lateral2.weight", 0.7),
    ("fpn_lateral3.weight", 0.7),
    ("fpn_lateral4.weight", 0.7),
    ("fpn_lateral5.weight", 0.7),
    ("", 2**0.5),  # He et al., 2015
)


PERSON_BIAS = 5.0  # of class 0, so that there are persons among the boxes


def fill(model: nn.Module) -> None:
    """Gives every parameter and buffer of a network the value of the rule; pixel statistics
    stay.
    """
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not name.startswith("pixel_"):
                tensor.copy_(draw(name, tensor))
            if name.endswith("stem.conv1.weight"):
                # the images' deviation becomes one
                tensor.mul_(model.get_buffer("pixel_std").mean() / 57)
            if name.endswith("cls_score.bias"):
                tensor[0] += PERSON_BIAS


def draw(name: str, like: Tensor) -> Tensor:
    """The value of one entry of the state dict, without what `fill` adds."""
    offset = 0.0
    if like.ndim == 1:
        offset, deviation = next(
            (start, scale) for end, start, scale in VECTORS if name.endswith(end)
        )
    else:
        gain = next(gain for end, gain in MATRICES if name.endswith(end))
        deviation = gain / float(np.prod(like.shape[1:])) ** 0.5
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(like.shape))
    return torch.from_numpy(offset + deviation * values).to(like.dtype)
