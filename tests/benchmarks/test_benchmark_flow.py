"""The flow benchmark times what it names: shared flow is a fraction of each clip's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.decode_inputs import write_source

RunTool = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
def test_shared_flow_costs_its_share(tmp_path: Path, run_tool: RunTool) -> None:
    """A keyframe every 0.2 s and 16 fields 2 ticks apart: 3 of 16 pairs are new."""
    video = tmp_path / "video.mp4"
    write_source(video, 6, width=160, height=120)
    report = tmp_path / "report.json"
    status, out, _ = run_tool(
        "benchmark",
        *("flow", "--config", "configs/synthetic/slowfast.yaml", "--video", video, "--every", 0.2),
        *("--repeat", 1, "--json", report),
        *("model.backbone=slow_only", "model.streams=flow", "data.flow_gap=1"),
        *("model.num_slow_frames=16", "model.slow_stride=2"),
    )
    assert status == 0
    assert out.startswith("16 pairs a clip, a keyframe every 0.2 s, dis; CPU ms each")
    figures = json.loads(report.read_text())
    assert set(figures) == {"decoding", "flow shared", "flow alone", "network", "ratio"}
    assert figures["ratio"] > 2  # 5.3 but for what both do, on small frames


def test_a_network_without_flow_is_refused(run_tool: RunTool) -> None:
    status, _, error = run_tool("benchmark", "flow", "--config", "configs/synthetic/slowfast.yaml")
    assert status == 2
    assert "--config: expected a network of optical flow" in error
