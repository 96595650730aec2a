"""The driver with workers that a test plays itself."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ava_det.archive import driver as driver_module
from ava_det.archive.manifest import Entry
from ava_det.archive.outcomes import Counts, result_name
from ava_det.archive.workers import Died, Done, Failed, Message, Ready
from ava_det.jobs.store import FolderStore
from tests.support.fake_archive import label, make_videos

FACTS = {"weights": "none"}


class PlayedWorkers:
    """Does in `wait` what a script says of each video: a message, "hang", or a result."""

    def __init__(self, output: Path, count: int, script: Mapping[str, list[Any]]) -> None:
        self.count = count
        self.log: list[tuple[object, ...]] = []
        self._store = FolderStore(output)
        self._script = script
        self._given: dict[int, list[Entry]] = defaultdict(list)
        self._starting: list[int] = []

    def start(self, number: int) -> None:
        self._starting.append(number)
        self.log.append(("start", number))

    def send(self, number: int, root: str, entry: Entry) -> None:
        self._given[number].append(entry)
        self.log.append(("send", number, Path(entry.path).stem))

    def stop(self, number: int) -> None:
        self._given[number] = []
        self.log.append(("stop", number))

    def close(self) -> None:
        self.log.append(("close",))

    def wait(self, seconds: float) -> Sequence[tuple[int, Message]]:
        messages: list[tuple[int, Message]] = [(one, Ready(FACTS)) for one in self._starting]
        self._starting = []
        for number, given in self._given.items():
            if given:
                steps = self._script.get(Path(given[0].path).stem, [])
                step = steps.pop(0) if steps else None
                if step == "hang":
                    steps.insert(0, step)
                    time.sleep(0.02)
                    continue
                entry = given.pop(0)
                if isinstance(step, Died):
                    self._given[number] = []
                if step is None:
                    self._store.write(result_name(entry.id), b"{}\n")
                    step = Done(Counts(1, 2, 0.5))
                messages.append((number, step))
        return messages


def play(
    tmp_path: Path, good: int, script: Mapping[str, list[Any]], count: int = 1, **options: Any
) -> tuple[PlayedWorkers, driver_module.Tally]:
    videos = tmp_path / "videos"
    if not videos.exists():
        make_videos(videos, good)
    workers = PlayedWorkers(tmp_path / "out", count, script)
    return workers, label(videos, str(tmp_path / "out"), workers, **options)


def read_errors(tmp_path: Path) -> dict[str, int]:
    files = (tmp_path / "out" / "errors").glob("*")
    return {one["path"]: one["attempts"] for one in (json.loads(f.read_text()) for f in files)}


def test_the_longest_go_first_and_a_worker_has_two(tmp_path: Path) -> None:
    workers, tally = play(tmp_path, 4, {})
    sent = [step[2] for step in workers.log[1:4]]
    assert workers.log[0] == ("start", 0) and sent == ["v003", "v002", "v001"]
    assert (tally.num_done, tally.num_keyframes, tally.num_persons) == (4, 4, 8)
    assert not list((tmp_path / "out" / "claims").iterdir())


def test_the_last_videos_are_shared_out_one_by_one(tmp_path: Path) -> None:
    workers, _ = play(tmp_path, 3, {}, count=3)
    sent = [step[1:] for step in workers.log if step[0] == "send"]
    assert sorted(sent) == [(0, "v002"), (1, "v001"), (2, "v000")]


def test_a_failed_video_is_tried_again_at_the_end_and_then_listed(tmp_path: Path) -> None:
    failing = [Failed("no video")] * 3
    workers, tally = play(tmp_path, 3, {"v002": failing, "v001": [Failed("not yet")]})
    sent = [step[2] for step in workers.log if step[0] == "send"]
    assert sent == ["v002", "v001", "v000", "v002", "v001", "v002"]
    assert tally.failed == {"cam2/v002.mp4": "no video"}
    assert read_errors(tmp_path) == {"cam2/v002.mp4": 3}
    again, tally = play(tmp_path, 3, {})
    assert not [step for step in again.log if step[0] == "send"]
    assert tally.failed == {"cam2/v002.mp4": "no video"} and tally.num_before == 2


def test_a_worker_that_dies_costs_an_attempt_at_its_first_video_alone(tmp_path: Path) -> None:
    workers, tally = play(tmp_path, 3, {"v002": [Died("killed")] * 3})
    assert workers.log.count(("start", 0)) == 4
    assert tally.failed == {"cam2/v002.mp4": "killed"} and tally.num_done == 2
    assert read_errors(tmp_path) == {"cam2/v002.mp4": 3}


def test_a_worker_that_dies_after_the_last_byte_has_done_its_video(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "out")

    class DiesLate(PlayedWorkers):
        def wait(self, seconds: float) -> Sequence[tuple[int, Message]]:
            messages = super().wait(seconds)
            died: list[tuple[int, Message]] = [
                (n, Died("killed") if isinstance(m, Done) else m) for n, m in messages
            ]
            for number, message in died:
                if isinstance(message, Died):
                    self._given[number] = []
            return died

    make_videos(tmp_path / "videos", 3)
    workers = DiesLate(tmp_path / "out", 1, {})
    tally = label(tmp_path / "videos", str(tmp_path / "out"), workers)
    assert tally.num_done == 3 and not tally.failed
    assert not list(store.names("errors"))


def test_a_video_that_hangs_fails_at_the_time_limit(tmp_path: Path) -> None:
    workers, tally = play(tmp_path, 2, {"v001": ["hang"]}, time_limit=0.05, retries=1)
    assert tally.failed == {"cam1/v001.mp4": "took longer than 0.05 s"} and tally.num_done == 1
    assert workers.log.count(("stop", 0)) == 2


def test_a_full_disk_ends_the_run_and_is_no_fault_of_the_video(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no space left; labeled: 1 video, and"):
        play(tmp_path, 3, {"v001": [Failed("no space left", is_full=True)]})
    assert not (tmp_path / "out" / "errors").exists()
    assert not list((tmp_path / "out" / "claims").iterdir())
    _, tally = play(tmp_path, 3, {})
    assert (tally.num_before, tally.num_done) == (1, 2)


def test_workers_of_another_run_are_refused_even_where_all_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tmp_path, 2, {})
    monkeypatch.setitem(FACTS, "weights", "others")
    with pytest.raises(ValueError, match=r'made with weights "none", .* received "others"'):
        play(tmp_path, 2, {})


def test_a_mistake_that_a_worker_finds_ends_the_run(tmp_path: Path) -> None:
    class Mistaken(PlayedWorkers):
        def wait(self, seconds: float) -> Sequence[tuple[int, Message]]:
            return [(0, Died("no such weights file", is_mistake=self.count == 1))]

    make_videos(tmp_path / "videos", 1)
    out = str(tmp_path / "out")
    with pytest.raises(ValueError, match="no such weights file"):
        label(tmp_path / "videos", out, Mistaken(tmp_path / "out", 1, {}))
    with pytest.raises(ChildProcessError, match="started 3 times: no such"):
        label(tmp_path / "videos", out, Mistaken(tmp_path / "out", 2, {}))


def test_videos_of_other_processes_are_waited_for_and_not_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "POLL", 0.01)
    out = FolderStore(tmp_path / "out")
    out.write("claims/cam1%2Fv001.mp4", b"elsewhere.7.0000")

    class Elsewhere(PlayedWorkers):
        turns = 0

        def wait(self, seconds: float) -> Sequence[tuple[int, Message]]:
            self.turns += 1
            # a sign of life, newer than ours
            out.write("drivers/elsewhere.7.0000", b"")
            if self.turns == 20:
                out.write(result_name("cam1%2Fv001.mp4"), b"theirs\n")
                out.remove("claims/cam1%2Fv001.mp4")
            time.sleep(0.01)
            return super().wait(seconds)

    out.write("drivers/elsewhere.7.0000", b"")
    make_videos(tmp_path / "videos", 2)
    workers = Elsewhere(tmp_path / "out", 1, {})
    tally = label(tmp_path / "videos", str(tmp_path / "out"), workers)
    assert (tally.num_done, tally.num_elsewhere) == (1, 1)
    assert out.read(result_name("cam1%2Fv001.mp4")) == b"theirs\n"
    assert not list(out.names("claims"))
