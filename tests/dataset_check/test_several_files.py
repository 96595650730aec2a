"""A split of several annotation files is one split: its rows are checked together and named by
their own files.
"""

from __future__ import annotations

from pathlib import Path

from ava_det.dataset_check.findings import ERROR
from ava_det.dataset_check.labels import check_labels
from ava_det.dataset_check.split_rows import SplitFiles, read_split


def test_rows_are_named_by_the_file_and_line_they_stand_on(tmp_path: Path) -> None:
    first = tmp_path / "first.csv"
    second = tmp_path / "second.csv"
    first.write_text("v,0902,0.1,0.1,0.5,0.5,1,0\nv,0903\n")
    second.write_text(
        "w,0902,0.1,0.1,0.5,0.5,1,0\nw,0903,0.1,0.1,0.5,0.5,0,0\nw,0904,0.1,0.1,0.5,0.5,,0\n"
    )
    excluded = (tmp_path / "a.csv", tmp_path / "b.csv")
    for path, row in zip(excluded, ("v,0902", "w,0902"), strict=True):
        path.write_text(row + "\n")
    split, findings = read_split(SplitFiles("train", (first, second), excluded, ("gt",)))
    assert not findings
    assert [split.rows.place(row) for row in (0, 4)] == [(str(first), 1), (str(second), 3)]
    assert len(split.excluded) == 2
    # an action id 0 is a fault, an empty one is none
    faults = [
        finding for finding in check_labels(split, {1: "stand"}, 1) if finding.severity == ERROR
    ]
    assert [(finding.where, finding.count) for finding in faults] == [("second.csv:2", 1)]


def test_a_keyframe_in_two_box_files_is_found(tmp_path: Path) -> None:
    paths = tmp_path / "a.csv", tmp_path / "b.csv"
    paths[0].write_text("v,0902,0.1,0.1,0.5,0.5,,0.9\nv,0903,0.1,0.1,0.5,0.5,,0.9\n")
    paths[1].write_text("v,0903,0.1,0.1,0.6,0.5,,0.9\nw,0902,0.1,0.1,0.5,0.5,,0.9\n")
    split, findings = read_split(SplitFiles("val", (), (), tuple(map(str, paths))))
    assert split.boxes is not None
    assert len(split.boxes) == 4
    assert len(split.keyframes) == 3
    (finding,) = findings
    assert (finding.severity, finding.where, finding.count) == (ERROR, "b.csv", 1)
    assert "a.csv has boxes of too" in finding.problem
