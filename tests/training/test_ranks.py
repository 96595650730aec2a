"""Two processes on one machine: they agree with one, and one that stops takes the other along with
a reason.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ava_det.cli import reports_mistakes
from ava_det.distributed import gather_objects, process_group, rank, rank_watch
from ava_det.training.stop import Preempted, StopRequest
from tests.support.ranks import be_rank, start_ranks
from tests.support.toy import ToyLoader, ToyMetrics, run

CPU = torch.device("cpu")


def _train(folder: Path) -> int:
    with process_group(CPU):
        assert gather_objects(rank()) == [0, 1]
        for lossy in (False, True):
            state = run(folder, 3, 3, frozen=True, loader=ToyLoader(lossy))
            if rank() == 0:
                torch.save(state["model"], folder / f"lossy_{lossy}.pt")
        _score_what_was_saved(folder)
        _resume_in_the_middle(folder)
    return 0


def _score_what_was_saved(folder: Path) -> None:
    scored: dict[str, Tensor] = {}

    def evaluate(model: nn.Module) -> ToyMetrics:
        scored.update(copy.deepcopy(model.state_dict()))
        return ToyMetrics(0.5)

    state = run(folder, 2, 2, evaluate=evaluate)
    first, second = gather_objects(scored)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        assert torch.equal(value, state["model"][name]), name


def _resume_in_the_middle(folder: Path) -> None:
    saved: list[dict[str, Any]] = []
    whole = run(folder, 2, 2, save_every=0, saved=saved)
    torch.testing.assert_close(run(folder, 2, 2, state=saved[3]), whole, rtol=0, atol=0)
    assert not torch.equal(whole["rng"][0]["cpu"], whole["rng"][1]["cpu"])
    if rank() == 0:
        torch.save(saved[3], folder / "middle.pt")


def test_two_ranks_equal_one_resume_exactly_and_score_what_was_saved(tmp_path: Path) -> None:
    """Equal with frozen statistics, no dropout, and clips of 1 to 3 boxes: the ranks have unequal
    numbers of them.

    Also where one of the ranks loses all clips of a step.
    """
    assert start_ranks(_train, tmp_path) == [(0, ""), (0, "")]
    for lossy in (False, True):
        alone = run(tmp_path, 3, 3, frozen=True, loader=ToyLoader(lossy))["model"]
        together = torch.load(tmp_path / f"lossy_{lossy}.pt", weights_only=True)
        for name, value in alone.items():
            torch.testing.assert_close(together[name], value, rtol=0, atol=1e-6)
    # one rank goes on where two have stopped
    state = torch.load(tmp_path / "middle.pt", weights_only=True)
    assert (state["epoch"], state["batch"], len(state["rng"])) == (1, 1, 2)
    assert run(tmp_path, 2, 2, state=state)["epoch"] == 2


class FailingLoader(ToyLoader):
    """In the second epoch the second rank stops in the way `fail` says."""

    fail: Callable[[], None]

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            if self.epoch == 1 and rank() == 1:
                type(self).fail()
            yield batch


def _run_tool(folder: Path, fail: Callable[[], None], epochs: int = 2) -> int:
    class Loader(FailingLoader):
        pass

    Loader.fail = staticmethod(fail)

    @reports_mistakes
    def main(argv: object = None) -> int:
        try:
            with StopRequest().listening() as stop, process_group(CPU):
                run(folder, epochs, epochs, loader=Loader(), stop=stop)
        except Preempted as stopped:
            print(stopped, file=sys.stderr)
        return 0

    return main()


def _raise_mistake() -> None:
    raise ValueError("clip 7 of the toy is green")


def _mistake(folder: Path) -> int:
    return _run_tool(folder, _raise_mistake)


def test_the_reason_of_the_first_rank_to_stop_is_printed_once(tmp_path: Path) -> None:
    (code, first_stderr), (failed, sentence) = start_ranks(_mistake, tmp_path)
    assert sentence == "error: clip 7 of the toy is green\n"
    assert (code, failed, first_stderr) == (2, 2, "")


def _killed(folder: Path) -> int:
    return _run_tool(folder, lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_a_killed_rank_ends_the_other_with_a_sentence(tmp_path: Path) -> None:
    begun = time.monotonic()
    (code, first_stderr), (failed, _) = start_ranks(_killed, tmp_path)
    assert (code, failed) == (2, -signal.SIGKILL)
    assert first_stderr.startswith("error: lost rank 1 (killed")
    assert first_stderr.count("\n") == 1
    assert time.monotonic() - begun < 60 + 30  # a minute, and the start of two processes


def _vanished(folder: Path) -> int:
    """As a machine that lost its power: the connection stays, nothing comes."""
    rank_watch.PATIENCE = 5.0
    return _run_tool(folder, lambda: os.kill(os.getpid(), signal.SIGSTOP))


@pytest.mark.slow
def test_a_rank_that_is_silent_ends_the_other_with_a_sentence(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    first, second = (
        context.Process(target=be_rank, args=(i, port, _vanished, tmp_path)) for i in range(2)
    )
    first.start()
    second.start()
    first.join(timeout=90)
    second.kill()
    second.join()
    assert first.exitcode == 2
    assert (tmp_path / "stderr_0").read_text().startswith("error: lost rank 1 (killed")


def _preempted(folder: Path) -> int:
    return _run_tool(folder, lambda: os.kill(os.getpid(), signal.SIGUSR1))


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all_after_the_same_step(tmp_path: Path) -> None:
    results = start_ranks(_preempted, tmp_path)
    assert [code for code, _ in results] == [0, 0]
    outputs = "".join(text for _, text in results)
    assert outputs.count("\n") == 1
    assert "at step 4; the state is saved, go on with --resume" in outputs
