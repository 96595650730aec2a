"""Which files of a folder are videos."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ava_det.video.reader import VideoError
from ava_det.video.sources import find_source, find_videos, scan_folder, video_id_of
from ava_det.video.writer import VideoWriter


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "made" / "film.mp4"
    with VideoWriter(path, 64, 48, 10) as writer:
        writer.write(np.full((48, 64, 3), 90, np.uint8), 0.0)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    "suffix",
    [
        ".MTS",
        ".m2ts",
        ".wmv",
        ".flv",
        ".3gp",
        ".gif",
        ".ogv",
        ".vob",
        ".mpg",
        ".MPEG",
        ".ts",
        ".webm",
        ".MOV",
        ".m4v",
        ".avi",
        ".mkv",
        ".mxf",
        ".dv",
        ".asf",
        ".Mp4",
    ],
)
def test_every_suffix_of_a_video_counts(folder: Path, film: Path, suffix: str) -> None:
    shutil.copy(film, folder / f"cam.front{suffix}")
    assert list(find_videos(folder)) == ["cam.front"]


def test_content_decides_where_the_name_does_not(folder: Path, film: Path) -> None:
    for name in ("no_suffix", "cam.front", "film.xyz", "a.ts"):
        shutil.copy(film, folder / name)
    for name in ("typescript.ts", "module.mts", "README", "noise.bin"):
        (folder / name).write_text("export const answer: number = 42;\n" * 9)
    found = scan_folder(folder)
    assert [path.name for path in found.videos] == ["a.ts", "cam.front", "film.xyz", "no_suffix"]
    assert find_videos(folder).keys() == {"a", "cam.front", "film.xyz", "no_suffix"}
    assert len(found.others) == 4


def test_a_picture_beside_videos_is_a_picture(folder: Path, film: Path) -> None:
    for name in ("clip1.mp4", "clip2.mp4"):
        shutil.copy(film, folder / name)
    (folder / "clip1.jpg").write_bytes(b"\xff\xd8")
    source = find_source(str(folder))
    assert not source.is_single
    assert [path.name for path in source.videos] == ["clip1.mp4", "clip2.mp4"]
    assert source.left_out == f"{folder}: 1 entry is no video and is left out: clip1.jpg"


def test_a_folder_of_pictures_is_a_video(folder: Path, film: Path) -> None:
    for number in (1, 2):
        (folder / f"walk_{number:06d}.jpg").write_bytes(b"\xff\xd8")
    assert find_source(str(folder)).is_single
    assert find_videos(folder.parent).keys() == {"folder"}
    shutil.copy(film, folder)
    assert [path.name for path in find_source(str(folder)).videos] == ["film.mp4"]


def test_what_is_left_out_is_counted_and_named(folder: Path, film: Path) -> None:
    shutil.copy(film, folder / "a.mp4")
    (folder / "sub").mkdir()
    shutil.copy(film, folder / "sub" / "b.mp4")
    for number in range(6):
        (folder / f"table{number}.csv").touch()
    for hidden in (".a.mp4.0123abcd.tmp", "._a.mp4"):  # of ours, of macOS
        (folder / hidden).touch()
    source = find_source(str(folder))
    assert [path.name for path in source.videos] == ["a.mp4"]
    assert source.left_out == (
        f"{folder}: 7 entries are no videos and are left out: sub/, table0.csv, table1.csv, "
        "table2.csv, table3.csv and 2 more; --recursive reads folders within it"
    )
    deep = find_source(str(folder), recursive=True)
    assert [path.relative_to(folder).as_posix() for path in deep.videos] == ["a.mp4", "sub/b.mp4"]
    assert "6 entries" in str(deep.left_out)


def test_names_may_repeat_in_other_folders_only(folder: Path, film: Path) -> None:
    for place in ("cam1", "cam2"):
        (folder / place).mkdir()
        shutil.copy(film, folder / place / "0001.mp4")
    assert len(find_source(str(folder), recursive=True).videos) == 2
    shutil.copy(film, folder / "cam2" / "0001.MKV")
    with pytest.raises(VideoError, match="have the same video id 0001"):
        find_source(str(folder), recursive=True)


def test_a_folder_without_videos_says_what_it_holds(folder: Path) -> None:
    with pytest.raises(VideoError, match=r"the folder holds no video$"):
        find_source(str(folder))
    (folder / "list.csv").touch()
    with pytest.raises(VideoError, match=r"holds no video; .* 1 entry is no video .*: list\.csv$"):
        find_source(str(folder))


def test_a_file_may_look_like_a_webcam_or_a_pattern(folder: Path, film: Path) -> None:
    for name in ("0", "a*[b].mp4"):
        shutil.copy(film, folder / name)
        source = find_source(str(folder / name))
        assert source.is_single
        assert source.live is None


def test_an_id_can_stand_in_a_table(tmp_path: Path) -> None:
    name = os.fsdecode(b"latin\xe9.mp4")
    assert video_id_of(tmp_path / name) == "latin\ufffd"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://me:s3cr@t@camera", "camera"),
        ("rtsp://camera:554", "camera:554"),
        ("rtsp://me:secret@camera/hall", "hall"),
        ("folder/a@b.mp4", "a@b"),
    ],
)
def test_the_id_of_a_stream_tells_no_password(url: str, expected: str) -> None:
    assert video_id_of(Path(url)) == expected
