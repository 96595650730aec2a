"""How the fixtures of tests/assets/parity were made, so that their weights and clips need not be
stored.

PySlowFast's own network was filled by this rule, name by name, and run; the JSON files keep the
names with their shapes, the logits, means and deviations of every stage, and one training loss.
Every entry draws from its own generator, seeded with the CRC-32 of its name, so neither order nor
the set of names matters.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ASSETS = Path(__file__).parents[1] / "assets" / "parity"
# clip, x1, y1, x2, y2 on 128 x 96 pixels; the last but one leaves the clip, the last is tiny
BOXES = torch.tensor(
    [
        [0, 0.0, 0.0, 127.0, 95.0],
        [0, 10.5, 7.25, 63.0, 90.0],
        [0, 70.0, 20.0, 120.0, 60.5],
        [1, 3.0, 40.0, 9.0, 52.0],
        [1, 100.0, 80.0, 127.0, 95.0],
        [1, -20.0, -10.0, 30.0, 40.0],
        [0, 50.0, 50.0, 50.5, 50.5],
    ]
)


def load_fixture(name: str) -> dict[str, Any]:
    fixture: dict[str, Any] = json.loads((ASSETS / f"{name}.json").read_text())
    return fixture


def make_state_dict(
    shapes: dict[str, list[int]], norms: Collection[str] | None = None
) -> dict[str, Tensor]:
    """Weights under the names of a fixture; `norms` are the owners of a norm's weight and bias, by
    default those with statistics.
    """
    if norms is None:
        marks = [name for name in shapes if name.endswith(".running_var")]
        norms = {name.removesuffix(".running_var") for name in marks}
    return {
        name: torch.from_numpy(_draw(name, tuple(shape), norms)) for name, shape in shapes.items()
    }


def _draw(name: str, shape: tuple[int, ...], norms: Collection[str]) -> np.ndarray:
    owner, leaf = name.rsplit(".", 1)
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    low = None
    high = None
    mean = 0.0
    std = 0.0
    in_non_local = "nonlocal" in owner
    if owner in norms and leaf == "weight":
        # the norms that close a residual branch stay small, or the activations explode with depth
        low, high = (0.1, 0.4) if owner.endswith("c_bn") or in_non_local else (0.5, 1.5)
    elif owner in norms and leaf == "running_var":
        low = 0.5
        high = 1.5
    elif owner in norms or (leaf == "bias" and not in_non_local):
        std = 0.1
    elif in_non_local:
        std = 0.003 if leaf == "weight" else 0.01
    elif name == "head.projection.weight":
        std = 0.005
    else:
        std = (2.0 / int(np.prod(shape[1:]))) ** 0.5
    generator = np.random.RandomState(zlib.crc32(name.encode()))
    values = (
        generator.normal(mean, std, shape) if low is None else generator.uniform(low, high, shape)
    )
    return np.asarray(values, np.float32).reshape(shape)


def make_clip(shape: list[int]) -> Tensor:
    """Normal noise [B, 3, T, H, W]; shape is B, T, H, W and a value that is not read."""
    batch, frames, height, width = shape[:4]
    noise = np.random.RandomState(20181210).standard_normal((batch, 3, frames, height, width))
    return torch.from_numpy(noise.astype(np.float32))


def deviation(logits: Tensor, expected: Any) -> float:
    """Largest difference in units of the expected logits' standard deviation."""
    reference = torch.tensor(expected).reshape(logits.shape)
    return float((logits - reference).abs().max() / reference.std())


def make_clips(fixture: dict[str, Any]) -> dict[str, Tensor]:
    """Normal noise; the Slow clip takes evenly spread Fast frames, the last one included."""
    shape = fixture["inputs_shape"][-1]
    fast = np.random.RandomState(20181210).standard_normal(shape).astype(np.float32)
    picked = np.linspace(0, shape[2] - 1, shape[2] // fixture["alpha"], dtype=np.float32).astype(
        np.int64
    )
    return {"slow": torch.from_numpy(fast[:, :, picked]), "fast": torch.from_numpy(fast)}
