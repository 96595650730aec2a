"""A plain table: its columns, what they mean, and each kind of bad row; and what labeled boxes
become as AVA rows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ava_det.formats.annotations import (
    keyframes_from_annotations,
    load_annotations,
    write_annotations,
)
from ava_det.formats.label_map import describe_label_map_form, load_label_map, write_label_map
from ava_det.interchange.clock import VideoClocks
from ava_det.interchange.labeled import (
    LabeledBox,
    choose_val_videos,
    join_exports,
    number_actions,
    rows_from_labeled,
)
from ava_det.interchange.table import load_table

HEADER = "video,second,x1,y1,x2,y2,action,person"
NO_CLOCKS = VideoClocks(None, None, 0.0)


def save(folder: Path, *lines: str) -> Path:
    path = folder / "boxes.csv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_rows_of_one_person_are_merged(tmp_path: Path) -> None:
    lines = [
        "walk,3,0.2,0.1,0.4,0.9,stand,0",
        "walk,3,0.2,0.1,0.4,0.9,wave,0",
        "walk.mp4,4.5,0,0,0.5,1,,1",
        "b,1,,,,,,",
    ]
    first, idle, nobody = load_table(save(tmp_path, HEADER, *lines), NO_CLOCKS, pixels=False)
    assert (first.video_id, first.timestamp, first.corners) == ("walk", 3.0, (0.2, 0.1, 0.4, 0.9))
    assert (first.actions, first.person_id) == (("stand", "wave"), 0)
    assert (idle.video_id, idle.timestamp, idle.actions, idle.person_id) == ("walk", 4.5, (), 1)
    assert (nobody.video_id, nobody.corners) == ("b", None)


def test_columns_stand_in_any_order_and_frames_are_seconds_at_a_rate(tmp_path: Path) -> None:
    path = save(
        tmp_path, "\ufeffAction, Frame,x1,x2,y1,y2,Video", "wave,45,0.2,0.4,0.1,0.9,walk", ""
    )
    [found] = load_table(path, VideoClocks(None, 30.0, 900.0), pixels=False)
    assert (found.timestamp, found.corners, found.person_id) == (901.5, (0.2, 0.1, 0.4, 0.9), None)


def test_pixels_and_frames_of_a_real_video(tmp_path: Path, synthetic: Path) -> None:
    clocks = VideoClocks(synthetic / "videos", None, 900.0)
    path = save(tmp_path, HEADER.replace("second", "frame"), "train_00000,30,48,36,96,108,wave,2")
    [found] = load_table(path, clocks, pixels=True)
    assert (found.timestamp, found.corners) == (902.0, (0.25, 0.25, 0.5, 0.75))  # 15 fps, 192x144
    with pytest.raises(
        ValueError, match=r"line 2: expected a frame of .*train_00000\.mp4, 0\.\.119, found 120"
    ):
        load_table(
            save(
                tmp_path, HEADER.replace("second", "frame"), "train_00000,120,48,36,96,108,wave,2"
            ),
            clocks,
            True,
        )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "line 1: expected a header with the columns video, second (or frame)"),
        (["walk,3,0.2,0.1,0.4,0.9,stand,0"], "line 1: expected a header"),
        (["video,second,x1,y1,x2,action"], "found no y2"),
        (["video,x1,y1,x2,y2,action"], "found no second (or frame)"),
        ([f"{HEADER},persno"], "found 'persno'"),
        ([f"{HEADER},video"], "found 'video'"),
        ([f"{HEADER},frame"], "expected a column second or a column frame, found both"),
        ([HEADER, "walk,3,0.2,0.1,0.4,0.9,stand"], "line 2: expected 8 columns, found 7"),
        ([HEADER, ",3,0.2,0.1,0.4,0.9,stand,0"], "line 2: expected a video, found nothing"),
        (
            [HEADER, "walk,soon,0.2,0.1,0.4,0.9,stand,0"],
            "line 2: expected a number as second, found 'soon'",
        ),
        (
            [HEADER, "walk,nan,0.2,0.1,0.4,0.9,stand,0"],
            "line 2: expected a number as second, found 'nan'",
        ),
        ([HEADER, "walk,3,0.2,,0.4,0.9,stand,0"], "line 2: expected a number as y1, found ''"),
        (
            [HEADER, "walk,3,0.4,0.1,0.2,0.9,stand,0"],
            "line 2: expected a box with x1 < x2 and y1 < y2",
        ),
        ([HEADER, "walk,3,120,80,240,300,stand,0"], "found 120,80,240,300; give --pixels"),
        (
            [HEADER, "walk,3,,,,,stand,0"],
            "line 2: expected a box for the action 'stand', found none",
        ),
        (
            [HEADER, "walk,3,0.2,0.1,0.4,0.9,stand,Ann"],
            "line 2: expected a whole number from 0 as person, found 'Ann'",
        ),
        (
            [HEADER.replace("second", "frame"), "w,1.5,0.2,0.1,0.4,0.9,a,0"],
            "a whole number from 0 as frame, found '1.5'",
        ),
        (
            [HEADER.replace("second", "frame"), "w,1,0.2,0.1,0.4,0.9,a,0"],
            "line 2: expected the videos (--videos) or",
        ),
        ([HEADER, 'walk,3,"0.2"x,0.1,0.4,0.9,a,0'], "line 2: expected comma-separated values"),
    ],
)
def test_each_bad_row_is_one_sentence(tmp_path: Path, lines: list[str], expected: str) -> None:
    with pytest.raises(ValueError, match=r"boxes\.csv") as refused:
        load_table(save(tmp_path, *lines), NO_CLOCKS, pixels=False)
    assert expected in str(refused.value)


def test_pixels_need_videos_and_pixels(tmp_path: Path, synthetic: Path) -> None:
    with pytest.raises(
        ValueError, match=r"line 2: expected the videos \(--videos\) for boxes in pixels"
    ):
        load_table(
            save(tmp_path, HEADER, "w,1,10,20,30,40,a,0"), VideoClocks(None, 25, 0), pixels=True
        )
    clocks = VideoClocks(synthetic / "videos", None, 900.0)
    with pytest.raises(ValueError, match=r"expected a box in pixels, found .*looks like fractions"):
        load_table(
            save(tmp_path, HEADER, "train_00000,902,0.1,0.2,0.3,0.4,a,0"), clocks, pixels=True
        )
    with pytest.raises(ValueError, match=r"expected a box within the frame, found .* on 192x144"):
        load_table(save(tmp_path, HEADER, "train_00000,902,10,20,300,400,a,0"), clocks, pixels=True)
    with pytest.raises(ValueError, match=r"line 2: expected a video walk in .*videos, found none"):
        load_table(save(tmp_path, HEADER, "walk,902,10,20,30,40,a,0"), clocks, pixels=True)
    (tmp_path / "latin.csv").write_bytes(b"video,second\xff\n")
    with pytest.raises(ValueError, match="expected UTF-8 text"):
        load_table(tmp_path / "latin.csv", NO_CLOCKS, pixels=False)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_table(tmp_path / "none.csv", NO_CLOCKS, pixels=False)


BOX = (0.125, 0.25, 0.5, 0.75)


def person(second: float, *actions: str, video: str = "v", who: int | None = 0) -> LabeledBox:
    return LabeledBox(video, second, BOX, actions, who, f"source, line {second:g}")


def test_rows_keep_idle_persons_for_training_only(tmp_path: Path) -> None:
    boxes = [
        person(2, "b", "a"),
        person(2, who=1),
        person(1, who=3),
        LabeledBox("v", 3, None, (), None, "x"),
    ]
    rows = rows_from_labeled(boxes, {1: "a", 2: "b"})
    write_annotations(tmp_path / "train.csv", rows)
    text = ["v,0001,0.125,0.250,0.500,0.750,,3", "v,0002,0.125,0.250,0.500,0.750,1,0"]
    text += ["v,0002,0.125,0.250,0.500,0.750,2,0", "v,0002,0.125,0.250,0.500,0.750,,1", "v,0003"]
    assert (tmp_path / "train.csv").read_text().splitlines() == text
    write_annotations(
        tmp_path / "val.csv", rows_from_labeled(boxes, {1: "a", 2: "b"}, keep_unlabeled=False)
    )
    assert (tmp_path / "val.csv").read_text().splitlines() == ["v,0001", text[1], text[2], "v,0003"]
    first, second, third = keyframes_from_annotations(load_annotations(tmp_path / "train.csv"), 2)
    assert [k.labels.tolist() for k in (first, second, third) if k.labels is not None] == [
        [[0, 0]],
        [[1, 1], [0, 0]],
        [],
    ]


def test_persons_nobody_named_are_nobody_else() -> None:
    boxes = [
        person(1, "a", who=None),
        person(1, "a", who=5),
        person(2, "a", who=None),
        person(1, "a", video="w", who=None),
    ]
    rows = rows_from_labeled(boxes, {1: "a"})
    assert sorted(zip(rows.video_ids.tolist(), rows.ids_or_scores.tolist(), strict=True)) == [
        ("v", 5),
        ("v", 6),
        ("v", 7),
        ("w", 0),
    ]


def test_ids_are_stable_and_a_given_map_is_kept() -> None:
    boxes = [person(1, "walk", "jump"), person(2, "wave")]
    assert number_actions(boxes, [], None) == {1: "jump", 2: "walk", 3: "wave"}
    assert number_actions(boxes[::-1], [], None) == {1: "jump", 2: "walk", 3: "wave"}
    assert number_actions(boxes, ["wave", "sit", "wave"], None) == {
        1: "wave",
        2: "sit",
        3: "jump",
        4: "walk",
    }
    given = {7: "walk", 3: "jump", 90: "wave"}
    assert number_actions(boxes, ["sit"], given) == given
    with pytest.raises(
        ValueError,
        match="line 2: expected an action of the label map, found 'wave'; did you mean 'waves'",
    ):
        number_actions(boxes, [], {1: "walk", 2: "jump", 3: "waves"})
    with pytest.raises(ValueError, match="line 1: expected boxes with actions, found none"):
        number_actions([person(1)], [], None)


def test_label_maps_are_written_as_ava_has_them(tmp_path: Path) -> None:
    names = {2: 'say "hi"', 1: "back\\slash", 700: "a\u00e9rer"}
    write_label_map(tmp_path / "map.pbtxt", names)
    assert load_label_map(tmp_path / "map.pbtxt") == names
    assert not describe_label_map_form(tmp_path / "map.pbtxt")


def test_exports_of_one_video_keep_their_persons_apart() -> None:
    joined = join_exports(
        [[person(1, who=0), person(1, who=4)], [person(2, who=0)], [person(3, who=1, video="w")]]
    )
    assert [(b.video_id, b.timestamp, b.person_id) for b in joined] == [
        ("v", 1, 0),
        ("v", 1, 4),
        ("v", 2, 5),
        ("w", 3, 1),
    ]
    with pytest.raises(
        ValueError,
        match="line 1: expected each keyframe in one export, found v 1 in source, line 1 too",
    ):
        join_exports([[person(1)], [person(1)]])


def test_splits_are_by_video_and_by_seed() -> None:
    names = [f"video{i}" for i in range(10)]
    chosen = choose_val_videos(names * 3, 0.3, seed=1)
    assert len(chosen) == 3
    assert chosen == choose_val_videos(reversed(names), 0.3, seed=1)
    assert any(chosen != choose_val_videos(names, 0.3, seed) for seed in range(5))
    assert (choose_val_videos(names, 0, 0), choose_val_videos(names, 1, 0)) == (set(), set(names))
    assert (
        len(choose_val_videos(names[:2], 0.01, 0))
        == len(choose_val_videos(names[:2], 0.99, 0))
        == 1
    )
    with pytest.raises(
        ValueError, match=r"--val-share 0\.5: expected at least two videos to split, found 1"
    ):
        choose_val_videos(["v"], 0.5, 0)


def test_dots_in_a_name_are_no_extension(tmp_path: Path) -> None:
    names = ["cam.front", "cam.rear", "2024-05-01_10.30.15", "cam.top.mp4", "r/cam.low.MOV"]
    lines = [HEADER, *(f"{name},3,0.2,0.1,0.4,0.9,a,0" for name in names)]
    found = load_table(save(tmp_path, *lines), NO_CLOCKS, pixels=False)
    expected = ["cam.front", "cam.rear", "2024-05-01_10.30.15", "cam.top", "cam.low"]
    assert [box.video_id for box in found] == expected
    path = save(
        tmp_path, HEADER, "r1/a.mp4,3,0.2,0.1,0.4,0.9,a,0", r"r2\a.mp4,3,0.2,0.1,0.4,0.9,a,0"
    )
    with pytest.raises(
        ValueError, match="line 3: expected file names of their own, found r1/a and"
    ):
        load_table(path, NO_CLOCKS, pixels=False)


def test_seconds_are_looked_up_in_the_videos(tmp_path: Path, synthetic: Path) -> None:
    clocks = VideoClocks(synthetic / "videos", None, 900.0)
    row = "{},{},0.2,0.1,0.4,0.9,a,0"
    fits = [row.format("train_00000", second) for second in (900, 907.9)]
    assert len(load_table(save(tmp_path, HEADER, *fits), clocks, pixels=False)) == 2
    for video, second, words in (
        ("nothere", 902, r"line 2: expected a video nothere in .*videos, found none"),
        (
            "train_00000",
            999,
            r"line 2: expected a second of .*train_00000\.mp4, 900\.\.908\.0, found",
        ),
        ("train_00000", 2, r"found 2 \(--start-second is the annotation time of the first frame\)"),
    ):
        with pytest.raises(ValueError, match=words):
            load_table(save(tmp_path, HEADER, row.format(video, second)), clocks, pixels=False)


def test_a_table_of_another_kind_is_named(tmp_path: Path) -> None:
    rows = [HEADER, "walk,3,0.2,0.1,0.4,0.9,a,0"]
    for lines, words in (
        ([row.replace(",", ";") for row in rows], "separated by semicolons"),
        ([f"{start},{row}" for start, row in zip(("", "0"), rows, strict=True)], "counts the rows"),
        (['{"images": [{"file_name": "a.jpg"}]}'], "a COCO file, which is not read here"),
    ):
        with pytest.raises(ValueError, match=r"line 1: expected a header") as refused:
            load_table(save(tmp_path, *lines), NO_CLOCKS, pixels=False)
        assert words in str(refused.value)


def test_persons_nobody_numbered_stay_so_over_several_tables() -> None:
    joined = join_exports([[person(1, who=None), person(1, who=2)], [person(2, who=None)]])
    assert [box.person_id for box in joined] == [None, 2, None]
