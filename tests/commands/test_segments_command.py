"""`ava-det segments`, and `--segments` of the demo, which say the same."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.support.tool_runs import RunTool, assert_mistake

LINE = (
    '{"video": "%s", "time": %s, "timestamp": 1, "width": 64, "height": 48, "persons": ['
    '{"track_id": 1, "box_fraction": [0, 0, 1, 1], "score": 0.9, '
    '"actions": [{"id": 12, "name": "stand", "score": %s}]}]}\n'
)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "d.jsonl"
    scores = (0.9, 0.45, 0.9, 0.6)
    path.write_text("".join(LINE % ("v", time, score) for time, score in enumerate(scores)))
    return path


def rows(text: str) -> list[str]:
    return [line.partition("stand,")[2] for line in text.splitlines()[1:]]


def test_the_demo_writes_the_segments_of_its_json_lines(
    demo: RunTool, run_tool: RunTool, video: Path, tmp_path: Path
) -> None:
    table, whole = tmp_path / "s.csv", tmp_path / "d.jsonl"
    code, out, err = demo(
        "--json",
        whole,
        "--segments",
        table,
        "--threshold",
        "0.45",
        "--max-gap",
        "1",
        "--every",
        0.5,
    )
    assert code == 0, err
    assert str(table) in out
    times = {json.loads(line)["time"] for line in whole.read_text().splitlines()}
    found = pl.read_csv(table)
    assert len(found) > 3
    assert {*found["start"], *found["end"]} <= times
    assert set(found["video"]) == {video.stem}
    code, out, err = run_tool("segments", whole, "--max-gap", "1")
    assert (code, out) == (0, table.read_text()), err


@pytest.mark.slow
def test_several_videos_have_a_table_each(
    demo: RunTool, synthetic: Path, video: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / video.name).symlink_to(video)
    (folder / "b.mp4").symlink_to(video)
    given = ("--video", folder, "--segments", tmp_path / "out", "--csv", tmp_path / "out")
    code, _, err = demo(*given, "--every", 4)
    assert code == 0, err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"b.csv", "b.segments.csv"} <= names
    assert_mistake(demo(*given, "--every", 4, "--off", 0.1), "another --off")
    wrong = ("--video", folder, "--segments", tmp_path / "all.csv")
    assert_mistake(demo(*wrong), "--segments: expected a folder")


def test_options(run_tool: RunTool, lines: Path, tmp_path: Path) -> None:
    for options, expected in (
        ([], ["0.0,3.0,0.7125,0.9,4"]),
        (["--on", "0.5"], ["0.0,0.0,0.9,0.9,1", "2.0,3.0,0.75,0.9,2"]),
        (["--on", "0.99,stand=0.5"], ["0.0,0.0,0.9,0.9,1", "2.0,3.0,0.75,0.9,2"]),
        (["--on", "0.8", "--off", "0.45"], ["0.0,3.0,0.7125,0.9,4"]),
        (["--on", "0.5", "--max-gap", "2"], ["0.0,3.0,0.8,0.9,3"]),
        (["--on", "0.5", "--min-duration", "1"], ["2.0,3.0,0.75,0.9,2"]),
    ):
        code, out, err = run_tool("segments", lines, *options)
        assert (code, rows(out)) == (0, expected), err
        assert not err
    target = tmp_path / "t.parquet"
    code, out, err = run_tool("segments", lines, "--output", target)
    assert (code, out) == (0, f"1 segment; written: {target}\n"), err
    assert pl.read_parquet(target).rows() == [("v", 1, "stand", 0.0, 3.0, 0.7125, 0.9, 4)]


def test_what_the_file_cannot_say_is_said(run_tool: RunTool, lines: Path, tmp_path: Path) -> None:
    _, _, err = run_tool("segments", lines, "--on", "0.3")
    assert "its lowest score is 0.450" in err and "--threshold 0.3 --json" in err
    again = tmp_path / "again.jsonl"
    again.write_bytes(lines.read_bytes())
    code, out, err = run_tool("segments", lines, again)
    assert (code, len(rows(out))) == (0, 2)
    assert "'v' is a video of" in err
    again.write_text(lines.read_text().replace("stand", "sit"))
    assert_mistake(run_tool("segments", lines, again), "again.jsonl", "'stand'", "'sit'")


def test_mistakes(run_tool: RunTool, demo: RunTool, lines: Path, tmp_path: Path) -> None:
    assert_mistake(run_tool("segments", lines, "--on", "1.5"), "--on", "a score 0..1")
    assert_mistake(run_tool("segments", lines, "--on", "fly=0.5"), "--on", "'fly'")
    assert_mistake(run_tool("segments", lines, "--on", "0.3", "--off", "0.4"), "at most 0.3")
    assert_mistake(run_tool("segments", lines, "--output", lines), "--output", ".parquet")
    table = lines.rename(tmp_path / "d.csv")
    assert_mistake(run_tool("segments", table, "--output", table), "would be overwritten")
    assert_mistake(run_tool("segments", tmp_path / "no.jsonl"), "no.jsonl: no such file")
    assert_mistake(demo("--segments", tmp_path / "s.txt"), "--segments", ".parquet")
    assert_mistake(demo("--json", tmp_path / "o.jsonl", "--off", "0.2"), "--segments")
