"""frames.csv: what turns times into frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from ava_det.formats.tubes.frame_table import (
    VideoFrames,
    read_frame_table,
    write_frame_table,
)

NTSC = VideoFrames("a", "class/a", Fraction(30000, 1001), 300, 320, 240)


def test_what_is_written_is_read_and_every_frame_keeps_its_number(tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    write_frame_table(path, [NTSC, NTSC._replace(video_id="b", fps=Fraction(25))])
    videos = read_frame_table(path)
    assert videos["a"] == NTSC
    for video in videos.values():
        frames = range(1, 100_000, 37)
        assert [video.find_frame(video.find_seconds(frame)) for frame in frames] == list(frames)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("a,a,25,10", "line 2: expected two names"),
        ("a,a,fast,10,20,30", "line 2: expected two names"),
        ("a,a,25,0,20,30", "line 2: expected positive"),
        ("a,a,1/0,10,20,30", "line 2: expected two names"),
        ("a,a,25,10,20,30\na,a,25,10,20,30", "line 3: expected each video once"),
    ],
)
def test_another_form_is_named_by_its_line(tmp_path: Path, row: str, expected: str) -> None:
    path = tmp_path / "frames.csv"
    path.write_text(f"video_id,name,fps,num_frames,width,height\n{row}\n")
    with pytest.raises(ValueError, match=expected):
        read_frame_table(path)
    path.write_text("video,fps\n")
    with pytest.raises(ValueError, match="line 1: expected the columns"):
        read_frame_table(path)


def test_no_name_with_a_comma(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without commas"):
        write_frame_table(tmp_path / "frames.csv", [NTSC._replace(name="a,b")])
