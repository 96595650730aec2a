"""A run that is stopped, killed or preempted anywhere goes on as if nothing had happened, on a toy
model.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ava_det.training.log import JsonLog
from ava_det.training.state import TrainingError
from ava_det.training.stop import Preempted, StopRequest
from tests.support.toy import ToyLoader, ToyMetrics, run


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Bit for bit: weights, optimizer, random state, position."""
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_two_and_two_epochs_are_four(tmp_path: Path) -> None:
    whole = run(tmp_path, 4, 4)
    torch.manual_seed(99)  # whatever happened in between
    halves = run(tmp_path, 4, 4, state=run(tmp_path, 2, 4))
    del whole["mean_aps"], halves["mean_aps"]  # the first half was scored at its end
    assert_same(whole, halves)


def test_any_checkpoint_leads_to_the_same_end(tmp_path: Path) -> None:
    """One is written after every step, and one more with each evaluation."""
    saved: list[dict[str, Any]] = []
    torch.manual_seed(1)
    whole = run(tmp_path, 3, 3, save_every=0, eval_every=1, saved=saved)
    assert len(saved) == 9 + 3
    for state in saved:
        torch.manual_seed(99)
        assert_same(run(tmp_path, 3, 3, state=state, eval_every=1), whole)


def test_an_evaluation_that_was_due_is_made_up_for_and_never_twice(tmp_path: Path) -> None:
    scored: list[int] = []

    def evaluate(_: nn.Module) -> ToyMetrics:
        scored.append(len(scored))
        return ToyMetrics(0.5)

    saved: list[dict[str, Any]] = []
    run(tmp_path, 2, 2, eval_every=1, saved=saved, evaluate=evaluate)
    assert len(scored) == 2
    before, after = (
        next(s for s in saved if s["epoch"] == 1 and len(s["mean_aps"]) == n) for n in (0, 1)
    )
    run(tmp_path, 2, 2, eval_every=1, state=before, evaluate=evaluate)
    assert len(scored) == 4
    run(tmp_path, 2, 2, eval_every=1, state=after, evaluate=evaluate)
    assert len(scored) == 5


def test_an_epoch_of_other_batches_cannot_go_on_in_its_middle(tmp_path: Path) -> None:
    saved: list[dict[str, Any]] = []
    run(tmp_path, 1, 1, save_every=0, saved=saved)

    class Longer(ToyLoader):
        def __len__(self) -> int:
            return 5

    with pytest.raises(
        TrainingError, match=r"middle of an epoch of 3 batches.*received an epoch of 5"
    ):
        run(tmp_path, 1, 1, state=saved[0], loader=Longer())


@pytest.fixture(autouse=True)
def _python_answers_ctrl_c() -> Iterator[None]:
    """It is ignored where tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 0), ("SIGUSR1", 0), ("SIGINT", 130)])
def test_a_signal_saves_after_its_step(tmp_path: Path, name: str, code: int) -> None:
    class Interrupting(ToyLoader):
        def __iter__(self) -> Any:
            for index, batch in enumerate(super().__iter__()):
                if (self.epoch, index) == (1, 1):
                    os.kill(os.getpid(), getattr(signal, name))
                yield batch

    torch.manual_seed(5)
    whole = run(tmp_path, 2, 2)
    saved: list[dict[str, Any]] = []
    torch.manual_seed(5)
    expected = pytest.raises(Preempted, match=f"stopped by {name} at step 5.*--resume")
    with expected as stopped, StopRequest().listening() as stop:
        run(tmp_path, 2, 2, loader=Interrupting(), saved=saved, stop=stop)
    assert stopped.value.exit_code == code
    assert (saved[-1]["epoch"], saved[-1]["batch"]) == (1, 2)
    assert_same(run(tmp_path, 2, 2, state=saved[-1]), whole)


def test_a_signal_during_an_evaluation_stops_at_once(tmp_path: Path) -> None:
    def evaluate(_: nn.Module) -> ToyMetrics:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not reached")

    saved: list[dict[str, Any]] = []
    before = signal.getsignal(signal.SIGTERM)
    with (
        pytest.raises(Preempted, match=r"between steps.*--resume"),
        StopRequest().listening() as stop,
    ):
        run(tmp_path, 1, 1, evaluate=evaluate, saved=saved, stop=stop)
    assert saved[-1]["epoch"] == 1
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_before_the_first_step_promises_no_checkpoint() -> None:
    with (
        pytest.raises(Preempted, match=r"^stopped by SIGINT before the first step$"),
        StopRequest().listening(),
    ):
        signal.raise_signal(signal.SIGINT)


def test_a_second_ctrl_c_does_not_wait_for_the_step() -> None:
    with StopRequest().listening() as stop:
        stop.in_steps = True
        signal.raise_signal(signal.SIGINT)
        assert stop.received == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_stays_ignored_in_the_background() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequest().listening() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.received is None
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_resumed_log_has_no_line_twice(tmp_path: Path) -> None:
    log = JsonLog(tmp_path / "log.jsonl")
    for step in (1, 2, 3):
        log.write(step=step, epoch=step / 2, loss=1.0)
    log.write(epoch=1, mAP=0.5)
    log.write(epoch=2, mAP=0.6)
    with open(log.path, "a") as file:
        file.write('{"step": 4, "lo')  # a crash in the middle of a line
    log.cut_after(2, evaluated={1: 0.5})
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [(line.get("step"), line.get("mAP")) for line in lines] == [
        (1, None),
        (2, None),
        (None, 0.5),
    ]
    log.write(loss=float("nan"))
    assert json.loads(log.path.read_text().splitlines()[-1]) == {"loss": None}


def test_a_disk_that_is_full_is_said_with_the_name_of_the_log() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        JsonLog("/dev/full").write(loss=1.0)
