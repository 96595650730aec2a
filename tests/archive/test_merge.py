"""The tables of an archive: known results in, known rows out, and nothing left out unseen."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ava_det.archive import tables
from ava_det.archive.listing import MANIFEST
from ava_det.archive.manifest import Entry, format_manifest, make_entry
from ava_det.archive.outcomes import Counts, Outcomes, result_name
from ava_det.archive.run_facts import require_same_run
from ava_det.formats.keyframe_table import SCHEMA
from ava_det.jobs.store import FolderStore
from tests.support.tool_runs import RunTool, assert_mistake

PAGE = Path(__file__).resolve().parents[2] / "docs/scale.md"
FACTS = {"every": 1.0, "thresholds": {"12": 0.5, "64": 0.4}, "label_map": {}}
ENTRIES = [make_entry(path, 10, 0) for path in ("a/x.mp4", "b,c.mp4", "d.mp4", "e.mp4")]
STAND, HUG = (12, "stand"), (64, "hug (a person)")


def person(track: int, *actions: tuple[tuple[int, str], float]) -> dict[str, Any]:
    return {
        "track_id": track,
        "box": [10.0, 20.0, 30.0, 40.0],
        "box_fraction": [0.1, 0.2, 0.3, 0.5],
        "score": 0.9,
        "actions": [{"id": one[0], "name": one[1], "score": score} for one, score in actions],
    }


def line(entry: Entry, time: float, *persons: dict[str, Any]) -> str:
    facts = {"video": entry.path, "time": time, "timestamp": 900 + time}
    return json.dumps({**facts, "width": 100, "height": 80, "persons": persons}) + "\n"


@pytest.fixture
def archive(tmp_path: Path) -> FolderStore:
    """Two people hug in the first video, nobody is in the second, the third failed."""
    store = FolderStore(tmp_path / "out")
    store.write(MANIFEST, b"".join(format_manifest("/videos", ENTRIES[:3])))
    require_same_run(store, FACTS)
    first, empty, broken, _ = ENTRIES
    hugging = [
        line(first, 0.0, person(1, (STAND, 0.8)), person(2)),
        line(first, 1.0, person(1, (HUG, 0.6), (STAND, 0.5)), person(2, (HUG, 0.7))),
        line(first, 2.0, person(1, (HUG, 0.4)), person(2, (HUG, 0.5))),
    ]
    store.write(result_name(first.id), "".join(hugging).encode())
    store.write(result_name(empty.id), line(empty, 0.0).encode())
    outcomes = Outcomes(store, "me")
    outcomes.add_success(first, Counts(3, 6, 1.5))
    outcomes.add_success(empty, Counts(1, 0, 0.5))
    outcomes.flush()
    outcomes.add_failure(broken, "no video")
    outcomes.add_failure(broken, "still <no> video")
    return store


def test_all_videos_are_in_the_tables_or_listed(
    run_tool: RunTool, archive: FolderStore, tmp_path: Path
) -> None:
    code, said, err = run_tool("merge", archive.address)
    assert code == 0, err
    assert "2 videos, 0.00 hours, 2 persons, 3 segments" in said
    assert "no result of 1 video: " in err
    merged = tmp_path / "out" / "merged"
    rows = pl.read_parquet(merged / "detections.parquet")
    assert rows.columns == list(SCHEMA)
    assert rows.select("video", "time", "track", "action_id", "score").rows() == [
        ("a/x.mp4", 0.0, 1, 12, 0.8),
        ("a/x.mp4", 0.0, 2, None, None),
        ("a/x.mp4", 1.0, 1, 64, 0.6),
        ("a/x.mp4", 1.0, 1, 12, 0.5),
        ("a/x.mp4", 1.0, 2, 64, 0.7),
        ("a/x.mp4", 2.0, 1, 64, 0.4),
        ("a/x.mp4", 2.0, 2, 64, 0.5),
    ]
    segments = pl.read_parquet(merged / "segments.parquet")
    assert segments.select("track", "action", "start", "end").rows() == [
        (1, "stand", 0.0, 1.0),
        (1, "hug (a person)", 1.0, 2.0),
        (2, "hug (a person)", 1.0, 2.0),
    ]
    lines = (merged / "detections.csv").read_text().splitlines()
    assert len(lines) == 6 and lines[0] == "a/x.mp4,0900,0.1,0.2,0.3,0.5,12,0.8"
    assert (merged / "failed.csv").read_text().splitlines() == [
        "id,path,attempts,error",
        "d.mp4,d.mp4,2,still <no> video",
    ]
    page = (merged / "index.html").read_text()
    assert "still &lt;no&gt; video" in page and "a/x.mp4" in page
    assert "<tr><td>hug (a person)</td>" in page
    assert sorted(path.name for path in merged.iterdir()) == [
        "detections.csv",
        "detections.parquet",
        "failed.csv",
        "index.html",
        "segments.parquet",
    ]


def test_tables_in_parts_are_the_same(
    run_tool: RunTool, archive: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_tool("merge", archive.address, "--output", tmp_path / "whole")[0] == 0
    monkeypatch.setattr(tables, "MAX_ROWS", 2)
    assert run_tool("merge", archive.address, "--output", tmp_path / "parts")[0] == 0
    for name in ("detections", "segments"):
        one, other = (pl.read_parquet(tmp_path / f / f"{name}.parquet") for f in ("whole", "parts"))
        assert one.equals(other)
    one, other = ((tmp_path / f / "detections.csv").read_bytes() for f in ("whole", "parts"))
    assert one == other


def test_a_video_without_a_trace_and_a_damaged_result_are_refused(
    run_tool: RunTool, archive: FolderStore, tmp_path: Path
) -> None:
    good = archive.read(result_name(ENTRIES[0].id))
    archive.write(result_name(ENTRIES[0].id), good[:-30])
    assert_mistake(run_tool("merge", archive.address), "a%2Fx.mp4.jsonl, line 3")
    archive.write(MANIFEST, b"".join(format_manifest("/videos", ENTRIES)))
    mistake = run_tool("merge", archive.address)
    assert_mistake(mistake, "each of 4 videos", "neither of 1, such as e.mp4", "ava-det label")
    assert not list((tmp_path / "out" / "merged").iterdir())
    assert_mistake(run_tool("merge", tmp_path), "found no manifest.jsonl")


def test_the_queries_of_the_page_run(
    run_tool: RunTool,
    archive: FolderStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_tool("merge", archive.address, "--output", tmp_path / "DIR" / "merged")[0] == 0
    monkeypatch.chdir(tmp_path)
    [block] = re.findall(r"<!-- run -->\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["clips"].rows() == [("a/x.mp4", 1.0, 2.0)]
    assert names["per_hour"].rows() == [
        ("a/x.mp4", 0, "hug (a person)", 2),
        ("a/x.mp4", 0, "stand", 1),
    ]
