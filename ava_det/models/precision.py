"""Float32 arithmetic inside autocast, for the heads."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """Turns autocast off on the device of `like`.

    The meta device, on which costs are counted, has no autocast.
    """
    return nullcontext() if like.is_meta else torch.autocast(like.device.type, enabled=False)
