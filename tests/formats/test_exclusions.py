"""Exclusion lists: read as any CSV is, and a list of other annotations is reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ava_det.formats.ava_csv import AvaRows, describe_stray_exclusions, load_excluded
from ava_det.structures import KeyframeKey


def save(folder: Path, text: str) -> Path:
    path = folder / "excluded.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"v",0902\n', {KeyframeKey("v", "902.000000")}),
        (
            '"a,b",902.5\r\n\r\nw,1\r\n',
            {KeyframeKey("a,b", "902.500000"), KeyframeKey("w", "1.000000")},
        ),
        (" v , 0902 \n", {KeyframeKey("v", "902.000000")}),
        ("\ufeffv,0902\n", {KeyframeKey("v", "902.000000")}),
        ("", set()),
    ],
)
def test_a_list_is_read_as_csv(text: str, expected: set[tuple[str, str]], tmp_path: Path) -> None:
    assert load_excluded(save(tmp_path, text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v,nan\n", "line 1: expected seconds as timestamp, found 'nan'"),
        ("v,1\nv,-inf\n", "line 2: expected seconds as timestamp, found '-inf'"),
        ("v,1_0\n", "line 1: expected video_id,timestamp, found 'v,1_0'"),
        (
            "video_id,timestamp\nv,1\n",
            "expected a row such as movie,902, found 'video_id,timestamp'; AVA's CSV files have no "
            "header",
        ),
        ("v,1\nvideo_id,timestamp\n", "line 2: expected video_id,timestamp, found 'video_id,time"),
        ("v;1\nw;2\n", "separated by semicolons: write commas"),
        ("0,v,1\n1,w,2\n", "a column that counts the rows: write it without"),
        ("v\n", "line 1: expected video_id,timestamp, found 'v'"),
        (",902\n", "line 1: expected video_id,timestamp, found ',902'"),
        ('"v,902\n', "expected comma-separated values"),
    ],
)
def test_what_is_no_keyframe_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"excluded\.csv") as refused:
        load_excluded(save(tmp_path, text))
    assert expected in str(refused.value)


def annotated(*keyframes: tuple[str, float]) -> AvaRows:
    names = sorted({name for name, _ in keyframes})
    index = np.array([names.index(name) for name, _ in keyframes], np.int32)
    seconds = np.array([second for _, second in keyframes], float)
    count = len(keyframes)
    boxes = np.tile([0.1, 0.1, 0.5, 0.9], (count, 1))
    return AvaRows(names, index, seconds, boxes, np.ones(count, np.int64), np.zeros(count))


def test_a_list_of_other_annotations_is_reported() -> None:
    rows = annotated(("v", 902), ("v", 910), ("w", 902))
    for fits in (
        set(),
        {KeyframeKey("v", "902.000000")},
        {KeyframeKey("v", "905.000000"), KeyframeKey("x", "1.000000")},
    ):
        assert describe_stray_exclusions(fits, rows) is None  # AVA's lists name absent keyframes
    for stray in (
        {KeyframeKey("v.mp4", "902.000000")},
        {KeyframeKey("v", "30.000000")},
        {KeyframeKey("w", "903.000000")},
    ):
        sentence = describe_stray_exclusions(stray, rows)
        assert sentence is not None
        assert "names no keyframe of" in sentence
        assert "the annotations have 'v,902'" in sentence
    assert describe_stray_exclusions({KeyframeKey("v", "1.000000")}, annotated()) is None


def test_a_broken_first_row_is_not_taken_for_a_header(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line 1: expected video_id,timestamp") as refused:
        load_excluded(save(tmp_path, "v,1_0\nw,3\n"))
    assert "header" not in str(refused.value)
