"""The profile of a training step: what it counts, what it names, and the page it writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from ava_det.config import load_config
from ava_det.models.build import build_model, to_device
from ava_det.models.cost import compute_cost
from ava_det.tasks.recipe import build_optimizer
from benchmarks.network import build_random_model, draw_clip
from benchmarks.step_profile import (
    REST,
    Cost,
    Costs,
    Training,
    describe_costs,
    measure_layers,
    take_medians,
)
from benchmarks.train import compute_loss
from tests.support.precision_answers import WITHOUT, answer

RunTool = Callable[..., tuple[int, str, str]]
CPU = torch.device("cpu")
SMALL = [
    "model.width=8",
    "model.depth=14",
    "model.num_slow_frames=2",
    "device=cpu",
    "model.beta_inv=4",
    "model.alpha=4",
]


def measure(batch: int) -> Costs:
    config = load_config("configs/ava/slowfast_r50_4x16.yaml", SMALL)
    model = to_device(build_random_model(config), CPU)
    clips = draw_clip(config, batch, 3, 64)
    loss = partial(compute_loss, model, clips, "fp32")
    return measure_layers(Training(model, loss, build_optimizer(config, model), "fp32"), CPU)


def test_every_product_is_counted_but_the_gradients_of_clips() -> None:
    costs = measure(batch=2)
    config = load_config("configs/ava/slowfast_r50_4x16.yaml", SMALL)
    with torch.device("meta"):
        cost = compute_cost(build_model(config), config.model.clip_shapes(), 64)
    # a stem's stage is its convolution alone
    stems = sum(stage.gmacs for stage in cost.per_stage if stage.name.endswith("stem"))
    assert sum(one.macs for one in costs.values()) == pytest.approx(
        2e9 * (3 * cost.backbone_gmacs - stems)
    )


def test_time_goes_to_the_layer_that_made_a_gradient() -> None:
    costs = measure(batch=1)
    layers = {"fast stem 5x7x7 strided", "slow res4 3x1x1", "fast res2 norm", "lateral norm"}
    layers |= {"head", "lateral 5x1x1 strided", "slow res5 1x1x1"}
    assert layers <= set(costs)
    assert all(costs[name].forward > 0 and costs[name].backward > 0 for name in (*layers, REST))
    assert costs["optimizer"].backward == costs["gradient of Relu"].forward == 0
    assert costs["gradient of Relu"].backward > 0
    # what a layer made is not listed by its own name
    assert not {name for name in costs if re.search("gradient of (Conv|NativeBatch|Mean)", name)}


def test_the_table_adds_up() -> None:
    costs = {
        "slow res2 1x1x1": Cost(10, 20, 3e9),
        REST: Cost(1, 2),
        "tiny": Cost(0.04, 0.04),
        "tinier": Cost(0.01, 0.01, 1e6),
    }
    first, *_ = rounds = [costs, {**costs, REST: Cost(3, 2)}, {**costs, REST: Cost(2, 9)}]
    assert take_medians(rounds) == {**first, REST: Cost(2, 2)}
    lines = describe_costs(costs, rate=2e11)
    assert lines[2] == "| slow res2 1x1x1 | 10.0 | 20.0 | 90.6% | 3.00 | 50% | 15.0 |"
    assert lines[-2].startswith("| 2 others | 0.1 | 0.1 |")
    assert lines[-1] == "| all | 11.1 | 22.1 | 100.0% | 3.00 | 45% | 18.1 |"


def test_the_page(tmp_path: Path, run_tool: RunTool, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, WITHOUT)
    page = tmp_path / "profile.md"
    options = ("--batch", 1, "--size", 32, "--boxes", 1, "--repeat", 1, "--profile", page)
    code, _, err = run_tool("benchmark", "train", *options, "--set", *SMALL)
    assert (code, err) == (0, "")
    written = page.read_text()
    assert written.startswith("# A training step of slowfast_r50_8x8, 32 x 32, batch 1, 1 boxes")
    assert "## plain fp32: matrix product" in written
    table = written.split("## ava-det train fp32: matrix product")[1]
    assert re.search(r"\| fast stem 5x7x7 strided \| \d+\.\d \| \d+\.\d \| \d+\.\d% \|", table)
