"""Training for long does not grow: memory of the process that trains and of those that read for
it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from ava_det.data import dataset
from ava_det.training import loop

RunTool = Callable[..., tuple[int, str, str]]
QUARTER = 3  # epochs: the first quarter opens decoders and fills what allocators keep


@pytest.fixture(autouse=True)
def _one_video_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that decoders come and go, as they do where there are many videos."""
    monkeypatch.setattr(dataset, "NUM_OPEN_VIDEOS", 1)


def measure_growth(run_tool: RunTool, arguments: list[str], folder: Path) -> float:
    """Of a run in which two processes decode every clip anew: memory of its last quarter over that
    of its second.
    """
    long = [
        f"train.epochs={4 * QUARTER}",
        "train.num_workers=2",
        "data.cache_clips=false",
        "train.keep_checkpoints=0",
    ]
    long += ["data.train_short_side=[160,160]"]  # 8 MB a batch
    code, _, err = run_tool("train_ava", *arguments, *long)
    assert code == 0, err
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    held = [line["host_gb"] for line in lines if "host_gb" in line]
    if held[0] is None:
        pytest.skip("needs Linux")
    count = len(held) // 4
    return median(held[-count:]) / median(held[count : 2 * count])


@pytest.mark.slow
def test_host_memory_is_flat(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    assert measure_growth(run_tool, synthetic_config, tmp_path / "run") < 1.04


@pytest.mark.slow
def test_a_loop_that_kept_its_clips_would_be_seen(
    run_tool: RunTool, synthetic_config: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_step = loop.take_step
    kept = []

    def hoarding_step(model: Any, batch: Any, *rest: Any) -> Any:
        kept.append((batch, copy.deepcopy(batch)))  # pages of other things come and go
        return take_step(model, batch, *rest)

    monkeypatch.setattr(loop, "take_step", hoarding_step)
    assert measure_growth(run_tool, synthetic_config, tmp_path / "run") > 1.1
