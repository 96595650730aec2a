"""Claims: one process has a video, and a dead one has none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ava_det.jobs.claims import Claims
from ava_det.jobs.store import FolderStore


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_has_it_and_releases_it_at_the_end(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with Claims(store) as first, Claims(store) as second:
        assert first.claim("a") and second.claim("b")
        assert not second.claim("a") and not first.claim("b")
        assert names(tmp_path / "claims") == ["a", "b"]
        first.release("a")
        assert second.claim("a")
    assert not names(tmp_path / "claims") and not names(tmp_path / "drivers")


def test_of_many_at_once_one_has_it(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    everyone = [Claims(store) for _ in range(8)]
    for one in everyone:
        one.__enter__()
    with ThreadPoolExecutor(8) as pool:
        for video in map(str, range(50)):
            won = list(pool.map(lambda one, video=video: one.claim(video), everyone))
            assert sum(won) == 1
    for one in everyone:
        one.__exit__(None, None, None)


def test_a_dead_process_of_this_machine_has_nothing(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    store = FolderStore(tmp_path)
    owner = f"{socket.gethostname()}.{dead.pid}.0000"
    store.write(f"drivers/{owner}", b"")
    store.write("claims/a", owner.encode())
    with Claims(store) as mine:
        assert mine.claim("a")


@pytest.mark.parametrize(("silent", "is_free"), [(59.0, False), (62.0, True)])
def test_another_machine_is_dead_after_a_minute(
    tmp_path: Path, silent: float, is_free: bool
) -> None:
    store = FolderStore(tmp_path)
    owner = "elsewhere.7.0000"
    store.write("claims/a", owner.encode())
    with Claims(store) as mine:
        store.write(f"drivers/{owner}", b"")
        moment = time.time() - silent
        os.utime(tmp_path / "drivers" / owner, (moment, moment))
        os.utime(tmp_path / "drivers" / mine.name)
        assert mine.claim("a") is is_free


def test_a_process_gives_signs_of_life(tmp_path: Path) -> None:
    with Claims(FolderStore(tmp_path), lease=0.2) as mine:
        sign = tmp_path / "drivers" / mine.name
        os.utime(sign, (0, 0))
        deadline = time.monotonic() + 10
        while sign.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert sign.stat().st_mtime > 0


class InterruptedStore(FolderStore):
    """Calls `meanwhile` once, after the first reading of a claim."""

    meanwhile: Callable[[], object] | None = None

    def read(self, name: str) -> bytes:
        content = super().read(name)
        act, self.meanwhile = self.meanwhile, None
        if act is not None:
            act()
        return content


def test_of_two_that_see_a_dead_process_one_has_its_item(tmp_path: Path) -> None:
    store = InterruptedStore(tmp_path)
    store.write("claims/a", b"elsewhere.7.0000")
    with Claims(FolderStore(tmp_path)) as fast, Claims(store) as slow:
        store.meanwhile = lambda: fast.claim("a")
        assert not slow.claim("a")
        assert store.read("claims/a") == fast.name.encode()
    assert not names(tmp_path / "claims")


def test_who_died_while_removing_a_claim_does_not_keep_it(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write("claims/a", b"elsewhere.7.0000")
    store.write("claims/a%", b"elsewhere.8.0000")
    with Claims(store) as mine:
        assert not mine.claim("a") and mine.claim("a")


def test_one_that_was_taken_for_dead_leaves_the_claim_of_another(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with Claims(store) as suspended, Claims(store) as other:
        assert suspended.claim("a")
        store.remove(f"drivers/{suspended.name}")
        assert other.claim("a")
        suspended.release("a")
        assert not suspended.claim("a")
        assert store.has(f"drivers/{suspended.name}")
