"""Folders of videos: files for each, bad ones passed over, gone on with, shared out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import pytest

from ava_det.video.writer import VideoWriter
from tests.support.tool_runs import RunTool, assert_mistake

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(synthetic: Path, tmp_path: Path) -> Path:
    """Two good videos, one that is none."""
    made = tmp_path / "videos"
    made.mkdir()
    for index, source in enumerate(sorted((synthetic / "videos").glob("val_*.mp4"))[:2]):
        (made / f"v{index}.mp4").write_bytes(source.read_bytes())
    (made / "broken.mp4").write_bytes(b"not a video")
    return made


def test_a_folder_is_a_job_that_can_be_gone_on_with(
    demo: RunTool,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    results = tmp_path / "results"
    command = [
        "--video",
        folder,
        "--output",
        out,
        "--json",
        results,
        "--csv",
        results,
        "--view",
        tmp_path / "pages",
        "--end",
        "3",
    ]
    code, said, err = demo(*command)
    assert code == 1, err
    assert "3 videos: 2 processed, 0 there before, 1 passed over" in said
    assert "passed over" in err and "broken.mp4" in err
    assert sorted(path.name for path in results.iterdir()) == [
        "demo_settings.json",
        "v0.csv",
        "v0.jsonl",
        "v1.csv",
        "v1.jsonl",
    ]
    for name in ("v0", "v1"):
        with av.open(str(out / f"{name}.mp4")) as container:
            assert container.streams.video[0].frames == 45
        assert json.loads((results / f"{name}.jsonl").read_text().splitlines()[0])["video"] == name
    index = (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")
    assert 'href="v0.html"' in index and 'href="v1.html"' in index
    assert 'href="broken' not in index
    stamp = (out / "v0.mp4").stat().st_mtime_ns
    (results / "v1.jsonl").unlink()
    (folder / "broken.mp4").unlink()
    code, said, err = demo(*command)
    assert code == 0, err
    assert "2 videos: 1 processed, 1 there before, 0 passed over" in said
    assert (out / "v0.mp4").stat().st_mtime_ns == stamp
    assert_mistake(demo(*command, "--every", "0.5"), "--every", "another")
    assert_mistake(demo("--video", folder, "--output", tmp_path / "o.mp4"), "--output", "folder")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    (out / "v1.mp4").unlink()
    monkeypatch.setattr(VideoWriter, "write_planes", stop)
    code, _, _ = demo(*command)
    assert code == 130
    assert not (out / "v1.mp4").exists() and not list(out.glob(".*"))


def start_job(folder: Path, results: Path, weights: Path, *launcher: str) -> subprocess.Popen[str]:
    options = ["--video", str(folder), "--json", str(results), "--weights", str(weights)]
    command = [str(ROOT / "tools/demo.py"), *options, "--detector", "motion", "--end", "3"]
    return subprocess.Popen(
        [sys.executable, *launcher, *command, "device=cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
    )


@pytest.mark.slow
def test_processes_of_torchrun_share_a_job(folder: Path, tmp_path: Path, weights: Path) -> None:
    results = tmp_path / "results"
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29611"]
    run = start_job(folder, results, weights, *torchrun)
    said, error = run.communicate()
    assert run.returncode == 1, error
    assert said.count("3 videos: 2 processed, 0 there before, 1 passed over") == 1
    assert sorted(path.name for path in results.glob("*.jsonl")) == ["v0.jsonl", "v1.jsonl"]


@pytest.mark.slow
def test_the_same_command_twice_at_once_shares_a_job(
    folder: Path, tmp_path: Path, weights: Path
) -> None:
    for index in range(2, 8):
        (folder / f"v{index}.mp4").write_bytes((folder / "v0.mp4").read_bytes())
    results = tmp_path / "results"
    runs = [start_job(folder, results, weights) for _ in range(2)]
    processed = elsewhere = before = 0
    for run in runs:
        said, error = run.communicate()
        assert run.returncode == 1, error
        found = re.search(
            r"9 videos: (\d) processed, (?:(\d) by other processes, )?(\d) there before, 1 passed",
            said,
        )
        assert found is not None, said
        processed += int(found[1])
        elsewhere += int(found[2] or 0)
        before += int(found[3])
    assert processed == 8 and elsewhere + before == 8
    assert len(list(results.glob("v?.jsonl"))) == 8
    assert not (results / ".work").exists()
