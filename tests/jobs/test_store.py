"""Both stores keep the same promises: whole or absent, one creator, ages by the store's clock."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from ava_det.archive.agenda import Agenda
from ava_det.archive.labeler import local_video
from ava_det.archive.listing import list_videos, make_manifest, open_manifest
from ava_det.archive.manifest import make_entry
from ava_det.archive.outcomes import list_results
from ava_det.jobs import object_store
from ava_det.jobs.claims import Claims
from ava_det.jobs.object_store import ObjectStore, fetched
from ava_det.jobs.store import FolderStore, Store, open_store
from tests.support.fake_archive import FakeLoader, label, make_videos
from tests.support.inline_workers import InlineWorkers


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://archive"
    fsspec.filesystem("memory").store.clear()
    fsspec.filesystem("memory").pseudo_dirs[:] = [""]


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, memory: str) -> Store:
    return open_store(str(tmp_path / "out") if request.param == "folder" else memory)


def test_files_are_written_listed_read_and_removed(store: Store) -> None:
    assert list(store.names("results")) == [] and not store.has("results/a")
    with pytest.raises(FileNotFoundError):
        store.read("results/a")
    store.write("results/a", b"1")
    store.write("results/a", b"22")
    store.write("results/b%2Fc", b"")
    assert sorted(store.names("results")) == ["a", "b%2Fc"]
    assert store.read("results/a") == b"22" and store.has("results/b%2Fc")
    with store.reading("results/a") as path:
        assert path.name == "a" and path.read_bytes() == b"22"
    store.remove("results/a")
    store.remove("results/a")
    assert list(store.names("results")) == ["b%2Fc"]


def test_one_of_many_creates(store: Store) -> None:
    assert store.create("claims/a", b"first")
    assert not store.create("claims/a", b"second")
    assert store.read("claims/a") == b"first"


def test_of_many_threads_one_creates(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        for name in map(str, range(50)):
            assert sum(pool.map(lambda n, name=name: store.create(name, bytes(n)), range(8))) == 1
    assert not list(tmp_path.glob(".*"))


def test_a_disk_without_links_has_one_creator_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = FolderStore(tmp_path)
    assert store.create("claims/a", b"first") and not store.create("claims/a", b"second")
    assert store.read("claims/a") == b"first"
    assert [path.name for path in (tmp_path / "claims").iterdir()] == ["a"]


def test_a_file_that_is_not_finished_is_absent(store: Store) -> None:
    with store.writing("results/a") as path:
        path.write_text("half")
        assert not store.has("results/a") and list(store.names("results")) == []
    assert store.read("results/a") == b"half"
    with pytest.raises(FileNotFoundError), store.writing("results/b") as path:
        path.with_name("none").read_text()
    assert list(store.names("results")) == ["a"]


def test_ages_are_between_two_files(store: Store) -> None:
    store.write("drivers/old", b"")
    time.sleep(0.03)
    store.write("drivers/new", b"")
    age = store.age("drivers/old", now="drivers/new")
    assert age is not None and 0.02 < age < 10
    assert store.age("drivers/none", now="drivers/new") is None


def test_what_killed_processes_left_is_swept_a_day_later(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for name in ("results/.old.tmp", "results/.new.tmp", "results/old"):
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("results/.old.tmp", "results/old"):
        os.utime(tmp_path / name, (0, 0))
    store.sweep("results", 86400)
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [".new.tmp", "old"]


def test_an_archive_in_an_object_store(tmp_path: Path, memory: str) -> None:
    names = make_videos(tmp_path / "videos", 5, bad=1)
    tally = label(tmp_path / "videos", memory, InlineWorkers(FakeLoader(memory)))
    assert (tally.num_done, list(tally.failed)) == (5, ["bad0.mp4"])
    store = ObjectStore(memory)
    assert len(list(list_results(store))) == len(names)
    assert list(store.names("errors")) == ["bad0.mp4.json"]
    assert not list(store.names("claims")) and not list(store.names("drivers"))
    tally = label(tmp_path / "videos", memory, InlineWorkers(FakeLoader(memory)))
    assert (tally.num_before, tally.num_done) == (5, 0)


def test_claims_in_an_object_store(memory: str) -> None:
    store = ObjectStore(memory)
    with Claims(store) as first, Claims(store) as second:
        assert first.claim("a") and not second.claim("a")
        first.release("a")
        assert second.claim("a")


def test_videos_in_an_object_store_are_listed_and_copied(
    tmp_path: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/videos/cam 1/a.mp4", b"12345")
    files.pipe_file("/videos/b.MKV", b"1")
    files.pipe_file("/videos/readme.txt", b"")
    store = FolderStore(tmp_path)
    make_manifest("memory://videos", store)
    with open_manifest(store) as manifest:
        assert manifest.root == "memory://videos"
        assert [(one.path, one.size) for one in manifest] == [("b.MKV", 1), ("cam 1/a.mp4", 5)]
        assert all(one.mtime > 1e9 for one in manifest)
        first = Agenda(manifest.index(), []).take()
    with local_video(manifest.root, first) as copy:
        assert copy.name == "a.mp4" and copy.read_bytes() == b"12345"
    assert not copy.exists()
    with local_video("/elsewhere", make_entry("memory://videos/b.MKV", 0, 0)) as copy:
        assert copy.read_bytes() == b"1"
    with pytest.raises(ValueError, match=r"gone\.mp4: no such file"), fetched("memory://gone.mp4"):
        pass
    monkeypatch.setattr(object_store, "MARGIN_BYTES", 1 << 60)
    with pytest.raises(OSError, match="No space left"), local_video(manifest.root, first):
        pass
    with pytest.raises(ValueError, match="no video is there"):
        list_videos("memory://nowhere")


def test_a_protocol_that_nobody_knows_is_named() -> None:
    with pytest.raises(ValueError, match="nosuch://bucket: Protocol not known: nosuch"):
        open_store("nosuch://bucket")
