"""The benchmarks of network and training step: what they count and print, on networks that take
milliseconds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from time import sleep

import pytest
import torch
from torch import Tensor

from ava_det.config import load_config
from ava_det.models.build import build_model
from ava_det.models.cost import compute_cost
from ava_det.models.inference_form import optimize_for_inference
from benchmarks.graph import RecordedNetwork
from benchmarks.machine import Rulers, measure_in_turns, measure_kept_memory, measure_peak_memory
from benchmarks.model import list_forms
from benchmarks.network import (
    add_network_options,
    build_random_model,
    build_subject,
    compute_floors,
    count_values,
    draw_clip,
    place,
    with_identity_pools,
)
from benchmarks.profile import describe_layers, describe_operators, measure_layers
from tests.support.instruction_sets import needs_bfloat16
from tests.support.precision_answers import WITH, answer

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


def answer_nothing(slow: Tensor, fast: Tensor, rois: Tensor) -> Tensor:
    return torch.zeros(len(rois), 80)


@pytest.fixture(params=["fp32", pytest.param("bf16", marks=needs_bfloat16)])
def precisions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those the machine is said to compute natively."""
    if request.param == "fp32":
        return ["fp32"]
    answer(monkeypatch, WITH)
    return ["fp32", "bf16"]


def test_every_form_is_measured_against_the_plain_one(
    precisions: list[str], tmp_path: Path, run_tool: RunTool
) -> None:
    options = ("--size", 64, "--boxes", 2, "--repeat", 1, "--json", tmp_path / "report.json")
    drawn = ("--growth", tmp_path / "growth.png", "--profile", tmp_path / "profile.md")
    code, out, err = run_tool("benchmark", "model", *options, *drawn, "--set", *SMALL)
    assert (code, err) == (0, "")
    half = r"\d+ in bf16, " if "bf16" in precisions else ""
    assert re.search(rf"\d+ GMAC/s in fp32, {half}\d+\.\d GB/s", out)
    assert ("bf16 is left out" in out) == ("bf16" not in precisions)
    report = json.loads((tmp_path / "report.json").read_text())
    forms = [
        f"{form} {name}"
        for form in ("plain", "channels last", "inference form")
        for name in precisions
    ]
    assert [row["way"] for row in report["rows"]] == forms
    assert [row["ratio"] for row in report["rows"] if row["way"] == "plain fp32"] == [1]
    assert all(
        row["max_score_change"] <= 1e-6 for row in report["rows"] if row["way"].endswith("fp32")
    )
    assert all(
        0 < row["max_score_change"] <= 0.01 for row in report["rows"] if row["way"].endswith("bf16")
    )
    first = report["rows"][0]
    assert (
        first["share_of_floor"]
        == max(first["floor_macs_ms"], first["floor_memory_ms"]) / first["busy_ms"]
    )
    assert {row["quantity"] for row in report["growth"]} == {"batch", "boxes", "frames", "size"}
    assert (tmp_path / "growth.png").stat().st_size > 10_000
    profile = (tmp_path / "profile.md").read_text()
    assert profile.count("| slow res4 3x1x1 |") == profile.count("| head |") == len(precisions)
    assert re.search(r"\| \w+::_?convolution\w* \| \d+\.\d \| \d+\.\d% \| \d+ \|", profile)


def test_against_an_installed_function(run_tool: RunTool) -> None:
    options = ("--size", 64, "--repeat", 1, "--against", f"{__name__}:answer_nothing")
    code, out, err = run_tool("benchmark", "model", *options, "--set", *SMALL)
    assert (code, err) == (0, "")
    assert re.search(r"\nagainst +[\d.]+ +[\d.]+ +1\.00 ", out)
    code, _, err = run_tool("benchmark", "model", "--against", "no_such_module:f", "--set", *SMALL)
    assert code == 2
    assert (
        "--against: expected module:function of an installed module, received 'no_such_module:f'"
        in err
    )


def test_a_training_step_is_measured(
    precisions: list[str], tmp_path: Path, run_tool: RunTool
) -> None:
    options = ("--size", 64, "--repeat", 1, "--json", tmp_path / "report.json")
    code, out, err = run_tool("benchmark", "train", *options, "--set", *SMALL)
    assert (code, err) == (0, "")
    rows = json.loads((tmp_path / "report.json").read_text())["rows"]
    assert [row["way"] for row in rows] == [
        f"{way} {name}" for way in ("plain", "ava-det train") for name in precisions
    ]
    if "bf16" in precisions:
        assert rows[-1]["kept_mb"] < rows[0]["kept_mb"]
    else:  # the Fast stem keeps its frames in groups, most of them twice or more
        assert rows[-1]["kept_mb"] < 1.2 * rows[0]["kept_mb"]
    assert "kept mb" in out


@pytest.mark.parametrize(("name", "work"), [("model", "compare"), ("train", "compare_steps")])
def test_what_is_measured_stays_if_a_larger_batch_fails(
    name: str, work: str, tmp_path: Path, run_tool: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    measure = getattr(module, work)

    def fail_at_two(*arguments: object) -> object:
        if 2 in arguments:
            raise torch.OutOfMemoryError("the device is full")
        return measure(*arguments)

    monkeypatch.setattr(module, work, fail_at_two)
    report = tmp_path / "report.json"
    options = ("--batch", 1, 2, "--size", 32, "--boxes", 1, "--repeat", 1, "--json", report)
    with pytest.raises(torch.OutOfMemoryError):
        run_tool("benchmark", name, *options, "--set", *SMALL)
    rows = json.loads(report.read_text())["rows"]
    assert {row["batch"] for row in rows} == {1}
    assert all(row["clips_per_second"] > 0 for row in rows)


def test_torch_compile_is_a_form_that_is_asked_for(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_network_options(parser, batch=1, boxes=1, size=32)
    subject = build_subject(parser.parse_args(["--set", *SMALL]))
    without, asked = (list_forms(subject, runtimes, tmp_path) for runtimes in ([], ["compile"]))
    assert set(asked) - set(without) == {f"torch.compile {subject.rulers.precisions[-1]}"}


def test_the_identity_pools_change_nothing_but_time() -> None:
    config = load_config("configs/ava/slowfast_r50_4x16.yaml", SMALL)
    model = build_random_model(config)
    inputs = draw_clip(config, 2, 3, 64)
    with torch.inference_mode():
        torch.testing.assert_close(
            with_identity_pools(model)(**inputs), model(**inputs), rtol=0, atol=0
        )


def test_the_profile_counts_every_product() -> None:
    config = load_config("configs/ava/slowfast_r50_4x16.yaml", SMALL)
    form = optimize_for_inference(build_random_model(config))
    with torch.inference_mode():
        layers = measure_layers(form, draw_clip(config, 2, 3, 64), CPU)
    with torch.device("meta"):
        cost = compute_cost(build_model(config), config.model.clip_shapes(), 64)
    assert sum(macs for _, macs in layers.values()) == pytest.approx(2e9 * cost.backbone_gmacs)
    assert {
        "fast stem 5x7x7",
        "slow stem 1x7x7",
        "slow res2 1x3x3",
        "lateral 5x1x1",
        "head",
    } <= set(layers)
    lines = describe_operators({"conv": (99.3, 2), "max": (0.4, 1), "cat": (0.3, 4)})
    assert lines[2:] == ["| conv | 99.3 | 99.3% | 2 |", "| 2 others | 0.7 | 0.7% | 5 |"]
    lines = describe_layers({"conv": (4.0, 3e9), "head": (1.0, 0.0)}, 6.0, 1e12)
    assert lines[2] == "| conv | 4.0 | 66.7% | 3.00 | 75% | 1.0 |"
    assert lines[-2:] == [
        "| pools, joins, casts, calls | 1.0 | 16.7% | | | 1.0 |",
        "| all | 6.0 | 100 % | 3.00 | 50% | 3.0 |",
    ]


def test_bytes_are_counted_by_hand() -> None:
    """A Slow-only network of width 1, where every layer can be written down: 2 frames of 32 x 32
    pixels.
    """
    overrides = [
        "model.backbone=slow_only",
        "model.width=1",
        "model.depth=14",
        "model.num_slow_frames=2",
    ]
    config = load_config("configs/ava/slow_only_r50_4x16.yaml", [*overrides, "model.num_classes=3"])
    with torch.device("meta"):
        model = build_model(config)
    # (input channels, output channels, kernel, input side, output side) of every convolution, then
    # the last layer
    layers = [
        (3, 1, 49, 32, 16),
        (1, 1, 1, 8, 8),
        (1, 1, 9, 8, 8),
        (1, 4, 1, 8, 8),
        (1, 4, 1, 8, 8),
        (4, 2, 1, 8, 8),
        (2, 2, 9, 8, 4),
        (2, 8, 1, 4, 4),
        (4, 8, 1, 8, 4),
        (8, 4, 3, 4, 4),
        (4, 4, 9, 4, 2),
        (4, 16, 1, 2, 2),
        (8, 16, 1, 4, 2),
        (16, 8, 3, 2, 2),
        (8, 8, 9, 2, 2),
        (8, 32, 1, 2, 2),
        (16, 32, 1, 2, 2),
    ]
    convolutions = sum(2 * (i * a * a + o * b * b) + i * o * k for i, o, k, a, b in layers)
    assert count_values(model, config, 1, 32) == convolutions + 32 + 3 + 32 * 3 + 3


def test_the_ways_take_turns() -> None:
    calls: list[str] = []
    measure_in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, CPU)
    assert calls == ["a", "b"] * 3


def test_busy_time_is_without_waiting() -> None:
    """What a busy machine takes away looks like sleep to the process."""
    time = measure_in_turns({"sleep": lambda: sleep(0.05)}, 2, CPU)["sleep"]
    assert time.wall > 45
    assert time.busy < 25


def test_rulers_are_measured_among_the_ways(precisions: list[str]) -> None:
    config = load_config("configs/ava/slowfast_r50_4x16.yaml", SMALL)
    rulers = Rulers(CPU)
    measure_in_turns({**rulers.ways(), "other": lambda: None}, 1, CPU)
    rates = rulers.rates()
    assert list(rates) == [*precisions, "bytes"]
    assert 1e8 < rates["fp32"] < 1e14
    assert 1e8 < rates["bytes"] < 1e13
    one, two = (compute_floors(config, batch, 64, rates) for batch in (1, 2))
    assert two["fp32"][0] == pytest.approx(2 * one["fp32"][0])
    last = precisions[-1]
    assert compute_floors(config, 1, 64, rates, passes=3)[last] == pytest.approx(
        [3 * ms for ms in one[last]]
    )


def test_memory_is_counted() -> None:
    megabytes = measure_peak_memory(lambda: torch.ones(32 * 2**20), CPU)
    assert 100 < megabytes < 200
    x = torch.ones(2**18, requires_grad=True)
    assert measure_kept_memory(lambda: (x * x).sum()) == pytest.approx(1.0)


@pytest.mark.gpu
def test_a_recorded_network_answers_as_the_network() -> None:
    config = load_config("configs/ava/slowfast_r50_4x16.yaml", SMALL[:3] + SMALL[4:])
    form = optimize_for_inference(build_random_model(config), "cuda", torch.bfloat16)
    recorded = RecordedNetwork(form)
    with torch.inference_mode():
        for batch, boxes in ((1, 3), (2, 4), (1, 3)):
            inputs = place(draw_clip(config, batch, boxes, 64), torch.device("cuda"))
            torch.testing.assert_close(recorded(**inputs), form(**inputs))
