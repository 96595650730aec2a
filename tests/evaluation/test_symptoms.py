"""A low number comes with its reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ava_det.evaluation import evaluate_csv

WarningsOf = Callable[[list[str], list[str]], list[str]]
MAP = "".join(
    f'item {{\n  name: "{name}"\n  id: {number}\n}}\n' for number, name in enumerate("abcd", 1)
)


@pytest.fixture
def warnings_of(tmp_path: Path) -> WarningsOf:
    def evaluate(truth: list[str], detections: list[str]) -> list[str]:
        for name, lines in (("gt.csv", truth), ("det.csv", detections), ("map.pbtxt", [MAP])):
            (tmp_path / name).write_text("\n".join(lines) + "\n" * bool(lines))
        paths = (tmp_path / "gt.csv", tmp_path / "det.csv", tmp_path / "map.pbtxt")
        return evaluate_csv(*paths)["warnings"]

    return evaluate


BOX = "0.1,0.2,0.5,0.8"
TRUTH = [f"v,{second:04d},{BOX},{second % 3 + 1},0" for second in range(902, 932)]


def detections(
    second_of: str = "{:04d}", box: str = BOX, shift: int = 0, score: str = ""
) -> list[str]:
    return [
        f"v,{second_of.format(second)},{box},{second % 3 + 1 + shift},{score or second / 1000}"
        for second in range(902, 932)
    ]


def test_good_files_give_no_warning(warnings_of: WarningsOf) -> None:
    assert warnings_of(TRUTH, detections()) == []


@pytest.mark.parametrize(
    ("truth", "found", "sentence"),
    [
        (
            TRUTH,
            detections("9{:04d}"),
            "no detection keyframe matches the ground truth: detections have 'v 90902'",
        ),
        (
            TRUTH,
            [row.replace("v,", "v.mp4,") for row in detections()],
            "'v.mp4 0902', ground truth has 'v 0902'",
        ),
        (
            TRUTH,
            detections(shift=-1),
            "10 of 30 detection rows have an action id outside the label map, such as 0",
        ),
        (
            TRUTH,
            detections(shift=-1),
            "action ids look off by one: with ids +1 mAP is 1.0000 instead of 0.0000",
        ),
        (TRUTH, detections(shift=1), "action ids look off by one: with ids -1 mAP is 1.0000"),
        (TRUTH, detections(box="32,48,160,192"), "a coordinate of 192 looks like pixels"),
        (TRUTH, detections(box="0.2,0.1,0.8,0.5"), "boxes look like y1,x1,y2,x2"),
        (TRUTH, detections(box="0.6,0.85,0.9,0.9"), "no box overlaps ground truth of its class"),
        (TRUTH, detections(box="0.5,0.8,0.1,0.2"), "30 of 30 detection boxes are inverted"),
        (TRUTH, detections(score="0.5"), "all 30 detection scores are 0.5"),
        (TRUTH, detections(score="-3.2"), "30 detection scores are not within 0..1, such as -3.2"),
        (TRUTH, detections(score="nan"), "30 detection scores are not within 0..1, such as nan"),
        (TRUTH, [], "det.csv: no rows"),
        ([], detections(), "gt.csv: no rows"),
        (
            [f"v,0902,{BOX},9,0"],
            detections(),
            "1 of 1 ground-truth rows have an action id outside the label map",
        ),
        ([f"v,0902,{BOX},9,0"], detections(), "no ground-truth row has an action of the label map"),
        (
            TRUTH,
            [f"v,{s:04d},{box},1,0.5" for s in range(902, 932) for box in (BOX, "0,0,0.1,0.1")],
            "equal scores leave mAP undefined between",
        ),
    ],
)
def test_what_looks_wrong_is_said(
    truth: list[str], found: list[str], sentence: str, warnings_of: WarningsOf
) -> None:
    assert any(sentence in warning for warning in warnings_of(truth, found)), warnings_of(
        truth, found
    )


def test_off_list_classes_of_ava_itself_are_no_symptom(warnings_of: WarningsOf) -> None:
    rows = [row for row in detections() for _ in range(3)]
    assert not any("label map" in warning for warning in warnings_of(TRUTH, rows))


def test_swapped_files_are_recognized_by_column_8(warnings_of: WarningsOf) -> None:
    said = warnings_of(detections(), TRUTH)
    assert any("a score, where annotations have a person id: detections" in s for s in said)
    [one] = [s for s in warnings_of(detections(), detections()) if "column 8" in s]
    assert "gt.csv: column 8 holds" in one
    persons = [f"v,0902,{BOX},1,{person}" for person in (0, 1, 2)]
    [one] = [s for s in warnings_of(TRUTH, persons) if "column 8" in s]
    assert "column 8 holds whole numbers from 0 to 2, as person ids are" in one
    for rows in ([f"v,0902,{BOX},1,1"], [f"v,0902,{BOX},1,{s}" for s in (0, 1, 0.5)]):
        assert not any("column 8" in sentence for sentence in warnings_of(TRUTH, rows))


def test_an_exclusion_list_of_other_annotations_is_reported(tmp_path: Path) -> None:
    for name, rows in (("gt.csv", TRUTH), ("det.csv", detections()), ("ex.csv", ['"w",0902'])):
        (tmp_path / name).write_text("\n".join(rows))
    (tmp_path / "map.pbtxt").write_text('item {\n  name: "a"\n  id: 1\n}\n')
    result = evaluate_csv(
        tmp_path / "gt.csv",
        tmp_path / "det.csv",
        tmp_path / "map.pbtxt",
        tmp_path / "ex.csv",
        protocol="activitynet-2019",
    )
    [sentence] = [s for s in result["warnings"] if "exclusion list" in s]
    assert "it has 'w,902', the annotations have 'v,90" in sentence


def test_an_unreadable_exclusion_list_that_is_not_used_is_reported(tmp_path: Path) -> None:
    texts = {"gt.csv": TRUTH, "det.csv": detections(), "ex.csv": ["v,0903,x"]}
    for name, rows in texts.items():
        (tmp_path / name).write_text("\n".join(rows))
    (tmp_path / "map.pbtxt").write_text('item {\n  name: "a"\n  id: 1\n}\n')
    truth, results, label_map, listed = (
        tmp_path / name for name in ("gt.csv", "det.csv", "map.pbtxt", "ex.csv")
    )
    result = evaluate_csv(truth, results, label_map, listed, protocol="activitynet-2020")
    plain = evaluate_csv(truth, results, label_map, protocol="activitynet-2020")
    assert result["mAP"] == plain["mAP"]
    [sentence] = [s for s in result["warnings"] if "will refuse it" in s]
    assert "ex.csv, line 1: expected video_id,timestamp, found 'v,0903,x'" in sentence
    with pytest.raises(ValueError, match=r"ex\.csv, line 1"):
        evaluate_csv(truth, results, label_map, listed, protocol="activitynet-2019")
