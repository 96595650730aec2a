"""Rows of AVA's CSV files: annotations, detections and person boxes, read into columns and written back.

No file has a header. A row is `video_id,timestamp,x1,y1,x2,y2,action_id,column8`; boxes are normalised xyxy. Column 8
is a person id in annotations and a score in detections and box files, so each kind has its own `load_` function.

A file of the expected form is read by polars: as fast as pandas' default reader, and every number is the float64
nearest to its text, which pandas' default reader does not promise and exact mAP needs. Whatever polars refuses or
leaves empty is read again row by row, which is slow but knows lines: it repairs what is harmless (and says so in
`AvaRows.repairs`) and refuses the rest with the file, the line and what was expected.
"""

from __future__ import annotations

import codecs
import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from ava_det.files import atomic_path

TWO_COLUMNS = "two columns"
SEVEN_COLUMNS = "seven columns"
EMPTY_COLUMN_8 = "empty column 8"
EMPTY_ACTION = "empty action"
EMPTY_BOX = "empty box"
FRACTIONAL_TIMESTAMP = "fractional timestamp"

_COLUMNS = ("video_id", "timestamp", "x1", "y1", "x2", "y2", "action_id", "column8")


@dataclass
class AvaRows:
    """The rows of one AVA CSV, column by column; R rows in file order.

    video_names: the distinct video ids; video_index: int32 [R] into them. timestamps: float64 [R], seconds.
    boxes: float64 [R, 4], normalised xyxy, NaN where the row has none. action_ids: int64 [R], 1-based, 0 where empty.
    column8: float64 [R]; person id or score as the loader says, NaN where absent.
    path: the file, for messages. lines: int64 [R], 1-based, or None where row i stands on line i + 1.
    forms: unusual but legal row forms -> the line of the first one; protocols differ in which they accept.
    repairs: what was repaired while reading, one sentence each. row_noun: what a row is in that file, for messages.
    """

    video_names: list[str]
    video_index: np.ndarray
    timestamps: np.ndarray
    boxes: np.ndarray
    action_ids: np.ndarray
    column8: np.ndarray
    path: str = "<memory>"
    lines: np.ndarray | None = None
    forms: dict[str, int] = field(default_factory=dict)
    repairs: list[str] = field(default_factory=list)
    row_noun: str = "line"

    def __len__(self) -> int:
        return len(self.action_ids)

    @property
    def video_ids(self) -> np.ndarray:
        """The video id of every row: object [R]."""
        return np.asarray(self.video_names, dtype=object)[self.video_index]

    def where(self, row: int) -> str:
        """The place of a row, for messages."""
        return f"{self.path}, {self.row_noun} {row + 1 if self.lines is None else int(self.lines[row])}"


def load_annotations(path: str | Path, refused: dict[int, str] | None = None) -> AvaRows:
    """Ground truth: column 8 is the person id, NaN where empty or absent.

    A row of two columns (a keyframe without action), of seven columns, or with an empty box or action is accepted and
    noted in `forms`. Raises ValueError for any other malformed row, FileNotFoundError for a missing file. Given a
    dictionary `refused`, malformed rows are left out instead and explained there by line.
    """
    return _load(path, _ANNOTATIONS, refused)


def load_detections(path: str | Path) -> AvaRows:
    """Results: column 8 is the action's score, 1.0 where the row has seven columns (as the official code has it).

    A row of two columns says "nothing detected here" and is left out. Raises ValueError for any malformed row.
    """
    return _load(path, _DETECTIONS)


def load_box_rows(path: str | Path, refused: dict[int, str] | None = None) -> AvaRows:
    """Person boxes `video_id,timestamp,x1,y1,x2,y2,,score`: column 8 is the score.

    Column 7 may be empty, -1 or an action id: it is not read for boxes. refused: as for `load_annotations`.
    """
    return _load(path, _BOXES, refused)


@dataclass(frozen=True)
class _Form:
    """What the rows of one kind of file look like."""

    noun: str
    last_column: str
    num_columns: tuple[int, ...]
    may_be_empty: frozenset[str]
    absent_column8: float = math.nan
    keeps_two_columns: bool = False


_ANNOTATIONS = _Form(
    "annotations",
    "person_id",
    (2, 7, 8),
    frozenset({"box", "action_id", "column8"}),
    keeps_two_columns=True,
)
_DETECTIONS = _Form("detections", "score", (2, 7, 8), frozenset(), absent_column8=1.0)
_BOXES = _Form("person boxes", "score", (8,), frozenset({"action_id"}))


def _load(path: str | Path, form: _Form, refused: dict[int, str] | None = None) -> AvaRows:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected the AVA CSV of {form.noun}")
    frame, fractional = _read_frame(path, form)
    if frame is None:
        return _read_row_by_row(path, form, refused)
    rows = _rows_from_frame(frame, path)
    if fractional:
        rows.forms[FRACTIONAL_TIMESTAMP] = _first_fractional_line(path)
    with path.open("rb") as file:
        if file.read(3) == codecs.BOM_UTF8:
            rows.repairs.append(_bom_sentence(path))
    return rows


def _read_frame(path: Path, form: _Form) -> tuple[pl.DataFrame | None, bool]:
    """The file as eight columns and whether timestamps are fractional; None where a row needs a closer look."""
    for timestamp_type, fractional in ((pl.Int32, False), (pl.Float64, True)):
        types = [pl.Categorical(), timestamp_type, *[pl.Float64] * 4, pl.Int64, pl.Float64]
        schema = pl.Schema(dict(zip(_COLUMNS, types, strict=True)))
        try:
            frame = pl.read_csv(path, has_header=False, schema=schema, raise_if_empty=False)
        except (pl.exceptions.PolarsError, OSError):
            continue
        if form is _BOXES:
            frame = frame.with_columns(pl.col("action_id").fill_null(0))
        needs_a_closer_look = sum(frame.null_count().row(0)) or (
            fractional and not frame["timestamp"].is_finite().all()
        )
        return (None if needs_a_closer_look else frame), fractional
    return None, False


def _rows_from_frame(frame: pl.DataFrame, path: Path) -> AvaRows:
    videos = frame["video_id"].unique(maintain_order=True)
    present = videos.to_physical().to_numpy()
    dense = np.zeros(present.max(initial=0) + 1, np.int32)
    dense[present] = np.arange(len(present))
    boxes = np.empty((len(frame), 4), order="F")  # columns lie together: they arrive and are compared one by one
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
        column8=frame["column8"].to_numpy(),
        path=str(path),
    )


def _copy_chunks(column: pl.Series, target: np.ndarray) -> None:
    """Copies a column as it lies in memory, in pieces, without making one piece of it first."""
    start = 0
    for chunk in column.get_chunks():
        target[start : start + len(chunk)] = chunk.to_numpy()
        start += len(chunk)


def _first_fractional_line(path: Path) -> int:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if len(row) > 1 and not _is_integer(row[1]):
                return number
    return 0


def _is_integer(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _bom_sentence(path: Path) -> str:
    return f"{path}: a byte order mark before the first row was skipped"


def _read_row_by_row(path: Path, form: _Form, refused: dict[int, str] | None) -> AvaRows:
    parser = _RowParser(path, form)
    videos: dict[str, int] = {}
    index: list[int] = []
    values: list[tuple[float, ...]] = []
    lines: list[int] = []
    with path.open("rb") as raw:
        if raw.read(3) == codecs.BOM_UTF8:
            parser.repairs["byte order mark"] = _bom_sentence(path)
    for line, row in _numbered_rows(path):
        try:
            numbers = parser.parse(line, row)
        except ValueError as error:
            if refused is None:
                raise
            refused[line] = str(error)
            continue
        if numbers is not None:
            index.append(videos.setdefault(row[0], len(videos)))
            values.append(numbers)
            lines.append(line)
    columns = np.array(values, dtype=np.float64).reshape(-1, 7)
    return AvaRows(
        video_names=list(videos),
        video_index=np.array(index, dtype=np.int32),
        timestamps=columns[:, 0].copy(),
        boxes=columns[:, 1:5].copy(),
        action_ids=columns[:, 5].astype(np.int64),
        column8=columns[:, 6].copy(),
        path=str(path),
        lines=np.array(lines, dtype=np.int64),
        forms=parser.forms,
        repairs=list(parser.repairs.values()),
    )


def _numbered_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            for row in reader:
                yield reader.line_num, row
        except UnicodeDecodeError:
            raise ValueError(f"{path}, after line {reader.line_num}: expected UTF-8 text") from None
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: expected comma-separated values ({error})") from None


class _RowParser:
    """Turns one row of text into numbers, or refuses it with file, line and what was expected."""

    def __init__(self, path: Path, form: _Form) -> None:
        self.path, self.form = path, form
        self.forms: dict[str, int] = {}
        self.repairs: dict[str, str] = {}

    def parse(self, line: int, row: list[str]) -> tuple[float, ...] | None:
        """(timestamp, x1, y1, x2, y2, action_id, column8), or None for a row that says nothing."""
        if not any(text.strip() for text in row):
            self.repairs.setdefault("blank", f"{self.path}, line {line}: a blank line was skipped")
            return None
        if len(row) not in self.form.num_columns:
            known = ", ".join(map(str, self.form.num_columns[:-1])) + " or " if len(self.form.num_columns) > 1 else ""
            raise self._error(line, f"expected {known}{self.form.num_columns[-1]} columns, found {len(row)}")
        if not row[0]:
            raise self._error(line, "expected a video id in column 1, found nothing")
        timestamp = self._timestamp(line, row[1])
        if len(row) == 2:
            self.forms.setdefault(TWO_COLUMNS, line)
            return (timestamp, *[math.nan] * 4, 0, math.nan) if self.form.keeps_two_columns else None
        return (timestamp, *self._box(line, row[2:6]), self._action(line, row[6]), self._column8(line, row))

    def _error(self, line: int, expected: str) -> ValueError:
        return ValueError(f"{self.path}, line {line}: {expected}")

    def _number(self, line: int, text: str, name: str) -> float:
        try:
            if "_" in text:  # Python reads 3_0 as 30; in a published copy `3_` is a row cut short
                raise ValueError
            return float(text)
        except ValueError:
            raise self._error(line, f"expected a number as {name}, found {text!r}") from None

    def _timestamp(self, line: int, text: str) -> float:
        try:
            timestamp = self._number(line, text, "timestamp")
        except ValueError as error:
            hint = "; AVA's CSV files have no header line, delete it" if line == 1 and text[:1].isalpha() else ""
            raise ValueError(f"{error}{hint}") from None
        if not math.isfinite(timestamp):
            raise self._error(line, f"expected seconds as timestamp, found {text!r}")
        if not _is_integer(text):
            self.forms.setdefault(FRACTIONAL_TIMESTAMP, line)
        return timestamp

    def _box(self, line: int, texts: list[str]) -> list[float]:
        if "box" in self.form.may_be_empty and not any(texts):
            self.forms.setdefault(EMPTY_BOX, line)
            return [math.nan] * 4
        return [self._number(line, text, name) for text, name in zip(texts, _COLUMNS[2:6], strict=True)]

    def _action(self, line: int, text: str) -> int:
        if not text and "action_id" in self.form.may_be_empty:
            self.forms.setdefault(EMPTY_ACTION, line)
            return 0
        if _is_integer(text) and "_" not in text and abs(int(text)) < 2**53:
            return int(text)
        number = self._number(line, text, "action_id")
        if not number.is_integer():
            raise self._error(line, f"expected a whole number as action_id, found {text!r}")
        self.repairs.setdefault("id", f"{self.path}, line {line}: action id {text} was read as {int(number)}")
        return int(number)

    def _column8(self, line: int, row: list[str]) -> float:
        if len(row) == 7:
            self.forms.setdefault(SEVEN_COLUMNS, line)
            return self.form.absent_column8
        if not row[7] and "column8" in self.form.may_be_empty:
            self.forms.setdefault(EMPTY_COLUMN_8, line)
            return math.nan
        return self._number(line, row[7], self.form.last_column)


def write_rows(
    path: str | Path,
    video_ids: np.ndarray,
    timestamps: np.ndarray,
    boxes: np.ndarray,
    action_ids: np.ndarray | None,
    scores: np.ndarray,
) -> None:
    """Writes an AVA CSV, whole or not at all.

    video_ids: str [R]; timestamps: str [R], as `format_timestamp` gives them; boxes: [R, 4] normalised xyxy;
    action_ids: int [R], 1-based, or None for an empty column; scores: [R]. Floats are written in the fewest digits
    that read back as the same float32 or float64, so that a written and re-read file keeps its order and its ties.
    """
    nothing = pl.repeat(None, len(scores), dtype=pl.String, eager=True)
    actions = nothing if action_ids is None else pl.Series(np.asarray(action_ids))
    columns = [pl.Series(list(video_ids), dtype=pl.String), pl.Series(list(timestamps), dtype=pl.String)]
    columns += [pl.Series(np.ascontiguousarray(boxes[:, column])) for column in range(4)]
    columns += [actions, pl.Series(np.asarray(scores))]
    frame = pl.DataFrame([column.alias(name) for column, name in zip(columns, _COLUMNS, strict=True)])
    with atomic_path(path) as temporary:
        frame.write_csv(temporary, include_header=False, quote_style="necessary")
