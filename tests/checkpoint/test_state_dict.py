"""Weights in any container and behind any prefix load; what does not fit is described in brief; NaN
is refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ava_det.checkpoint import WeightsError, find_container, load_weights, require_finite
from ava_det.models.action_detector import ActionDetector
from ava_det.models.roi_head import RoIHead
from ava_det.models.slowfast import SlowFast
from tests.support.foreign_names import (
    to_mmaction2,
    to_pyslowfast,
    to_pytorchvideo,
    without_counters,
)

State = dict[str, Tensor]


def build(
    num_classes: int = 5, backbone: str = "slowfast", lateral_norm: bool = True, **values: int
) -> ActionDetector:
    sizes = {"depth": 14, "width": 8, "alpha": 4, "beta_inv": 4, **values}
    network = SlowFast(backbone, lateral_norm=lateral_norm, **sizes)  # type: ignore[arg-type]
    return ActionDetector(network, RoIHead(network.out_channels, num_classes, 16))


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(1)
    return {
        name: torch.rand_like(t) if t.is_floating_point() else t
        for name, t in build().state_dict().items()
    }


def behind(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def beside_head(prefix: str, state: State) -> State:
    """A backbone with a prefix of its own, the head without."""
    return {
        name if name.startswith("head") else prefix + name: tensor for name, tensor in state.items()
    }


def foreign(rename: Callable[[str], str], state: State) -> State:
    return {rename(name): tensor for name, tensor in state.items()}


FORMS: dict[str, Callable[[State], dict[str, Any]]] = {
    "Lightning": lambda s: {
        "state_dict": {**behind("model.", s), "criterion.pos_weight": torch.ones(3)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
    },
    "Lightning of two parts": lambda s: {
        "state_dict": beside_head("backbone.", foreign(to_pyslowfast, s))
    },
    "a part of Lightning": lambda s: {"state_dict": behind("backbone.", s)},
    "torch.compile": lambda s: {"model": behind("_orig_mod.", s)},
    "compiled in parallel": lambda s: behind("module._orig_mod.", s),
    "a compiled part": lambda s: {
        name.replace("backbone.", "backbone._orig_mod."): t for name, t in s.items()
    },
    "DeepSpeed": lambda s: {"module": s, "optimizer": {"a": torch.ones(3)}},
    "FSDP": lambda s: behind("_fsdp_wrapped_module.", s),
    "net": lambda s: {"net": s, "epoch": 3, "best": torch.tensor(0.5)},
    "model_state": lambda s: {"model_state": behind("module.", foreign(to_pyslowfast, s))},
    "average alone": lambda s: {"state_dict_ema": s},
    "average of a module": lambda s: {"ema": {"module": behind("module.", s)}},
    "torch's average": lambda s: {"n_averaged": torch.tensor(3), **behind("module.", s)},
    "nested": lambda s: {"checkpoint": {"model": {"state_dict": s}}},
    "a key of one's own": lambda s: {"student": s, "iteration": torch.tensor(3)},
    "pytorchvideo in a net": lambda s: {
        "state_dict": behind(
            "net.", foreign(lambda n: to_pytorchvideo(n, two_pathways=True, detection=True), s)
        )
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_load_from_where_frameworks_leave_them(
    tmp_path: Path, state: State, form: str
) -> None:
    torch.save(FORMS[form](state), tmp_path / "w.pt")
    model = build()
    report = load_weights(model, tmp_path / "w.pt")
    assert (report.missing, report.unexpected, report.wrong_shape) == ([], [], [])
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_the_report_says_what_was_guessed(tmp_path: Path, state: State) -> None:
    torch.save(FORMS["Lightning"](state), tmp_path / "w.pt")
    said = str(load_weights(build(), tmp_path / "w.pt"))
    assert "from 'state_dict' behind 'model.'" in said
    assert "1 entries beside them left out: criterion.pos_weight" in said
    torch.save({"state_dict_ema": state}, tmp_path / "w.pt")
    assert "from 'state_dict_ema'" in str(load_weights(build(), tmp_path / "w.pt"))


def test_the_plain_weights_come_before_their_average(tmp_path: Path, state: State) -> None:
    other = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    container, entries = find_container({"model_ema": other, "model": state})
    assert container == "model"
    assert torch.equal(entries["head.projection.weight"], state["head.projection.weight"])


def test_two_networks_under_keys_nobody_knows_are_not_guessed_at(
    tmp_path: Path, state: State
) -> None:
    torch.save({"student": state, "teacher": state}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"several networks inside \(student, teacher\)"):
        load_weights(build(), tmp_path / "w.pt")


STRANGERS = {
    "vision transformer": {
        f"backbone.blocks.{i}.attn.qkv.weight": torch.zeros(2) for i in range(300)
    },
    "Swin": {f"layers.0.blocks.{i}.attn.qkv.weight": torch.zeros(2) for i in range(300)},
    "X3D": {
        f"blocks.{i}.res_blocks.0.branch2.conv_b.conv.weight": torch.zeros(2) for i in range(300)
    },
    "YOLO": {f"model.{i}.conv.weight": torch.zeros(2) for i in range(300)},
    "person detector of Detectron2": {"roi_heads.box_head.fc1.weight": torch.zeros(2)},
    "of no known network": {f"thing{i}.weight": torch.zeros(2) for i in range(300)},
}


@pytest.mark.parametrize("family", STRANGERS)
def test_another_network_is_named_in_a_few_lines(tmp_path: Path, family: str) -> None:
    torch.save({"model": STRANGERS[family]}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=family) as caught:
        load_weights(build(), tmp_path / "w.pt")
    assert "entries of 'model'" in str(caught.value)
    assert len(str(caught.value)) < 10 * 100


def test_another_size_is_described_in_keys_of_the_config(tmp_path: Path) -> None:
    torch.save({"model": build(num_classes=7, depth=26, width=16).state_dict()}, tmp_path / "w.pt")
    with pytest.raises(WeightsError) as caught:
        load_weights(build(), tmp_path / "w.pt")
    said = str(caught.value)
    assert (
        "the file is of model.depth=26, model.width=16, model.num_classes=7, the model has 14, 8, 5"
        in said
    )
    assert len(said) < 10 * 100
    torch.save({"model": build(backbone="slow_only").state_dict()}, tmp_path / "w.pt")
    with pytest.raises(
        WeightsError, match=r"the file is of model\.backbone=slow_only, the model has slowfast"
    ):
        load_weights(build(), tmp_path / "w.pt")


@pytest.mark.parametrize(("value", "kind"), [(float("nan"), "NaN"), (float("inf"), "infinity")])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_what_is_no_number_is_refused_by_name(
    tmp_path: Path, state: State, value: float, kind: str, prefix: str
) -> None:
    faulty = {name: tensor.clone() for name, tensor in state.items()}
    faulty["backbone.slow.res3.blocks.0.a_bn.running_var"][2] = value
    torch.save({"state_dict": behind(prefix, faulty)}, tmp_path / "w.pt")
    model = build()
    before = model.state_dict()["head.projection.weight"].clone()
    key = rf"{prefix}backbone\.slow\.res3\.blocks\.0\.a_bn\.running_var"
    name = rf"w\.pt: {key} holds {kind} \(1 of \d+ values\)"
    with pytest.raises(WeightsError, match=name):
        load_weights(model, tmp_path / "w.pt")
    assert torch.equal(model.state_dict()["head.projection.weight"], before)


def test_a_number_is_looked_for_in_any_nesting() -> None:
    require_finite(
        {"state": {3: {"exp_avg": torch.ones(2), "step": torch.tensor(4)}}, "groups": [{"lr": 0.1}]}
    )
    with pytest.raises(ValueError, match=r"^optimizer\.state\.3\.exp_avg holds NaN"):
        require_finite({"state": {3: {"exp_avg": torch.tensor([1, torch.nan])}}}, "optimizer")


def mmaction2_with_background(state: State, background: float) -> State:
    """Five rows: the background and four actions."""
    entries = {
        to_mmaction2(name, two_pathways=True): tensor
        for name, tensor in without_counters(state).items()
    }
    for name in [name for name in entries if "fc_cls" in name]:
        entries[name] = torch.cat(
            [torch.full_like(entries[name][:1], background), entries[name][:4]]
        )
    return entries


def test_mmaction2_s_background_is_no_action_whatever_num_classes_says(tmp_path: Path) -> None:
    torch.manual_seed(1)
    plain = {
        name: torch.rand_like(t)
        for name, t in build(5, lateral_norm=False).state_dict().items()
        if t.ndim
    }
    torch.save({"state_dict": mmaction2_with_background(plain, 0.0)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"row 0 is the background: model\.num_classes=4"):
        load_weights(build(5, lateral_norm=False), tmp_path / "w.pth")
    model = build(4, lateral_norm=False)
    load_weights(model, tmp_path / "w.pth")
    assert torch.equal(
        model.state_dict()["head.projection.bias"], plain["head.projection.bias"][:4]
    )
    # a head trained without a background class has no such row
    torch.save({"state_dict": mmaction2_with_background(plain, 0.3)}, tmp_path / "w.pth")
    model = build(5, lateral_norm=False)
    load_weights(model, tmp_path / "w.pth")
    assert float(model.state_dict()["head.projection.bias"][0]) == pytest.approx(0.3)


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema"])
def test_an_average_that_is_not_taken_is_reported(
    state: State, tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    path = tmp_path / "w.pt"
    zeros = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    torch.save({"state_dict": state, key: zeros}, path)
    model = build()
    load_weights(model, path)
    assert torch.equal(model.state_dict()["head.projection.bias"], state["head.projection.bias"])
    (said,) = caplog.messages
    assert f"of 'state_dict' are taken, not their average over training ({key!r})" in said


def test_an_average_in_the_same_container_is_reported(
    state: State, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "w.ckpt"
    mixed = behind("model.", state) | behind("model_ema.", state)
    torch.save({"state_dict": mixed}, path)
    load_weights(build(), path)
    assert "not their average over training ('model_ema')" in caplog.text


def test_weights_alone_say_nothing_of_averages(
    state: State, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for content in ({"state_dict_ema": state}, {"model": state, "ema": None}, state):
        torch.save(content, tmp_path / "w.pt")
        load_weights(build(), tmp_path / "w.pt")
    assert caplog.messages == []


def test_the_arguments_of_a_training_beside_the_weights_are_passed_over(
    state: State, tmp_path: Path
) -> None:
    arguments = argparse.Namespace(lr=0.1, output=Path("out"), nested=argparse.Namespace(a=[1]))
    torch.save({"model": state, "args": arguments}, tmp_path / "w.pth")
    assert load_weights(build(), tmp_path / "w.pth").missing == []
