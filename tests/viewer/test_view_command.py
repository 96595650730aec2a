"""`ava-det view` makes a page of what the JSON lines say, and refuses what it cannot show."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ava_det.commands.view import main
from ava_det.formats.keyframe_records import read_records
from ava_det.segments import SegmentRules, find_segments
from ava_det.video.folder import open_video
from ava_det.viewer import page as page_module
from ava_det.viewer.content import make_content
from ava_det.viewer.page import address_of, describe_video
from tests.support.numbered_video import write_numbered_video
from tests.support.view_cases import NAMES, make_detections, read_script, write_jsonl, write_video


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_video(tmp_path / "walk.mp4")
    write_jsonl(tmp_path / "walk.jsonl", make_detections())
    return tmp_path


def view(folder: Path, *words: object) -> int:
    options = ["--video", folder / "walk.mp4", "--output", folder / "walk.html"]
    return main([str(word) for word in (folder / "walk.jsonl", *options, *words)])


def test_the_page_holds_every_number_of_the_json_lines(folder: Path) -> None:
    assert view(folder) == 0
    page = (folder / "walk.html").read_text(encoding="utf-8")
    content = read_script(page, "data")
    records = list(read_records(folder / "walk.jsonl"))
    persons = [person for record in records for person in record.persons]
    assert content["times"] == [record.time for record in records]
    assert content["counts"] == [len(record.persons) for record in records]
    assert content["tracks"] == [person.track_id for person in persons]
    corners = [value for person in persons for value in person.box]
    assert [value / 10_000 for value in content["boxes"]] == pytest.approx(corners, abs=5.1e-5)
    scores = [action.score for person in persons for action in person.actions]
    assert [value / 1000 for value in content["actionScores"]] == pytest.approx(scores, abs=5.1e-4)
    segments = find_segments(records, SegmentRules(dict.fromkeys(NAMES, 0.0), {}))
    assert [one[:4] for one in content["segments"]] == [
        [one.track, one.action_id, one.start, one.end] for one in segments
    ]
    assert (content["source"], content["fps"], content["delay"]) == ("walk.mp4", 10, 0)
    assert content["duration"] == pytest.approx(6.0, abs=0.11)
    assert [name for _, name, _ in content["actions"]] == ["walk", "sit </script>", "hug"]
    assert len(content["thumbnails"]) == 24
    assert ' src="http' not in page and "import " not in page.split("<script>")[1]
    # its own text alone may end a script
    assert page.count("</script>") == page.count("<script")


def test_long_data_are_compressed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view(folder)
    plain = read_script((folder / "walk.html").read_text(encoding="utf-8"), "data")
    monkeypatch.setattr(page_module, "MAX_PLAIN_BYTES", 100)
    view(folder)
    page = (folder / "walk.html").read_text(encoding="utf-8")
    start = page.index('type="application/gzip" id="data">') + 34
    packed = base64.b64decode(page[start : page.index("<", start)])
    assert json.loads(gzip.decompress(packed)) == plain


@pytest.mark.parametrize(
    ("name", "moments", "expected"),
    [
        ("a.mp4", [0, 1, 2, 3, 4], None),  # tenths of a second, at 10 frames a second
        ("a.mp4", [0, 1, 3, 4, 9], [1000, 2000, 1000, 5000]),
        ("a.mp4", [5, 6, 8, 9], [1000, 2000, 1000]),  # from the first frame on
        ("a.mkv", [0, 1, 1.5, 4], [1000, 500, 2500]),
    ],
)
def test_times_of_frames_are_told_where_the_rate_varies(
    tmp_path: Path, name: str, moments: list[float], expected: list[int] | None
) -> None:
    video = tmp_path / name
    write_numbered_video(video, [Fraction(moment) / 10 for moment in moments], rate=10)
    with open_video(video, 900.0) as reader:
        content = make_content([], [], describe_video(reader, None))
        assert np.allclose(reader.listed_seconds(), reader.frame_seconds(), atol=1e-9)
    assert content["frameSteps"] == expected


def test_ground_truth_is_compared(folder: Path) -> None:
    """Of two keyframes: right, then a wrong class, a wrong box and two that are missed."""
    detections = make_detections()
    walker, sitter = detections[0].boxes.tolist()
    rows = [
        ("0900", walker, 1, 5),
        ("0900", sitter, 3, 6),  # its sit is a wrong class, its hug is right
        ("0900.5", [0.0, 0.0, 0.1, 0.1], 1, 7),  # is missed; all boxes there are wrong
    ]
    lines = [f"walk,{t},{','.join(f'{v:.3f}' for v in b)},{a},{p}" for t, b, a, p in rows]
    (folder / "gt.csv").write_text("\n".join(lines) + "\n")
    assert view(folder, "--annotations", folder / "gt.csv") == 0
    content = read_script((folder / "walk.html").read_text(encoding="utf-8"), "data")
    counts = content["truth"]["counts"]
    assert counts == {"right": 2, "wrong class": 1, "wrong box": 3, "missed": 1}
    assert content["truth"]["times"] == [0.0, 0.5]
    assert content["statuses"][:6] == [1, 2, 1, 3, 3, 3]
    assert set(content["statuses"][6:]) == {0}
    assert [4, 7, 1, 0.5, 0.5] in content["truth"]["runs"]
    assert content["truth"]["segments"] == [
        [5, 1, 0.0, 0.0],
        [6, 3, 0.0, 0.0],
        [7, 1, 0.5, 0.5],
    ]


def test_annotations_of_other_seconds_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "gt.csv").write_text("walk,0001,0.1,0.1,0.5,0.5,1,0\n")
    assert view(folder, "--annotations", folder / "gt.csv") == 2
    assert "gt.csv: expected annotations of keyframes of 'walk'" in capsys.readouterr().err


def test_a_folder_has_an_index_of_what_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("videos", "results"):
        (tmp_path / folder).mkdir()
    for name, count in (("a", 3), ("b", 12)):
        write_video(tmp_path / "videos" / f"{name}.mp4")
        write_jsonl(tmp_path / "results" / f"{name}.jsonl", make_detections(count, name))
    write_jsonl(tmp_path / "results" / "lost.jsonl", make_detections(2, "lost"))
    options = ["--video", tmp_path / "videos", "--output", tmp_path / "pages"]
    assert main([str(word) for word in (tmp_path / "results", *options)]) == 1
    out = capsys.readouterr()
    assert out.out.startswith("2 pages")
    assert "passed over:" in out.err and "lost" in out.err
    index = (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")
    assert index.index('<a href="b.html">') < index.index('<a href="a.html">')  # more happens
    assert index.count("data:image/jpeg") == 2
    records = read_records(tmp_path / "results" / "b.jsonl")
    found = find_segments(records, SegmentRules(dict.fromkeys(NAMES, 0.0), {}))
    walks = [one.duration for one in found if one.action == "walk"]
    row = f'data-action="walk" data-seconds="{sum(walks)}" data-count="{len(walks)}"'
    assert row in index
    assert (tmp_path / "pages" / "a.html").is_file()
    a = read_script((tmp_path / "pages" / "a.html").read_text(encoding="utf-8"), "data")
    assert a["source"] == "../videos/a.mp4"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--output", "walk.htm"], "--output: expected a file name that ends in .html"),
        (["--video", "nowhere.mp4"], "nowhere.mp4"),
        (["--annotations", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_mistake_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    assert view(folder, *words) == 2
    assert expected in capsys.readouterr().err.splitlines()[-1]
    assert not (folder / "walk.html").exists()


def test_several_videos_in_one_file_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detections = make_detections(2)
    other = replace(detections[1], keyframe=replace(detections[1].keyframe, video_id="b"))
    write_jsonl(folder / "walk.jsonl", [detections[0], other])
    assert view(folder) == 2
    assert "expected the keyframes of one video, found 2 videos: walk, b" in capsys.readouterr().err


def test_an_address_is_relative_and_quoted(tmp_path: Path) -> None:
    assert address_of(tmp_path / "my film #1.mp4", tmp_path) == "my%20film%20%231.mp4"
    assert address_of(tmp_path / "a.mp4", tmp_path / "pages") == "../a.mp4"
