"""Completes Caffe2 files of networks that were trained with fixed norms.

Such a network has y = s x + b in the place of each batch norm, and its file no statistics. Of
video-nonlocal-net's such networks the non-local blocks have no norm at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# Of our norms. A variance of 1 - eps makes a batch norm y = s x + b.
EPS = 1e-5


def complete_norms(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Adds the statistics that fixed norms do not have, so that batch norms compute the same.

    Args:
        tensors: A network's entries under our names.

    Returns:
        The entries and the added ones; None where the file has statistics of any norm, so that an
        entry that is missing there is an error.
    """
    if any(re.search(r"bn\.running_(mean|var)$", name) for name in tensors):
        return None
    completed = dict(tensors)
    for name in tensors:
        without_norm = re.fullmatch(r"(.+\.non_local\.\d+\.)out\.weight", name)
        if without_norm and f"{without_norm[1]}bn.weight" not in tensors:
            channels = len(tensors[name])
            completed[f"{without_norm[1]}bn.weight"] = torch.ones(channels)
            completed[f"{without_norm[1]}bn.bias"] = torch.zeros(channels)
    for name in list(completed):
        if name.endswith("bn.weight"):
            norm = name.removesuffix("weight")
            completed[f"{norm}running_mean"] = torch.zeros(len(completed[name]))
            completed[f"{norm}running_var"] = torch.full((len(completed[name]),), 1 - EPS)
    return completed if len(completed) > len(tensors) else None
