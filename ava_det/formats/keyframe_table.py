"""Makes tables of keyframe records: a row for each person and action."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from ava_det.formats.keyframe_records import KeyframeRecord

SCHEMA = {
    "video": pl.String,
    "time": pl.Float64,
    "timestamp": pl.Float64,
    "track": pl.Int64,
    "person_score": pl.Float64,
    "x1": pl.Float64,
    "y1": pl.Float64,
    "x2": pl.Float64,
    "y2": pl.Float64,
    "action_id": pl.Int64,
    "action": pl.String,
    "score": pl.Float64,
}
Row = tuple[Any, ...]


def list_rows(record: KeyframeRecord) -> list[Row]:
    """Lists the rows of a keyframe, as `SCHEMA` names their columns.

    Boxes are fractions of the frame, `time` is in seconds of the file. A person without an action
    has a row with none.
    """
    rows: list[Row] = []
    for person in record.persons:
        known = (record.video, record.time, record.timestamp, person.track_id, person.score)
        actions: list[Row] = [(one.action_id, one.name, one.score) for one in person.actions]
        rows += [(*known, *person.box, *action) for action in actions or [(None, None, None)]]
    return rows


def make_table(rows: Iterable[Row]) -> pl.DataFrame:
    """Makes a table of rows, also of none."""
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")
