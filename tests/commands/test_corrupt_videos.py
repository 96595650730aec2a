"""Broken videos among good ones: training and scoring go on without their clips, and say so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize("num_workers", [0, 2])
def test_broken_videos_cost_their_own_clips(
    run_tool: Callable[..., tuple[int, str, str]],
    synthetic_config: list[str],
    synthetic: Path,
    tmp_path: Path,
    num_workers: int,
) -> None:
    videos = shutil.copytree(synthetic / "videos", tmp_path / "videos")
    bad = [sorted(videos.glob(f"{split}_*.mp4"))[1] for split in ("train", "val")]
    for path in bad:
        path.write_bytes(b"not a video" * 50)
    settings = [
        f"data.video_dir={videos}",
        f"train.num_workers={num_workers}",
        "train.epochs=2",
        "data.cache_clips=0",
    ]
    code, _, err = run_tool("train_ava", *synthetic_config, *settings)
    assert code == 0, err
    named = [line for line in err.splitlines() if "cannot be opened" in line and "left out" in line]
    assert [path.stem in line for line, path in zip(named, bad, strict=True)] == [True, True]
    rows = (synthetic / "train.csv").read_text().splitlines()
    count = len({row.split(",")[1] for row in rows if row.startswith(bad[0].stem)})
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    left_out = next(line["left_out"] for line in log if "left_out" in line)
    assert list(left_out) == [bad[0].stem]
    assert 0 < left_out[bad[0].stem] <= count
    assert f"left out of training: {left_out[bad[0].stem]} clips of 1 video:" in err
    assert [bad[0].name in line["warning"] for line in log if "warning" in line] == [True]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert any(
        f"keyframes of {bad[1].stem} got no detections" in warning
        for warning in metrics["warnings"]
    )
    assert 0 <= metrics["mAP"] <= 1
    assert not any(
        bad[1].stem in row for row in (tmp_path / "run" / "detections.csv").read_text().splitlines()
    )
