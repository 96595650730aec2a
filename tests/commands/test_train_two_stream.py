"""Training of two-stream networks by the commands, on the small synthetic set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ava_det.checkpoint import load_checkpoint

RunTool = Callable[..., tuple[int, str, str]]
STREAMS = ("model.streams=two_stream", "model.flow.backbone=slow_only", "model.flow.num_frames=2")


@pytest.mark.slow
@pytest.mark.parametrize(
    "joined",
    [
        (*STREAMS, "model.flow.scores=sigmoid"),
        (*STREAMS, "model.backbone=slow_only", "model.num_slow_frames=2", "model.flow.fusion=map"),
    ],
)
def test_both_streams_learn_and_are_scored_alike_by_both_tools(
    joined: tuple[str, ...], run_tool: RunTool, synthetic_config: list[str], tmp_path: Path
) -> None:
    arguments = [*synthetic_config, *joined]
    code, _, err = run_tool("train_ava", *arguments, "train.ema_decay=0.9")
    assert code == 0, err
    run = tmp_path / "run"
    first = json.loads((run / "metrics.json").read_text())
    weights = run / "checkpoints/last.pt"
    last, averaged = (
        load_checkpoint(run / f"checkpoints/{name}.pt")["model"] for name in ("last", "last_ema")
    )
    stems = [name for name in last if name.endswith("slow.stem.conv.weight")]
    assert len(stems) == 2  # of RGB and of flow
    assert all((last[name] != averaged[name]).any() for name in stems)
    again = [*arguments, f"output_dir={tmp_path}/again", "--weights", weights]
    code, _, err = run_tool("test_ava", *again)
    assert code == 0, err
    scored = json.loads((tmp_path / "again/metrics.json").read_text())
    assert scored["mAP"] == pytest.approx(first["mAP"], abs=1e-4)
