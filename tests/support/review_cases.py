"""Segments to be reviewed: of a small video, and random ones."""

from __future__ import annotations

import json
from pathlib import Path

from ava_det.formats.keyframe_records import read_records
from ava_det.formats.label_map import write_label_map
from ava_det.review import Candidate, find_candidates
from ava_det.segments import SegmentRules
from tests.support.view_cases import NAMES, make_detections, write_jsonl, write_video

LABELS = {**NAMES, 4: "run", 7: "jump"}


def write_inputs(folder: Path, videos: tuple[str, ...] = ("walk",)) -> Path:
    """videos/NAME.mp4, NAME.jsonl and labels.pbtxt, as `ava-det review` reads them."""
    (folder / "videos").mkdir()
    for name in videos:
        write_video(folder / "videos" / f"{name}.mp4")
        write_jsonl(folder / f"{name}.jsonl", make_detections(video=name))
    write_label_map(folder / "labels.pbtxt", LABELS)
    return folder


def find_in(*files: Path) -> list[Candidate]:
    records = [record for path in files for record in read_records(path)]
    return find_candidates(records, SegmentRules(dict.fromkeys(LABELS, 0.0), {}))


def read_journal(output: Path) -> list[dict[str, object]]:
    """The steps in the journal of a CSV."""
    lines = output.with_name(f"{output.name}.journal").read_text().splitlines()
    return [json.loads(line) for line in lines[1:]]
