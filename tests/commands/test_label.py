"""`ava-det label`: a folder to one result a video, the same as the demo's, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ava_det.operations import label as operation
from tests.support.inline_workers import InlineWorkers
from tests.support.precision_answers import WITH, WITHOUT, answer
from tests.support.tool_runs import RunTool, assert_mistake

ROOT = Path(__file__).resolve().parents[2]
Label = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(synthetic: Path, tmp_path: Path) -> Path:
    """Two videos of one name in two folders."""
    made = tmp_path / "videos"
    for index, source in enumerate(sorted((synthetic / "videos").glob("val_*.mp4"))[:2]):
        (made / f"cam{index}").mkdir(parents=True)
        shutil.copy(source, made / f"cam{index}" / "monday.mp4")
    return made


@pytest.fixture(autouse=True)
def _in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr(
            operation, "start_workers", lambda args: InlineWorkers(operation.describe_labeler(args))
        )


@pytest.fixture
def label(run_tool: RunTool, weights: Path, folder: Path, tmp_path: Path) -> Label:
    def run(*arguments: object, source: Path | None = folder) -> tuple[int, str, str]:
        given = ["--output", tmp_path / "out", "--weights", weights, "--detector", "motion"]
        given += ["--every", 2, "--threshold", 0.3, "data.min_person_score=0.1", *arguments]
        return run_tool("label", *([] if source is None else [source]), *given)

    return run


def test_results_are_the_demos_and_later_runs_go_on(
    label: Label, run_tool: RunTool, folder: Path, weights: Path, tmp_path: Path
) -> None:
    code, said, err = label()
    assert code == 0, err
    assert "2 videos: 2 labeled, 0 there before, 0 failed" in said
    demo = ["--video", folder, "--recursive", "--json", tmp_path / "demo", "--every", 2]
    demo += ["--threshold", 0.3, "--weights", weights, "--detector", "motion"]
    code, _, err = run_tool("demo", *demo, "data.min_person_score=0.1")
    assert code == 0, err
    for name in ("cam0/monday", "cam1/monday"):
        mine = tmp_path / "out" / "results" / f"{name.replace('/', '%2F')}.mp4.jsonl"
        records = [json.loads(line) for line in mine.read_text().splitlines()]
        theirs = (tmp_path / "demo" / f"{name}.jsonl").read_text().splitlines()
        assert {one.pop("video") for one in records} == {f"{name}.mp4"}
        assert [one | {"video": "monday"} for one in records] == [*map(json.loads, theirs)]
        assert any(person["actions"] for one in records for person in one["persons"])
    code, said, _ = label("--status")
    assert code == 0 and "2 videos: 2 labeled, 0 in work" in said
    assert_mistake(label("--every", "1"), "run.json", "every 2.0", "received 1.0")
    other = label("data.test_short_side=48")
    assert_mistake(other, "run.json", "config.data.test_short_side 32", "received 48")


def test_bad_videos_are_listed_and_changed_ones_done_again(
    label: Label, folder: Path, tmp_path: Path
) -> None:
    (folder / "bad.mp4").write_bytes(b"no video")
    code, said, err = label("--retries", "0", "--shard", "1/1")
    assert code == 1
    assert "3 videos: 2 labeled, 0 there before, 1 failed" in said
    assert "failed: bad.mp4: " in err and "errors" in err
    good = folder / "cam0" / "monday.mp4"
    before = sorted((tmp_path / "out" / "results").iterdir())
    shutil.copy(good, folder / "bad.mp4")
    shutil.copy(good, folder / "new.mp4")
    os.utime(good, (1, 1))
    code, said, err = label("--update")
    assert code == 0, err
    assert "1 new video, 2 changed, 0 gone" in err
    assert "4 videos: 3 labeled, 1 there before, 0 failed" in said
    assert set(before) < set((tmp_path / "out" / "results").iterdir())
    assert not list((tmp_path / "out" / "errors").iterdir())


def test_mistakes_end_with_a_sentence(
    label: Label, run_tool: RunTool, folder: Path, tmp_path: Path
) -> None:
    out = ["--output", tmp_path / "nowhere"]
    assert_mistake(run_tool("label", *out), "found no manifest.jsonl", "FOLDER")
    assert_mistake(run_tool("label", *out, "--update"), "--update", "FOLDER")
    assert_mistake(run_tool("label", folder, *out, "--shard", "4/3"), "I/N", "'4/3'")
    (tmp_path / "empty").mkdir()
    assert_mistake(run_tool("label", tmp_path / "empty", *out), "holds no video")
    assert not (tmp_path / "nowhere").exists()
    code, said, _ = label("--status")
    assert code == 0 and "2 videos: 0 labeled, 0 in work, 0 with failed attempts, 2 to do" in said
    other = tmp_path / "others"
    other.mkdir()
    assert_mistake(run_tool("label", other, "--output", tmp_path / "out"), "cam0/monday.mp4")
    assert_mistake(label("--weights", tmp_path / "none.pt"), "none.pt", "no such weights file")
    assert not (tmp_path / "out" / "run.json").exists()


@pytest.mark.slow
def test_processes_of_torchrun_take_what_no_other_has(
    folder: Path, weights: Path, tmp_path: Path
) -> None:
    (folder / "bad.mp4").write_bytes(b"no video")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", "29613", "-m", "ava_det", "label", str(folder)]
    command += ["--output", str(tmp_path / "out"), "--weights", str(weights), "--every", "2"]
    command += ["--detector", "motion", "--retries", "0", "device=cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert run.returncode == 1
    assert run.stdout.count("3 videos: ") == 1
    assert len(list((tmp_path / "out" / "results").glob("*.jsonl"))) == 2, run.stderr
    assert [path.name for path in (tmp_path / "out" / "errors").iterdir()] == ["bad.mp4.json"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_video_that_hangs_costs_its_time_limit_and_no_other_video(
    label: Label, folder: Path, tmp_path: Path
) -> None:
    hanging = folder / "hanging"  # pictures that nobody ever writes
    hanging.mkdir()
    for index in range(3):
        os.mkfifo(hanging / f"{index:06d}.jpg")
    code, said, err = label("--time-limit", "10", "--retries", "0")
    assert code == 1, err
    assert "3 videos: 2 labeled, 0 there before, 1 failed" in said
    assert "failed: hanging: took longer than 10 s" in err
    assert len(list((tmp_path / "out" / "results").glob("*.jsonl"))) == 2
    assert not any((tmp_path / "out" / "claims").iterdir())


def test_workers_agree_on_a_precision_that_is_measured(
    label: Label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, WITHOUT)
    assert label("precision=auto")[0] == 0
    assert (tmp_path / "out" / "precision.txt").read_text() == "fp32"
    answer(monkeypatch, WITH)
    (first, *_) = (tmp_path / "out" / "results").iterdir()
    content = first.read_bytes()
    first.unlink()
    code, said, err = label("precision=auto")
    assert code == 0 and "1 labeled, 1 there before" in said, err
    assert first.read_bytes() == content
    assert_mistake(label("precision=bf16"), "run.json", 'config.precision "fp32"', '"bf16"')
