"""AVA's files: what is read, what is repaired, what is refused, and that written files read back
the same.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_det.formats.annotations import (
    AvaRows,
    concatenate_rows,
    format_timestamp,
    keyframes_from_annotations,
    load_annotations,
    load_boxes,
    load_detections,
    load_excluded,
    rows_from_detections,
    rows_from_keyframes,
    timestamp_key,
    write_annotations,
    write_boxes,
    write_detections,
    write_submission,
)
from ava_det.formats.label_map import describe_label_map_form, load_label_groups, load_label_map
from ava_det.structures import Detections, Keyframe, KeyframeKey

ROW = "v,0902,0.1,0.2,0.5,0.6,1,0"


def save(folder: Path, *lines: str, end: str = "\n") -> Path:
    path = folder / "rows.csv"
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


def test_columns_are_read_as_they_stand(tmp_path: Path) -> None:
    rows = load_annotations(
        save(tmp_path, "b,0903,0.077,0.151,0.283,0.811,80,1", "a,0902,0,0,1,1,9,2")
    )
    assert rows.video_ids.tolist() == ["b", "a"]
    assert rows.timestamps.tolist() == [903.0, 902.0]
    assert rows.boxes.tolist() == [[0.077, 0.151, 0.283, 0.811], [0, 0, 1, 1]]
    assert rows.action_ids.tolist() == [80, 9]
    assert rows.ids_or_scores.tolist() == [1.0, 2.0]
    assert (rows.boxes.dtype, rows.action_ids.dtype, rows.timestamps.dtype) == (
        np.float64,
        np.int64,
        np.float64,
    )
    assert not rows.forms
    assert not rows.repairs


@settings(max_examples=200, deadline=None)
@given(value=st.floats(0, 1))
def test_every_float_is_read_as_the_nearest_to_its_text(
    value: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = repr(value)
    assert load_detections(save(folder, f"v,0902,0,0,1,1,1,{text}")).scores.tolist() == [
        float(text)
    ]


def test_rows_without_action_box_or_person_id(tmp_path: Path) -> None:
    rows = load_annotations(
        save(tmp_path, ROW, "v,0903", "v,0904,0.1,0.1,0.2,0.2,,", "v,0905,,,,,,", ROW[:-2])
    )
    assert rows.action_ids.tolist() == [1, 0, 0, 0, 1]
    assert np.isnan(rows.boxes).any(1).tolist() == [False, True, False, True, False]
    assert np.isnan(rows.ids_or_scores).tolist() == [False, True, True, True, True]
    expected = {
        "two columns": 2,
        "empty action": 3,
        "empty column 8": 3,
        "empty box": 4,
        "seven columns": 5,
    }
    assert rows.forms == expected


def test_a_detection_of_seven_columns_scores_one_and_one_of_two_is_nothing(tmp_path: Path) -> None:
    rows = load_detections(save(tmp_path, "v,0902,0.1,0.1,0.5,0.5,1", "v,0903"))
    assert rows.ids_or_scores.tolist() == [1.0]
    assert rows.forms == {"seven columns": 1, "two columns": 2}


@pytest.mark.parametrize(
    ("data", "repair"),
    [
        (b"\xef\xbb\xbf" + ROW.encode() + b"\n", "byte order mark"),
        (ROW.encode() + b"\n\n", "line 2: a blank line was skipped"),
        (ROW.replace(",1,0", ",1.0,0").encode(), "line 1: action id 1.0 was read as 1"),
        (ROW.replace("\n", "\r\n").encode() + b"\r\n", None),
        (b"v, 0902,0.1,0.2,0.5,0.6,1,0 \n", None),
    ],
)
def test_harmless_forms_are_repaired_and_said(
    data: bytes, repair: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    for load in (load_annotations, load_detections):
        rows = load(path)
        assert (rows.video_names, rows.timestamps.tolist(), rows.action_ids.tolist()) == (
            ["v"],
            [902.0],
            [1],
        )
        assert rows.boxes.tolist() == [[0.1, 0.2, 0.5, 0.6]]
        assert len(rows.repairs) == (repair is not None)
        assert repair is None or repair in rows.repairs[0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "video_id,timestamp,x1,y1,x2,y2,action_id,score",
            "line 1: expected a number as timestamp",
        ),
        (ROW + ",7", "expected 2, 7 or 8 columns, found 9"),
        ("v,0902,0.1,0.2", "expected 2, 7 or 8 columns, found 4"),
        ("v,0902,0.1,zero,0.5,0.6,1,0", "expected a number as y1, found 'zero'"),
        ("v,0902,0.1,0.2,0.5,0.6,run,0", "expected a number as action_id, found 'run'"),
        ("v,0902,0.1,0.2,0.5,0.6,1.5,0", "expected a whole number as action_id, found '1.5'"),
        ("v,0902,0.1,0.2,0.5,0.6,80,3_", "found '3_'"),
        ("v,nan,0.1,0.2,0.5,0.6,1,0", "expected seconds as timestamp, found 'nan'"),
        ("v,inf,0.1,0.2,0.5,0.6,1,0", "expected seconds as timestamp, found 'inf'"),
        (",0902,0.1,0.2,0.5,0.6,1,0", "expected a video id in column 1"),
    ],
)
@pytest.mark.parametrize("before", [0, 2])
def test_a_malformed_row_is_refused_with_file_and_line(
    line: str, expected: str, before: int, tmp_path: Path
) -> None:
    path = save(tmp_path, *[ROW] * before, line)
    for load in (load_annotations, load_detections):
        with pytest.raises(ValueError, match=r"rows\.csv, line \d") as refused:
            load(path)
        assert expected.replace("line 1", f"line {before + 1}") in str(refused.value)
        assert f"line {before + 1}" in str(refused.value)


def test_a_header_line_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no header line, delete it"):
        load_annotations(save(tmp_path, "video_id,timestamp,x1,y1,x2,y2,action_id,person_id", ROW))


def test_an_empty_score_or_action_in_detections_is_refused(tmp_path: Path) -> None:
    for line in ("v,0902,0.1,0.2,0.5,0.6,1,", "v,0902,0.1,0.2,0.5,0.6,,0.5"):
        with pytest.raises(ValueError, match="line 2: expected a number"):
            load_detections(save(tmp_path, ROW, line))


def test_not_utf8_a_missing_file_and_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xff\xfe,0902,0,0,1,1,1,0\n")
    with pytest.raises(ValueError, match="expected UTF-8 text"):
        load_annotations(path)
    with pytest.raises(FileNotFoundError, match=r"missing\.csv: no such file"):
        load_detections(tmp_path / "missing.csv")
    path.write_bytes(b"")
    assert len(load_annotations(path)) == len(load_detections(path)) == 0


def test_fractional_timestamps_name_their_first_line(tmp_path: Path) -> None:
    rows = load_detections(save(tmp_path, ROW, "v,902.5,0.1,0.2,0.5,0.6,1,0.5"))
    assert rows.timestamps.tolist() == [902.0, 902.5]
    assert rows.forms == {"fractional timestamp": 2}


def test_timestamps_as_keys_and_as_text() -> None:
    assert timestamp_key(902) == timestamp_key(902.0000004) == "902.000000"
    assert timestamp_key(902.5) != timestamp_key(902)
    assert [format_timestamp(value) for value in (902, 5.0, 1798.0, 902.123456)] == [
        "0902",
        "0005",
        "1798",
        "902.123456",
    ]


def test_keyframes_merge_the_actions_of_a_person(tmp_path: Path) -> None:
    same_box = "v,0902,0.1,0.2,0.5,0.6,{},{}"
    lines = [
        same_box.format(4, 0),
        same_box.format(1, 0),
        same_box.format(1, 1),
        "w,0001",
        "v,902.0,0,0,1,1,,",
    ]
    rows = load_annotations(save(tmp_path, *lines))
    first, second = keyframes_from_annotations(rows, 4)
    assert (first.video_id, first.timestamp, second.video_id, second.timestamp) == (
        "v",
        902.0,
        "w",
        1.0,
    )
    assert first.labels is not None
    assert first.labels.tolist() == [[1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert first.person_scores.tolist() == [1, 1, 1]
    torch.testing.assert_close(first.boxes[0], torch.tensor([0.1, 0.2, 0.5, 0.6]))
    assert second.boxes.shape == (0, 4)
    assert second.labels is not None
    assert second.labels.shape == (0, 4)
    assert [
        k.video_id
        for k in keyframes_from_annotations(rows, 4, excluded={KeyframeKey("v", "902.000000")})
    ] == ["w"]


def test_no_rows_are_no_keyframes(tmp_path: Path) -> None:
    assert keyframes_from_annotations(load_annotations(save(tmp_path, "v,0902")), 3)[
        0
    ].boxes.shape == (0, 4)
    (tmp_path / "rows.csv").write_bytes(b"")
    assert keyframes_from_annotations(load_annotations(tmp_path / "rows.csv"), 3) == []


def test_an_action_beyond_the_classes_names_file_and_line(tmp_path: Path) -> None:
    rows = load_annotations(save(tmp_path, ROW, "", ROW.replace(",1,0", ",81,0")))
    with pytest.raises(
        ValueError, match=r"rows\.csv, line 3: expected an action id from 1 to 80, found 81"
    ):
        keyframes_from_annotations(rows, 80)


@pytest.mark.parametrize("box", [",,,", "nan,nan,nan,nan"])
def test_an_action_without_a_box_is_not_lost_in_silence(tmp_path: Path, box: str) -> None:
    path = save(tmp_path, f"v,0902,0.1,0.2,0.5,0.6,1,0\nv,0903,{box},,\nv,0904,{box},1,0\n")
    with pytest.raises(ValueError, match=r"line 3: expected a box for action 1, found none"):
        keyframes_from_annotations(load_annotations(path), 2)


def test_keyframes_and_rows_are_the_same_ground_truth(tmp_path: Path) -> None:
    rows = load_annotations(save(tmp_path, ROW, "v,0902,0.077,0.151,0.283,0.811,3,1", "w,0903"))
    again = rows_from_keyframes(keyframes_from_annotations(rows, 3))
    assert again.video_ids.tolist() == rows.video_ids.tolist()
    # not merely near: float32 goes back to its own text
    np.testing.assert_array_equal(again.boxes, rows.boxes)
    np.testing.assert_array_equal(again.action_ids, rows.action_ids)
    unlabeled = Keyframe("v", 902.0, torch.zeros(1, 4), None, torch.ones(1))
    with pytest.raises(ValueError, match="keyframe v 0902 has no labels"):
        rows_from_keyframes([unlabeled])


def test_persons_keep_their_order_though_their_rows_are_scattered(tmp_path: Path) -> None:
    row = "{},{},0.{},0.2,0.5,0.6,{},{}".format
    lines = [
        row("w", "0003", 4, 1, 7),
        row("v", "902.5", 3, 2, 1),
        row("w", "0003", 1, 2, 9),
        row("v", 902.5, 3, 3, 1),
    ]
    lines += [
        row("v", "902.50", 3, 1, 2),
        row("w", "0003", 4, 3, 7),
        row("w", 3, 4, 3, 7),
        row("v", "902", 1, 1, 0),
    ]
    keyframes = keyframes_from_annotations(load_annotations(save(tmp_path, *lines)), 3)
    assert [(k.video_id, k.timestamp) for k in keyframes] == [
        ("w", 3.0),
        ("v", 902.5),
        ("v", 902.0),
    ]
    labels = [k.labels.tolist() for k in keyframes if k.labels is not None]
    assert labels == [[[1, 0, 1], [0, 1, 0]], [[0, 1, 1], [1, 0, 0]], [[1, 0, 0]]]
    assert [round(x, 3) for x in keyframes[0].boxes[:, 0].tolist()] == [0.4, 0.1]


KINETICS = ["abc,005.005,0.1,0.2,0.5,0.6,12", "abc,005.005,0.1,0.2,0.5,0.6,80", "-de_f,17.25"]


def test_the_kinetics_rows_of_ava_kinetics(tmp_path: Path) -> None:
    rows = load_annotations(save(tmp_path, *KINETICS))
    first, second = keyframes_from_annotations(rows, 80)
    assert (first.video_id, first.timestamp, second.timestamp, len(second.boxes)) == (
        "abc",
        5.005,
        17.25,
        0,
    )
    assert first.labels is not None
    assert first.labels.nonzero().tolist() == [[0, 11], [0, 79]]
    assert len(keyframes_from_annotations(rows, 80, excluded={KeyframeKey("abc", "5.005000")})) == 1


fractions = st.floats(0, 1) | st.integers(0, 1000).map(lambda thousandth: thousandth / 1000)
annotation_rows = st.tuples(
    st.sampled_from(["v", "-w_1", 'a "b", c']),
    st.integers(0, 1799).map(float) | st.floats(0, 1e4, width=32),
    st.none() | st.tuples(fractions, fractions, fractions, fractions),
    st.integers(0, 700),
    st.none() | st.integers(0, 90),
)


@settings(max_examples=100)
@given(listed=st.lists(annotation_rows, max_size=6))
def test_written_annotations_read_back_the_same(
    listed: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = sorted({row[0] for row in listed})
    rows = AvaRows(
        names,
        np.array([names.index(row[0]) for row in listed], np.int32),
        np.array([row[1] for row in listed], float),
        np.array([row[2] or [math.nan] * 4 for row in listed]).reshape(-1, 4),
        np.array([row[3] if row[2] else 0 for row in listed], np.int64),
        np.array(
            [math.nan if row[4] is None or row[2] is None else row[4] for row in listed], float
        ),
    )
    path = tmp_path_factory.getbasetemp() / "written.csv"
    write_annotations(path, rows)
    again = load_annotations(path)
    assert again.video_ids.tolist() == rows.video_ids.tolist()
    for name in ("timestamps", "boxes", "action_ids", "ids_or_scores"):
        np.testing.assert_array_equal(getattr(again, name), getattr(rows, name))


def some_detections(seed: int = 0) -> list[Detections]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for second, count in ((902.0, 2), (903.0, 0), (904.25, 1)):
        keyframe = Keyframe("video,1", second, torch.zeros(0, 4), None, torch.zeros(0))
        boxes, scores = (torch.rand(count, width, generator=generator) for width in (4, 3))
        found.append(Detections(boxes, scores, torch.ones(count), None, keyframe))
    return found


def test_written_detections_read_back_the_same(tmp_path: Path) -> None:
    detections = some_detections()
    write_detections(tmp_path / "out" / "d.csv", detections)
    rows = load_detections(tmp_path / "out" / "d.csv")
    expected = rows_from_detections(detections)
    assert rows.video_ids.tolist() == ["video,1"] * 9
    assert rows.timestamps.tolist() == [902.0] * 6 + [904.25] * 3
    assert rows.action_ids.tolist() == [1, 2, 3] * 3
    np.testing.assert_array_equal(rows.boxes, expected.boxes)
    np.testing.assert_array_equal(
        rows.ids_or_scores.astype(np.float32), expected.ids_or_scores.astype(np.float32)
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["d.csv"]


def test_a_submission_has_the_evaluated_classes_only(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.csv", some_detections(), {1: "a", 3: "c"})
    assert load_detections(tmp_path / "s.csv").action_ids.tolist() == [1, 3] * 3


def test_nothing_detected_is_an_empty_file(tmp_path: Path) -> None:
    write_detections(tmp_path / "d.csv", [])
    write_boxes(tmp_path / "b.csv", {})
    assert (tmp_path / "d.csv").read_bytes() == (tmp_path / "b.csv").read_bytes() == b""
    assert load_boxes(tmp_path / "b.csv", 0.5) == {}


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = Detections(
        torch.zeros(1, 4),
        torch.zeros(1, 3),
        torch.ones(1),
        None,
        Keyframe("v", math.nan, torch.zeros(0, 4), None, torch.zeros(0)),
    )
    broken.keyframe.timestamp = "now"  # type: ignore[assignment]
    with pytest.raises((ValueError, TypeError)):
        write_detections(tmp_path / "d.csv", [broken])
    assert list(tmp_path.iterdir()) == []


def test_person_boxes_are_kept_once_above_the_score(tmp_path: Path) -> None:
    lines = [
        "v,0902,0.1,0.2,0.5,0.6,,0.9",
        "v,0902,0.1,0.2,0.5,0.6,12,0.9",
        "v,0902,0,0,1,1,,0.8",
        "v,902.5,0,0,1,1,,0.79",
    ]
    boxes = load_boxes(save(tmp_path, *lines), 0.8)
    assert list(boxes) == [("v", "902.000000")]
    torch.testing.assert_close(
        boxes["v", "902.000000"][0], torch.tensor([[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1]])
    )
    torch.testing.assert_close(boxes["v", "902.000000"][1], torch.tensor([0.9, 0.8]))
    write_boxes(tmp_path / "again.csv", boxes)
    assert (tmp_path / "again.csv").read_text().splitlines()[0] == "v,0902,0.1,0.2,0.5,0.6,,0.9"
    again = load_boxes(tmp_path / "again.csv", 0.0)
    torch.testing.assert_close(
        again["v", "902.000000"][0], boxes["v", "902.000000"][0], rtol=0, atol=0
    )


def test_a_box_file_needs_eight_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 1: expected 8 columns, found 7"):
        load_boxes(save(tmp_path, "v,0902,0.1,0.2,0.5,0.6,0.9"), 0.0)


def test_exclusions(tmp_path: Path) -> None:
    assert load_excluded(save(tmp_path, "v,0902", "", "w,903.5")) == {
        ("v", "902.000000"),
        ("w", "903.500000"),
    }
    with pytest.raises(ValueError, match=r"line 2: expected video_id,timestamp, found 'v,0903,x'"):
        load_excluded(save(tmp_path, "v,0902", "v,0903,x"))


ITEMS = (
    'item {\n  name: "bend/bow (at the waist)"\n  id: 1\n}\n'
    'item {\n  name: "talk to \\"them\\""\n  id: 79\n}\n'
)
LABELS = 'label {\n  name: "crawl"\n  label_id: 2\n  label_type: PERSON_MOVEMENT\n}\n'


@pytest.mark.parametrize(
    ("text", "expected", "as_in_ava"),
    [
        (ITEMS, {1: "bend/bow (at the waist)", 79: 'talk to "them"'}, True),
        (LABELS, {2: "crawl"}, True),
        (ITEMS.replace("\n", " "), {1: "bend/bow (at the waist)", 79: 'talk to "them"'}, False),
        ("# a comment\nitem { id: 3, name: 'a' }", {3: "a"}, False),
    ],
)
def test_label_maps(text: str, expected: dict[int, str], as_in_ava: bool, tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text(text)
    assert load_label_map(path) == expected
    assert bool(describe_label_map_form(path)) is not as_in_ava


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "found no entry"),
        ("item { name: 'a' }", "line 1: expected an entry with a name and an id"),
        ("item { id: 1 }", "line 1: expected an entry with a name and an id"),
        ("item { name: 'a' id: 0 }", "an id of 1 or more"),
        (
            "item { name: 'a' id: 1 }\nitem { name: 'b' id: 1 }",
            "line 2: expected every id once, found 1 twice",
        ),
        ("item { name: 'a' id: 1", "without its closing brace"),
        ("action: 1", "line 1: expected item"),
        ("item { name: 'a' id: 1 }\n@", "line 2: expected a label map, found '@'"),
    ],
)
def test_a_malformed_label_map_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"map\.pbtxt") as refused:
        load_label_map(path)
    assert expected in str(refused.value)


def test_groups_come_from_types_else_from_the_ranges_of_ava(tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text(LABELS)
    assert load_label_groups(path) == {2: "person movement"}
    path.write_text(ITEMS)
    assert load_label_groups(path) == {1: "person movement", 79: "person interaction"}
    path.write_text("item { name: 'a' id: 700 }")
    assert load_label_groups(path) == {}


def test_concatenated_rows_share_their_videos(tmp_path: Path) -> None:
    one = load_annotations(save(tmp_path, ROW))
    two = load_annotations(save(tmp_path, "w" + ROW[1:], ROW))
    both = concatenate_rows([one, two])
    assert both.video_ids.tolist() == ["v", "w", "v"]
    assert both.action_ids.tolist() == [1, 1, 1]
    assert len(concatenate_rows([])) == 0


def test_the_place_of_a_row() -> None:
    nothing = np.zeros(0)
    rows = AvaRows([], nothing, nothing, nothing, nothing, nothing, path="file.csv")
    assert rows.where(4) == "file.csv, line 5"


@pytest.mark.needs_shared
def test_the_official_files_are_read(shared_data: Path) -> None:
    folder = shared_data / "ava"
    rows = load_annotations(folder / "ava_train_v2.2_29videos.csv")
    assert len(rows) == 94625
    assert len(load_label_map(folder / "ava_action_list_v2.2.pbtxt")) == 80
    evaluated = load_label_map(folder / "ava_action_list_v2.2_for_activitynet_2019.pbtxt")
    assert len(evaluated) == 60
    types = load_label_groups(folder / "ava_action_list_v2.2.pbtxt")
    ranges = load_label_groups(folder / "ava_action_list_v2.2_for_activitynet_2019.pbtxt")
    assert all(types[action_id] == group for action_id, group in ranges.items())
    assert not describe_label_map_form(folder / "ava_action_list_v2.2.pbtxt")


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    "name", ["ava/ava_train_v2.2_29videos.csv", "mini_ava/train.csv", "mini_ava/val.csv"]
)
def test_real_rows_come_back_byte_for_byte(shared_data: Path, tmp_path: Path, name: str) -> None:
    write_annotations(tmp_path / "again.csv", load_annotations(shared_data / name))
    assert (tmp_path / "again.csv").read_bytes() == (shared_data / name).read_bytes()


@pytest.mark.needs_shared
def test_all_real_rows_become_keyframes_within_a_second(shared_data: Path) -> None:
    def load() -> tuple[int, int, float]:
        start = time.process_time()  # of this process: a busy machine is no fault of the code
        rows = load_annotations(shared_data / "ava" / "ava_train_v2.2_29videos.csv")
        keyframes = keyframes_from_annotations(rows, 80)
        return len(rows), len(keyframes), time.process_time() - start

    runs = [load() for _ in range(3)]
    assert {run[:2] for run in runs} == {(94625, 22051)}
    assert min(run[2] for run in runs) < 1.0
