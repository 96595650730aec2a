"""Downloads against a server on this machine, with its faults."""

from __future__ import annotations

import errno
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ava_det.datasets.ava import download
from ava_det.datasets.ava.official_files import DownloadError, NoNetworkError
from tests.support.range_server import Server

BODY = np.random.default_rng(0).bytes(3 * download.CHUNK + 17)
Fetch = Callable[..., list[Exception]]


@pytest.fixture
def one(server: Server) -> str:
    server.files["/one.bin"] = BODY
    return "/one.bin"


def parts(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


def test_files_arrive_whole_and_nothing_is_left_beside_them(
    fetch: Fetch, server: Server, tmp_path: Path
) -> None:
    server.files |= {f"/deep/{index}.bin": BODY[: index * 1000] for index in range(7)}
    assert fetch(*server.files) == []
    for path, body in server.files.items():
        assert (tmp_path / path[1:]).read_bytes() == body
    assert not parts(tmp_path)


def test_a_broken_connection_goes_on_where_it_stopped(
    fetch: Fetch, server: Server, one: str, tmp_path: Path
) -> None:
    server.cut[one] = 2
    assert fetch(one) == []
    assert (tmp_path / "one.bin").read_bytes() == BODY
    half = len(BODY) // 2
    starts = [wanted for method, _, wanted in server.log if method == "GET"]
    assert starts == [None, f"bytes={half}-", f"bytes={half + (len(BODY) - half) // 2}-"]


def test_a_later_run_goes_on_too_and_a_new_version_starts_anew(
    fetch: Fetch, server: Server, one: str, tmp_path: Path
) -> None:
    server.status[one] = 200
    server.ranges = False
    server.cut[one] = 99
    (error,) = fetch(one)
    assert "one.bin" in str(error) and "closed early" in str(error)
    (part,) = parts(tmp_path)
    assert part.read_bytes() == BODY[: len(BODY) // 2] and not (tmp_path / "one.bin").exists()

    server.ranges = True
    server.cut = {}
    server.log = []
    assert fetch(one) == []
    assert [wanted for method, _, wanted in server.log if method == "GET"] == [
        f"bytes={len(BODY) // 2}-"
    ]
    assert (tmp_path / "one.bin").read_bytes() == BODY

    part.write_bytes(BODY[:1000])  # of the version before
    server.files[one] = BODY[::-1]
    server.etag = "2"
    server.log = []
    (tmp_path / "one.bin").unlink()
    assert fetch(one) == []
    assert (tmp_path / "one.bin").read_bytes() == BODY[::-1] and not parts(tmp_path)
    assert [wanted for method, _, wanted in server.log if method == "GET"] == [None]


def test_a_server_without_ranges_sends_everything_again(
    fetch: Fetch, server: Server, one: str, tmp_path: Path
) -> None:
    server.ranges = False
    server.cut[one] = 1
    assert fetch(one) == []
    assert (tmp_path / "one.bin").read_bytes() == BODY


def test_a_length_that_changes_is_no_file(
    fetch: Fetch, server: Server, one: str, tmp_path: Path
) -> None:
    server.grows.add(one)
    (error,) = fetch(one)
    assert f"announced {len(BODY)} bytes, then {len(BODY) + 4}" in str(error)
    assert not (tmp_path / "one.bin").exists() and not parts(tmp_path)


def test_what_is_not_the_official_file_is_not_kept(fetch: Fetch, one: str, tmp_path: Path) -> None:
    (error,) = fetch(one, blob="0" * 40)
    assert "one.bin: expected the official file, git blob 000" in str(error)
    assert not (tmp_path / "one.bin").exists() and not parts(tmp_path)


def test_blob_ids_are_gits(fetch: Fetch, one: str, tmp_path: Path) -> None:
    (tmp_path / "copy.bin").write_bytes(BODY)
    said = subprocess.run(
        ["git", "hash-object", "copy.bin"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert fetch(one, blob=said.stdout.strip()) == []


def test_one_missing_file_does_not_stop_the_others(
    fetch: Fetch, server: Server, one: str, tmp_path: Path
) -> None:
    server.files["/two.bin"] = BODY[:5]
    (error,) = fetch("/none.bin", one, "/two.bin")
    assert str(error) == f"{server.url}/none.bin: the server answered 404 Not Found"
    assert (tmp_path / "one.bin").is_file() and (tmp_path / "two.bin").is_file()


def test_a_server_that_is_overloaded_is_asked_again(fetch: Fetch, server: Server, one: str) -> None:
    server.status[one] = 503
    (error,) = fetch(one)
    assert "503" in str(error)
    assert len(server.log) == 1 + len(download.FIRST_WAITS)


def test_no_network_is_one_error(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"  # the discard port: nothing listens
    items = [download.Item(f"{nobody}/{index}", tmp_path / str(index)) for index in range(5)]
    with pytest.raises(NoNetworkError, match="refused"):
        download.fetch_all(items, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_is_said_before_the_first_byte(
    fetch: Fetch, server: Server, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=download.RESERVE))
    with pytest.raises(DownloadError, match=r"0\.3 GB are needed, 0\.3 GB are free"):
        fetch(one)
    assert server.fetched() == []


def test_a_disk_that_fills_up_names_the_file_and_keeps_what_came(
    fetch: Fetch, server: Server, one: str, tmp_path: Path
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * download.CHUNK, limits[1]))
    try:
        with pytest.raises(OSError, match=r"one\.bin") as caught:
            fetch(one)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert not (tmp_path / "one.bin").exists()
    (part,) = parts(tmp_path)
    assert part.read_bytes() == BODY[: 2 * download.CHUNK]
    assert fetch(one) == []
    assert server.log[-1] == ("GET", one, f"bytes={2 * download.CHUNK}-")
    assert (tmp_path / "one.bin").read_bytes() == BODY


def test_a_folder_that_cannot_be_made_is_named(server: Server, one: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        download.fetch_all([download.Item(server.url + one, tmp_path / "file" / "one.bin")], 1)
