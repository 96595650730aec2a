"""8-bit files rank persons as the network does and are faster, or there is no file."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.commands.export import parse_arguments
from ava_det.config import Config, load_config
from ava_det.export import export_int8, int8, load_exported
from ava_det.export.int8 import Trial, choose_trial, correlate_ranks, list_parts
from ava_det.models.build import build_model
from ava_det.operations import export as operation
from ava_det.operations.export import draw_inputs, list_checks
from ava_det.operations.int8_clips import draw_keyframes
from ava_det.structures import Keyframe
from ava_det.tasks.splits import Split

CPU = torch.device("cpu")
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
PARTS = ["backbone.slow.stem", "backbone.fast.stem", "head"]


def test_ranks_of_known_answers() -> None:
    scores = np.array([[0.1, 0.9], [0.2, 0.5], [0.3, 0.7], [0.4, 0.1]])
    assert correlate_ranks(scores, scores**3) == pytest.approx(1)
    assert correlate_ranks(scores, -scores) == pytest.approx(-1)
    assert correlate_ranks(scores, scores * [1, -1]) == pytest.approx(0)
    # Pearson's correlation of (1, 2, 3, 4) and (1, 2.5, 2.5, 4)
    tied = np.array([[1.0], [2.0], [2.0], [4.0]])
    assert correlate_ranks(scores[:, :1], tied) == pytest.approx(4.5 / (5 * 4.5) ** 0.5)


def test_an_action_without_ranks_does_not_count_and_one_that_lost_them_counts_as_none() -> None:
    scores = np.array([[0.1, 0.9], [0.2, 0.5], [0.3, 0.7]])
    flat = np.full(3, 0.5)
    assert correlate_ranks(np.c_[scores, flat], np.c_[scores, scores[:, 0]]) == pytest.approx(1)
    assert correlate_ranks(scores, np.c_[scores[:, 0], flat]) == pytest.approx(0.5)


def test_parts_are_stages_and_heads() -> None:
    names = ["backbone.slow.stem.bn/node_1", "rgb.backbone.fast.res2.0.a_bn/node_2"]
    names += ["backbone.laterals.0.bn/n", "backbone.blocks.3.mlp.fc1/n", "backbone.patch_embed/n"]
    names += ["backbone.slow.stem.bn/node_9", "flow.head/n", "alone"]
    nodes = [SimpleNamespace(op_type="Conv", name=name) for name in names]
    nodes.append(SimpleNamespace(op_type="Relu", name="backbone.slow.res5/relu"))
    network = SimpleNamespace(graph=SimpleNamespace(node=nodes))
    assert list_parts(network, "onnx") == [
        *("backbone.slow.stem", "rgb.backbone.fast.res2", "backbone.laterals.0"),
        *("backbone.blocks.3", "backbone.patch_embed", "flow.head", "alone"),
    ]


def plant(
    lost: dict[str, float], speedup: Callable[[list[str]], float]
) -> Callable[[list[str]], Trial]:
    """A network that loses a little of its ranking by each part that is in integers."""

    def run(left: list[str]) -> Trial:
        correlation = 1 - sum(loss for part, loss in lost.items() if part not in left)
        return Trial(left, correlation, speedup(left), None)

    return run


def test_nothing_is_left_in_float_where_nothing_hurts() -> None:
    def never() -> list[str]:
        raise AssertionError("parts are measured where the ranking holds")

    made = choose_trial(plant({"head": 0.001}, lambda left: 2.0), never, "OpenVINO")
    assert made.float_parts == []


def test_the_parts_that_hurt_are_left_in_float_and_no_others() -> None:
    lost = {"backbone.slow.stem": 0.004, "backbone.fast.stem": 0.05, "head": 0.02}
    order = ["backbone.fast.stem", "head", "backbone.slow.stem"]
    made = choose_trial(plant(lost, lambda left: 2.0 - len(left) / 4), lambda: order, "OpenVINO")
    assert made.float_parts == ["backbone.fast.stem", "head"]
    assert made.correlation == pytest.approx(0.996)


@pytest.mark.parametrize(
    ("loss", "speedup", "found"),
    [
        (0.0, lambda left: 0.27, r"ONNX Runtime on this CPU has 0\.27 times and 1\.0000: nothing"),
        (
            0.1,
            lambda left: 1.5 - len(left) / 4,
            r"1\.00 times and 0\.8\d+ with .*stem, .*stem in f",
        ),
        (0.1, lambda left: 1.5, r"1\.50 times and 0\.9000 with .*, head in float32: nothing"),
    ],
)
def test_what_does_not_pay_is_refused(
    loss: float, speedup: Callable[[list[str]], float], found: str
) -> None:
    lost = {"nothing that can be left out": loss} | dict.fromkeys(PARTS, loss / 3)
    with pytest.raises(
        ValueError, match=rf"expected at least 1\.1 times .* above 0\.99; .*{found}"
    ):
        choose_trial(plant(lost, speedup), lambda: PARTS, "ONNX Runtime")


def test_calibration_and_int8_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--config", "c.yaml", "--weights", "w.pt", "--format", "onnx", "--output", "m.onnx"]
    for wrong in (["--precision", "int8"], ["--calibrate", "c.yaml"]):
        with pytest.raises(SystemExit) as caught:
            parse_arguments([*given, *wrong])
        assert caught.value.code == 2
        assert "--calibrate: expected with --precision int8, and only" in capsys.readouterr().err


def test_keyframes_are_drawn_once_and_always_the_same() -> None:
    box = torch.tensor([[0.1, 0.1, 0.5, 0.9]])
    keyframes = [Keyframe("v", float(second), box, None, torch.ones(1)) for second in range(10)]
    keyframes.append(Keyframe("v", 99.0, box[:0], None, torch.ones(0)))
    split = Split("train", keyframes, None, set(), "gt")
    seconds = [
        [keyframe.timestamp for keyframe in part.keyframes]
        for part in draw_keyframes(split, 3, 4, 4)
    ]
    assert [len(part) for part in seconds] == [4, 4]
    assert len({*seconds[0], *seconds[1]}) == 8 and 99.0 not in seconds[0] + seconds[1]
    again = draw_keyframes(split, 3, 4, 4)[1].keyframes
    assert [keyframe.timestamp for keyframe in again] == seconds[1]
    assert [len(part.keyframes) for part in draw_keyframes(split, 3, 64, 64)] == [5, 5]


CONFIG = "configs/synthetic/slowfast.yaml"


def test_clips_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "import_nncf", lambda: None)
    args = Namespace(calibrate="configs/ava/slowfast_r50_8x8.yaml", config=CONFIG, overrides=[])
    with pytest.raises(ValueError, match=rf"model\.\w+: expected .*, as {CONFIG} has it, received"):
        operation._run_int8(args, load_config(CONFIG))


def test_without_nncf_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    args = Namespace(calibrate=CONFIG, config=CONFIG, overrides=[])
    with pytest.raises(ValueError, match=r'nncf is not installed: pip install "ava_det\[int8\]"'):
        operation._run_int8(args, load_config(CONFIG))


def test_a_network_that_a_runtime_cannot_run_is_refused() -> None:
    def fail(**inputs: Tensor) -> Tensor:
        raise RuntimeError("Non-zero status code\n  in the Resize operator")

    trials: Any = int8.Trials.__new__(int8.Trials)
    trials._format = "onnx"
    trials._held_out = [{}]
    with pytest.raises(ValueError, match=r"ONNX Runtime cannot run .* \(Non-zero .* code in the R"):
        trials._correlate(fail, 1)


def build_varied(*overrides: str) -> tuple[Config, nn.Module, list[dict[str, Tensor]]]:
    """A small SlowFast and 24 clips of different contrast, which it tells apart."""
    torch.manual_seed(0)
    small = ["model.depth=14", "model.width=16", "model.zero_init_last_gamma=false"]
    config = load_config(CONFIG, [*small, *overrides])
    model = build_model(config).eval()
    clips = []
    for contrast in torch.linspace(0.1, 3, 24).tolist():
        clip = draw_inputs(config, 1, 2)
        clips.append({key: x if key == "rois" else x * contrast for key, x in clip.items()})
    return config, model, clips


def quantize(
    model: nn.Module,
    config: Config,
    clips: list[dict[str, Tensor]],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    speedup: float = 2.0,
) -> Trial:
    # how fast this machine is, is no matter of tests
    monkeypatch.setattr(int8.Trials, "_measure_speedup", lambda self, model: speedup)
    file_format = {suffix: name for name, suffix in SUFFIXES.items()}[path.suffix]
    pytest.importorskip("nncf", reason="needs an extra: pip install 'ava_det[int8]'")
    pytest.importorskip({"onnx": "onnxruntime"}.get(file_format, file_format))
    facts = {"config": {}, "precision": "int8", "int8": {"clips": 12}}
    checks = list_checks(config, None)
    split = clips[::2], clips[1::2]
    return export_int8(model, checks, split, path, file_format, facts, range(80))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of NNCF, about libraries that it uses
@pytest.mark.parametrize("file_format", ["openvino", "onnx"])
def test_a_file_in_integers_gives_the_scores_of_the_network(
    file_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, model, clips = build_varied()
    path = tmp_path / f"model{SUFFIXES[file_format]}"
    made = quantize(model, config, clips, path, monkeypatch)
    assert (made.float_parts, made.correlation > 0.99) == ([], True)
    loaded = load_exported(path, file_format, CPU)
    about = loaded.facts["int8"]
    assert about["clips"] == 12 and about["float_parts"] == [] and about["speedup"] == 2.0
    assert about["rank_correlation"] == pytest.approx(made.correlation, abs=1e-4)
    with torch.inference_mode():
        expected = torch.cat([model(**clip) for clip in clips])
        received = torch.cat([loaded(**clip) for clip in clips])
    assert correlate_ranks(expected.numpy(), received.numpy()) > 0.99
    assert float((expected - received).abs().max()) > 1e-4  # or nothing is in integers
    weights = path.with_suffix(".bin") if file_format == "openvino" else path
    assert weights.stat().st_size < 0.45 * 4 * sum(one.numel() for one in model.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_part_that_hurts_stays_in_float(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One feature of the head, which no action reads, is so large that all others round to zero."""

    class Overloaded(nn.Linear):
        def forward(self, features: Tensor) -> Tensor:
            large = 1e4 + features[:, :1]
            return super().forward(torch.cat([large, features], dim=1))

    config, model, clips = build_varied()
    head: Any = model.head
    plain = head.projection
    head.projection = Overloaded(plain.in_features + 1, plain.out_features)
    with torch.no_grad():
        head.projection.weight.copy_(F.pad(plain.weight, (1, 0)))
    made = quantize(model, config, clips, tmp_path / "model.xml", monkeypatch)
    assert made.float_parts == ["head"]
    assert load_exported(tmp_path / "model.xml", "openvino", CPU).facts["int8"]["float_parts"] == [
        "head"
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_what_was_refused_leaves_an_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, model, clips = build_varied()
    for name in ("model.xml", "model.bin"):
        (tmp_path / name).write_text("an earlier file")
    with pytest.raises(ValueError, match=r"OpenVINO on this CPU has 0\.90 times"):
        quantize(model, config, clips, tmp_path / "model.xml", monkeypatch, speedup=0.9)
    with pytest.raises(ValueError, match=r"expected held-out clips with at least 20 boxes.* 10"):
        quantize(model, config, clips[:10], tmp_path / "model.xml", monkeypatch)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"an earlier file"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]
