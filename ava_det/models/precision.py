"""Where a head leaves autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """Turns autocast off on the device of `like`; on the meta device, which costs are counted on,
    there is none.
    """
    return nullcontext() if like.is_meta else torch.autocast(like.device.type, enabled=False)
