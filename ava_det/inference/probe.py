"""Estimates what the strongest published detector costs on this machine, without loading it."""

from __future__ import annotations

import time

import torch

from ava_det.checkpoint.zoo import BEST, ZOO, describe_score, find_best
from ava_det.choices import DEFAULT_ACTION_WEIGHTS
from ava_det.inference.pretrained import load_config_of
from ava_det.models.build import build_model
from ava_det.models.cost import compute_cost

# The product of the first linear layer of a ViT-L block's MLP, on as many tokens: 4.3 GMACs.
_ROWS, _INNER, _COLUMNS = 1024, 1024, 4096
_FRAME = (256, 341)  # height and width of a frame of 4:3 as a detector sees it, in pixels


def measure_gmacs_per_second(device: torch.device) -> float:
    """Times a matrix product in fp32, after one to warm up.

    Args:
        device: Where it runs.

    Returns:
        Billions of multiply-accumulates a second.
    """
    left = torch.ones(_ROWS, _INNER, device=device)
    right = torch.ones(_INNER, _COLUMNS, device=device)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        total = (left @ right).sum().item()  # waits for the device
        seconds.append(time.perf_counter() - start)
        assert total > 0
    return _ROWS * _INNER * _COLUMNS / 1e9 / min(seconds)


def describe_best() -> str:
    """Says what `--weights best` would give in place of the default, and what it would cost.

    The network is built on the meta device, which has no weights, and its multiply-accumulates
    are divided by the speed of one matrix product in fp32: a lower bound on a CPU.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = find_best()
    config = load_config_of(name)
    with torch.device("meta"):
        model = build_model(config)
    height, width = _FRAME
    cost = compute_cost(model, config.model.clip_shapes(), height, width)
    seconds = cost.gmacs / measure_gmacs_per_second(device)
    return (
        f"--weights {BEST} would be {name}: {describe_score(name)}; in place of "
        f"{ZOO[DEFAULT_ACTION_WEIGHTS].mean_ap:g} of {DEFAULT_ACTION_WEIGHTS}, for at least "
        f"{seconds:.2g} s a keyframe on this machine ({cost.gmacs:.0f} GMACs, by the speed of a "
        "matrix product)"
    )
