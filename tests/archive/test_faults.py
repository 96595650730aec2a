"""Workers and drivers that are killed, bad and hanging videos, two drivers at once, a full disk."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ava_det.archive.process_workers import ProcessWorkers
from tests.support.fake_archive import FakeLoader, label, make_videos, read_results

ROOT = Path(__file__).resolve().parents[2]


def start_driver(
    videos: Path, out: Path, workers: int = 1, seconds: float = 0.0
) -> subprocess.Popen[bytes]:
    words = [str(videos), str(out), str(workers), str(seconds)]
    return subprocess.Popen([sys.executable, "-m", "tests.support.fake_archive", *words], cwd=ROOT)


def label_undisturbed(videos: Path, out: Path) -> dict[str, bytes]:
    label(videos, str(out), ProcessWorkers(FakeLoader(str(out)), 1), time_limit=0.5, retries=0)
    return read_results(out)


def wait_for_results(out: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (out / "results").is_dir() and len(list((out / "results").glob("[!.]*"))) >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"{count} results did not come")


def workers_of(pid: int) -> list[int]:
    command = ["pgrep", "-P", str(pid), "-f", "spawn_main"]
    found = subprocess.run(command, capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def is_running(pid: int) -> bool:
    """False for a zombie, which nobody may collect in a container."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


def test_bad_crashing_and_hanging_videos_are_listed_and_stop_nothing(tmp_path: Path) -> None:
    names = make_videos(tmp_path / "videos", 12, bad=1, crash=1, hang=1)
    out = tmp_path / "out"
    workers = ProcessWorkers(FakeLoader(str(out)), 1)
    tally = label(tmp_path / "videos", str(out), workers, time_limit=0.4, retries=0)
    assert tally.failed == {
        "bad0.mp4": "bad0.mp4: no video",
        "crash0.mp4": "its process ended with exit code 7",
        "hang0.mp4": "took longer than 0.4 s",
    }
    assert len(read_results(out)) == len(names) == tally.num_done
    assert sorted(path.name for path in (out / "errors").iterdir()) == [
        "bad0.mp4.json",
        "crash0.mp4.json",
        "hang0.mp4.json",
    ]


def test_two_drivers_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    make_videos(tmp_path / "videos", 20)
    out = tmp_path / "out"
    both = [start_driver(tmp_path / "videos", out, seconds=0.01) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    logged = "".join(path.read_text() for path in (out / "log").iterdir())
    assert logged.count('"id"') == 20  # each was done once
    assert read_results(out) == label_undisturbed(tmp_path / "videos", tmp_path / "other")


def test_a_driver_that_is_killed_is_gone_on_with(tmp_path: Path) -> None:
    make_videos(tmp_path / "videos", 30)
    out = tmp_path / "out"
    first = start_driver(tmp_path / "videos", out, seconds=0.02)
    wait_for_results(out, 5)
    workers = workers_of(first.pid)
    first.kill()
    first.wait()
    assert list((out / "claims").iterdir())  # they are free, because their process is dead
    second = start_driver(tmp_path / "videos", out)
    assert second.wait(60) == 0
    assert not list((out / "claims").iterdir())
    assert read_results(out) == label_undisturbed(tmp_path / "videos", tmp_path / "other")
    assert workers and not any(map(is_running, workers))  # they noticed


def test_a_driver_that_is_told_to_end_leaves_no_claim(tmp_path: Path) -> None:
    make_videos(tmp_path / "videos", 30)
    out = tmp_path / "out"
    driver = start_driver(tmp_path / "videos", out, seconds=0.05)
    wait_for_results(out, 2)
    driver.send_signal(signal.SIGINT)
    driver.wait(20)
    assert not list((out / "claims").iterdir()) and not list((out / "drivers").iterdir())


def test_a_file_size_limit_is_a_full_disk(tmp_path: Path) -> None:
    names = make_videos(tmp_path / "videos", 5)
    out = tmp_path / "out"
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        "from tests.support.fake_archive import main;"
        f"main([{str(tmp_path / 'videos')!r}, {str(out)!r}, '1', '0'])"
    )
    command = [sys.executable, "-c", limited]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert f"{out}: File too large; labeled: 0 videos, and the same command goes on" in run.stderr
    assert not read_results(out) and not (out / "errors").exists()
    tally = label(tmp_path / "videos", str(out), ProcessWorkers(FakeLoader(str(out)), 1))
    assert tally.num_done == len(names)


@pytest.mark.slow
def test_300_videos_ten_killed_workers_three_killed_drivers(tmp_path: Path) -> None:
    make_videos(tmp_path / "videos", 297, bad=1, crash=1, hang=1)
    undisturbed = label_undisturbed(tmp_path / "videos", tmp_path / "other")
    assert len(undisturbed) == 297
    out = tmp_path / "out"
    dice = random.Random(0)
    killed = 0
    for deaths in (4, 3, 3, 0):
        driver = start_driver(tmp_path / "videos", out, workers=2, seconds=0.05)
        for _ in range(deaths):
            time.sleep(0.4 + dice.random())
            workers = workers_of(driver.pid)
            if workers:
                os.kill(dice.choice(workers), signal.SIGKILL)
                killed += 1
        if deaths:
            time.sleep(dice.random())
            driver.kill()
        driver.wait(300)
    assert killed == 10 and driver.returncode == 0
    assert read_results(out) == undisturbed
    failed = sorted(path.name for path in (out / "errors").iterdir())
    assert failed == ["bad0.mp4.json", "crash0.mp4.json", "hang0.mp4.json"]


def test_a_claim_on_a_finished_video_goes_with_the_process_that_held_it(tmp_path: Path) -> None:
    make_videos(tmp_path / "videos", 2)
    out = tmp_path / "out"
    assert start_driver(tmp_path / "videos", out).wait(60) == 0
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claim = out / "claims" / next(iter(read_results(out))).removesuffix(".jsonl")
    claim.write_text(f"{socket.gethostname()}.{dead.pid}.0123abcd")
    assert start_driver(tmp_path / "videos", out).wait(60) == 0
    assert not claim.exists()
