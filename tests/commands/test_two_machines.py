"""Two torchrun agents on loopback stand for two machines."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import load_checkpoint

RunTool = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.slow


def start_agents(arguments: list[str], folder: Path) -> list[subprocess.Popen[bytes]]:
    """One process each; what they say goes to agent_0.txt and agent_1.txt."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    meeting = [
        "--rdzv-backend",
        "c10d",
        "--rdzv-endpoint",
        f"127.0.0.1:{port}",
        "--local-addr",
        "127.0.0.1",
    ]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nnodes",
        "2",
        "--nproc-per-node",
        "1",
        *meeting,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    agents = []
    for index in range(2):
        with open(folder / f"agent_{index}.txt", "w") as log:
            agents.append(
                subprocess.Popen(
                    [*command, "-m", "ava_det.commands.train", *arguments],
                    env=environment,
                    stdout=log,
                    stderr=log,
                )
            )
    return agents


def test_two_machines_reach_the_weights_and_the_map_of_one(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    """Frozen statistics and no dropout; flips and jitter are each clip's own, and the ranks have
    unequal boxes.
    """
    common = [*synthetic_config, "train.freeze_bn=true", "model.dropout=0", "train.epochs=2"]
    # AdamW divides by gradients that may be rounding alone
    common += ["train.optimizer=sgd", "train.lr=0.05"]
    agents = start_agents([*common, f"output_dir={tmp_path}/two"], tmp_path)
    codes = [agent.wait(timeout=400) for agent in agents]
    assert codes == [0, 0], (tmp_path / "agent_0.txt").read_text()
    assert run_tool("train_ava", *common, f"output_dir={tmp_path}/one")[0] == 0
    one, two = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two")
    )
    assert two["mAP"] == pytest.approx(one["mAP"], abs=1e-4)
    assert two["num_keyframes"] == one["num_keyframes"]
    weights, others = (
        load_checkpoint(tmp_path / name / "checkpoints/last.pt")["model"] for name in ("one", "two")
    )
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, rtol=0, atol=1e-6)
    said = "".join((tmp_path / f"agent_{index}.txt").read_text() for index in range(2))
    # the line of the evaluation and the line of the end, both of rank 0
    assert said.count("frame mAP") == 2


def test_a_lost_machine_ends_the_other_within_a_minute_and_loses_no_checkpoint(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    common = [
        *synthetic_config,
        "train.epochs=400",
        "train.save_every=0",
        f"output_dir={tmp_path}/run",
    ]
    agents = start_agents(common, tmp_path)
    last = tmp_path / "run/checkpoints/last.pt"
    deadline = time.monotonic() + 300
    while not last.exists() and time.monotonic() < deadline:
        assert agents[0].poll() is None, (tmp_path / "agent_0.txt").read_text()
        time.sleep(0.1)
    workers = Path(f"/proc/{agents[1].pid}/task/{agents[1].pid}/children").read_text().split()
    lost_rank = "1" if b"RANK=1\0" in Path(f"/proc/{workers[0]}/environ").read_bytes() else "0"
    for process in (agents[1].pid, *map(int, workers)):
        os.kill(process, signal.SIGKILL)
    lost_at = time.monotonic()
    assert agents[0].wait(timeout=120) != 0
    assert time.monotonic() - lost_at < 60
    agents[1].wait()
    said = (tmp_path / "agent_0.txt").read_text()
    expected = f"error: lost rank {lost_rank} (killed" if lost_rank == "1" else "error: lost"
    assert next(line for line in said.splitlines() if line.startswith("error:")).startswith(
        expected
    )
    state = load_checkpoint(last)
    done = state["epoch"]
    code, _, err = run_tool("train_ava", *common, "--resume", f"train.epochs={done + 1}")
    assert code == 0, err
    assert load_checkpoint(last)["epoch"] == done + 1
