"""Unpacking archives that are damaged, incomplete or malicious."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from ava_det.datasets.ava.archives import unpack
from ava_det.datasets.ava.official_files import DownloadError
from ava_det.datasets.ava.sources import Member

MEMBERS = (Member("rows.csv"), Member("boxes/list.csv", required=False))


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return path


def write_tar(path: Path, files: dict[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, body in files.items():
            if isinstance(body, tarfile.TarInfo):
                archive.addfile(body)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return path


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_only_what_is_asked_for_is_unpacked(write: object, tmp_path: Path) -> None:
    files = {
        "a/other/rows.csv.bak": b"0",
        "a/rows.csv": b"1",
        "a/boxes/list.csv": b"2",
        "a/list.csv": b"3",
    }
    archive = write(tmp_path / ("x.zip" if write is write_zip else "x.tar"), files)
    assert unpack(archive, MEMBERS, tmp_path / "out") == []
    assert files_below(tmp_path / "out") == {"rows.csv": b"1", "boxes/list.csv": b"2"}


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("name", ["../rows.csv", "a/../../rows.csv", "/rows.csv", "./../rows.csv"])
def test_a_member_that_leaves_the_folder_is_no_member(
    write: object, name: str, tmp_path: Path
) -> None:
    archive = write(tmp_path / ("x.zip" if write is write_zip else "x.tar"), {name: b"evil"})
    with pytest.raises(DownloadError, match=r"x\.(zip|tar): expected rows\.csv in it"):
        unpack(archive, MEMBERS, tmp_path / "out")
    assert files_below(tmp_path) == {archive.name: archive.read_bytes()}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_no_members(kind: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    archive = write_tar(
        tmp_path / "x.tar", {"rows.csv": link("rows.csv", str(tmp_path / "secret"), kind)}
    )
    with pytest.raises(DownloadError, match=r"expected rows\.csv"):
        unpack(archive, MEMBERS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_optional_members_may_be_missing_and_are_named(tmp_path: Path) -> None:
    assert unpack(write_zip(tmp_path / "x.zip", {"rows.csv": b"1"}), MEMBERS, tmp_path / "out") == [
        "boxes/list.csv"
    ]


def test_a_member_that_is_not_the_official_one_is_not_kept(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", {"a/rows.csv": b"1"})
    with pytest.raises(DownloadError, match=r"x\.zip, a/rows\.csv: expected the official file"):
        unpack(archive, (Member("rows.csv", "0" * 40),), tmp_path / "out")
    assert files_below(tmp_path / "out") == {}


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_damaged_archive_is_one_sentence(name: str, share: float, tmp_path: Path) -> None:
    write = write_zip if name == "x.zip" else write_tar
    body = write(tmp_path / name, {"rows.csv": bytes(range(256)) * 999}).read_bytes()
    if name.endswith("gz"):
        body = gzip.compress(body)
    (tmp_path / name).write_bytes(body[: int(len(body) * share)])
    with pytest.raises(DownloadError, match=name):
        unpack(tmp_path / name, MEMBERS, tmp_path / "out")
    assert files_below(tmp_path / "out") == {}
