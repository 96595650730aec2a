"""Ray actors as workers: the same bytes, whatever is killed; skipped where Ray is not installed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from ava_det.archive.process_workers import ProcessWorkers
from tests.support.fake_archive import FakeLoader, label, make_videos, read_results
from tests.support.tool_runs import RunTool, assert_mistake

ROOT = Path(__file__).resolve().parents[2]
HAS_RAY = find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="needs Ray")


def start_driver(videos: Path, out: Path, seconds: float) -> subprocess.Popen[bytes]:
    words = [str(videos), str(out), "2", str(seconds), "ray"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ADDRESS": ""}
    command = [sys.executable, "-m", "tests.support.fake_archive", *words]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def actors_of(out: Path, known: set[int]) -> list[int]:
    """The processes that loaded a labeler since, and are not known to be dead."""
    folder = out / "pids"
    return sorted({int(path.name) for path in folder.glob("[!.]*")} - known)


def label_undisturbed(videos: Path, out: Path) -> dict[str, bytes]:
    label(videos, str(out), ProcessWorkers(FakeLoader(str(out)), 1), time_limit=0.5, retries=0)
    return read_results(out)


@needs_ray
@pytest.mark.slow
def test_two_actors_give_the_bytes_of_one_process(tmp_path: Path) -> None:
    make_videos(tmp_path / "videos", 20, bad=1, crash=1)
    out = tmp_path / "out"
    assert start_driver(tmp_path / "videos", out, 0.05).wait(120) == 0
    assert read_results(out) == label_undisturbed(tmp_path / "videos", tmp_path / "other")
    failed = sorted(path.name for path in (out / "errors").iterdir())
    assert failed == ["bad0.mp4.json", "crash0.mp4.json"]
    # the one that crashes is tried three times, each time in another process
    assert len(actors_of(out, set())) >= 3


@needs_ray
@pytest.mark.slow
def test_300_videos_ten_killed_actors_three_killed_drivers(tmp_path: Path) -> None:
    make_videos(tmp_path / "videos", 297, bad=1, crash=1, hang=1)
    undisturbed = label_undisturbed(tmp_path / "videos", tmp_path / "other")
    assert len(undisturbed) == 297
    out = tmp_path / "out"
    dice = random.Random(0)
    dead: set[int] = set()
    killed = 0
    for deaths in (4, 3, 3, 0):
        driver = start_driver(tmp_path / "videos", out, 0.15)
        for _ in range(deaths):
            deadline = time.monotonic() + 60
            while not (alive := actors_of(out, dead)) and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(dice.random())
            victim = dice.choice(alive)
            os.kill(victim, signal.SIGKILL)
            dead.add(victim)
            killed += 1
        if deaths:
            time.sleep(dice.random())
            driver.kill()
            driver.wait()
            dead.update(actors_of(out, dead))
    assert driver.wait(300) == 0 and killed == 10
    assert read_results(out) == undisturbed
    failed = sorted(path.name for path in (out / "errors").iterdir())
    assert failed == ["bad0.mp4.json", "crash0.mp4.json", "hang0.mp4.json"]


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_a_sentence_says_how_to_install_it(run_tool: RunTool, tmp_path: Path) -> None:
    make_videos(tmp_path / "videos", 1)
    words = [tmp_path / "videos", "--output", tmp_path / "out", "--engine", "ray"]
    assert_mistake(run_tool("label", *words), "pip install 'ava_det[ray]'")


def test_an_address_is_rays(run_tool: RunTool, tmp_path: Path) -> None:
    words = [tmp_path, "--output", tmp_path / "out", "--address", "head:6379"]
    assert_mistake(run_tool("label", *words), "--address", "--engine ray")
