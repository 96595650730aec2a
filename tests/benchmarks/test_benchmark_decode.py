"""The decode benchmark times what it names, and says when a goal is missed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ava_det.video.file import VideoReader
from benchmarks import decode as benchmark_decode
from benchmarks.decode_inputs import prepare, write_jpegs, write_source

RunTool = Callable[..., tuple[int, str, str]]


def test_every_way_reads_its_clips_and_a_missed_goal_is_marked(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    write_source(video, 6, width=64, height=48)
    jpegs = write_jpegs(video, tmp_path / "jpegs" / "video")
    prepared = prepare(video, tmp_path)
    with VideoReader(prepared) as reader:
        assert reader.is_prepared
    assert len(list(jpegs.iterdir())) == 180
    ways = benchmark_decode.list_ways(video, jpegs, prepared, np.array([2.0, 3.0]))
    assert [way() for way in ways.values()] == [2] * len(ways)
    times = dict.fromkeys(ways, 1.0) | {"a seek for each keyframe": 6.0}
    ratios = benchmark_decode.compute_ratios(times, {"video": 1, "jpegs": 10, "prepared": 5}, 0.01)
    assert [ratio.reached for ratio in ratios] == [True, True, True, False, True, False, True]
    lines = list(benchmark_decode.describe(times, {"video": 10**6}, 6, ratios))
    assert [line.split("   ")[0].strip() for line in lines if "MISSED" in line] == [
        "random access / prepared random access",
        "size of the prepared form / JPEGs",
    ]


@pytest.mark.slow
def test_it_prints_the_ratios_and_writes_them(tmp_path: Path, run_tool: RunTool) -> None:
    figures = tmp_path / "figures.json"
    code, out, err = run_tool(
        "benchmark", "decode", "--seconds", 20, "--repeat", 1, "--clips", 200, "--json", figures
    )
    assert code == 0, err
    ratios = json.loads(figures.read_text())["ratios"]
    assert all(name in out for name in ratios)
    assert ratios["a seek for each keyframe / one pass"][0] > 3
    assert ratios["random access / prepared random access"][0] > 1.5
    assert ratios["size of the video / JPEGs"][2]
    assert ratios["memory growth"][2]


def test_a_short_video_is_refused(tmp_path: Path, run_tool: RunTool) -> None:
    video = tmp_path / "short.mp4"
    write_source(video, 2, width=64, height=48)
    code, _, err = run_tool("benchmark", "decode", "--video", video)
    assert code == 2
    assert "short.mp4: expected a video of at least 20 s" in err
