"""Reads an AVA CSV into columns with polars.

It is as fast as pandas' default reader, and every number is the float64 nearest to its text, which
pandas' default reader does not promise and exact mAP needs. What polars refuses or leaves empty is
read again row by row.
"""

from __future__ import annotations

import codecs
import csv
from pathlib import Path

import numpy as np
import polars as pl

from ava_det.formats.ava_csv.opened import open_bytes, open_text
from ava_det.formats.ava_csv.row_by_row import describe_byte_order_mark, is_integer, read_row_by_row
from ava_det.formats.ava_csv.rows import (
    ANNOTATIONS,
    BOXES,
    COLUMNS,
    DETECTIONS,
    FRACTIONAL_TIMESTAMP,
    ID_BELOW_ONE,
    AvaRows,
    RowForm,
)


def load_annotations(path: str | Path, refused: dict[int, str] | None = None) -> AvaRows:
    """Reads ground truth; column 8 is the person id, NaN where empty or absent.

    A row of two columns (a keyframe without action), of seven columns, or with an empty box or
    action is accepted and noted in `forms`.

    Args:
        path: The file.
        refused: Where given, malformed rows are left out and explained here by line, and ids below
            1 are kept.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A row is malformed, and `refused` is None.
    """
    rows = _load(path, ANNOTATIONS, refused)
    if refused is None:
        _refuse_ids_below_one(rows)
    return rows


def _refuse_ids_below_one(rows: AvaRows) -> None:
    """Raises ValueError for ids below 1: with ids from 0, training would be one class off.

    A person who does none of the actions has an empty action id.
    """
    line = rows.forms.get(ID_BELOW_ONE)
    if line is None:
        return
    row = line - 1 if rows.lines is None else int(np.searchsorted(rows.lines, line))
    raise ValueError(
        f"{rows.path}, line {line}: expected an action id from 1 on, found "
        f"{rows.action_ids[row]}; ids count from 1: where yours count from 0, add 1 to every id, "
        "here and in the label map; leave the cell empty for a person without an action"
    )


def load_detections(path: str | Path) -> AvaRows:
    """Reads results; column 8 is the action's score.

    It is 1.0 where the row has seven columns (as in AVA's official code). A row of two columns says
    "nothing detected here" and is left out.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A row is malformed.
    """
    return _load(path, DETECTIONS)


def load_box_rows(path: str | Path, refused: dict[int, str] | None = None) -> AvaRows:
    """Reads person boxes `video_id,timestamp,x1,y1,x2,y2,,score`; column 8 is the score.

    Column 7 may be empty, -1 or an action id; it is not used.

    Args:
        path: The file.
        refused: As for `load_annotations`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A row is malformed, and `refused` is None.
    """
    return _load(path, BOXES, refused)


def _load(path: str | Path, form: RowForm, refused: dict[int, str] | None = None) -> AvaRows:
    """Reads a file of one kind, with polars or else row by row."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected the AVA CSV of {form.noun}")
    frame, fractional = _read_frame(path, form)
    if frame is None:
        return read_row_by_row(path, form, refused)
    rows = _rows_from_frame(frame, path)
    if form is ANNOTATIONS and rows.action_ids.min(initial=1) < 1:
        rows.forms[ID_BELOW_ONE] = int(np.argmax(rows.action_ids < 1)) + 1
    if fractional:
        rows.forms[FRACTIONAL_TIMESTAMP] = _first_fractional_line(path)
    with open_bytes(path) as file:
        if file.read(3) == codecs.BOM_UTF8:
            rows.repairs.append(describe_byte_order_mark(path))
    return rows


def _read_frame(path: Path, form: RowForm) -> tuple[pl.DataFrame | None, bool]:
    """Reads a file with polars.

    Returns:
        Eight columns, or None where a row needs the slow reader; and whether timestamps are
        fractional.
    """
    for timestamp_type, fractional in ((pl.Int32, False), (pl.Float64, True)):
        types = [pl.Categorical(), timestamp_type, *[pl.Float64] * 4, pl.Int64, pl.Float64]
        schema = pl.Schema(dict(zip(COLUMNS, types, strict=True)))
        try:
            frame = pl.read_csv(path, has_header=False, schema=schema, raise_if_empty=False)
        except (pl.exceptions.PolarsError, OSError):
            continue
        if form is BOXES:
            frame = frame.with_columns(pl.col("action_id").fill_null(0))
        needs_slow_reader = sum(frame.null_count().row(0)) or (
            fractional and not frame["timestamp"].is_finite().all()
        )
        return (None if needs_slow_reader else frame), fractional
    return None, False


def _rows_from_frame(frame: pl.DataFrame, path: Path) -> AvaRows:
    """Converts a polars frame to rows."""
    videos = frame["video_id"].unique(maintain_order=True)
    present = videos.to_physical().to_numpy()
    dense = np.zeros(present.max(initial=0) + 1, np.int32)
    dense[present] = np.arange(len(present))
    # each column is contiguous: columns are copied and compared one by one
    boxes = np.empty((len(frame), 4), order="F")
    for column, name in enumerate(("x1", "y1", "x2", "y2")):
        _copy_chunks(frame[name], boxes[:, column])
    timestamps = np.empty(len(frame))
    _copy_chunks(frame["timestamp"], timestamps)
    return AvaRows(
        video_names=videos.cast(pl.String).to_list(),
        video_index=dense[frame["video_id"].to_physical().to_numpy()],
        timestamps=timestamps,
        boxes=boxes,
        action_ids=frame["action_id"].to_numpy(),
        ids_or_scores=frame["id_or_score"].to_numpy(),
        path=str(path),
    )


def _copy_chunks(column: pl.Series, target: np.ndarray) -> None:
    """Copies a column in the pieces in which it is stored, without joining them first."""
    start = 0
    for chunk in column.get_chunks():
        target[start : start + len(chunk)] = chunk.to_numpy()
        start += len(chunk)


def _first_fractional_line(path: Path) -> int:
    """Returns the number of the first line with a fractional timestamp; 0 for none."""
    with open_text(path) as file:
        for number, row in enumerate(csv.reader(file), 1):
            if len(row) > 1 and not is_integer(row[1]):
                return number
    return 0
