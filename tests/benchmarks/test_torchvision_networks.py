"""torchvision's networks read the clips of the configs that they are compared with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ava_det.config import load_config
from benchmarks.model import load_function
from benchmarks.network import draw_clip


@pytest.mark.parametrize(("name", "size"), [("s3d", 224), ("r2plus1d_18", 112)])
def test_they_take_the_clips_of_their_config(name: str, size: int) -> None:
    config = load_config(f"configs/kinetics/torchvision/{name}.yaml", ["model.num_slow_frames=16"])
    network: Callable[..., Tensor] = load_function(f"benchmarks.torchvision_networks:{name}")
    inputs = {key: value.to("meta") for key, value in draw_clip(config, 1, 0, size).items()}
    with torch.device("meta"), torch.no_grad():
        assert network(**inputs).shape == (1, 400)
