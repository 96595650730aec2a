"""Reads an AVA CSV row by row: slow, but with line numbers.

It repairs what is harmless, refuses the rest and says where.
"""

from __future__ import annotations

import codecs
import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ava_det.formats.ava_csv.foreign import describe_foreign_file
from ava_det.formats.ava_csv.opened import DAMAGED, open_bytes, open_text
from ava_det.formats.ava_csv.rows import (
    COLUMNS,
    EMPTY_ACTION,
    EMPTY_BOX,
    EMPTY_COLUMN_8,
    FRACTIONAL_TIMESTAMP,
    ID_BELOW_ONE,
    SEVEN_COLUMNS,
    TWO_COLUMNS,
    AvaRows,
    RowForm,
)

HEADER_HINT = "; AVA's CSV files have no header line, delete it"


def read_row_by_row(path: Path, form: RowForm, refused: dict[int, str] | None) -> AvaRows:
    """Reads every row of a file.

    Args:
        path: The file.
        form: What its rows look like.
        refused: Where given, receives a sentence by line for each malformed row, which is left out.

    Raises:
        ValueError: A row is malformed, and `refused` is None; the sentence names the line.
    """
    parser = _RowParser(path, form)
    videos: dict[str, int] = {}
    index: list[int] = []
    values: list[tuple[float, ...]] = []
    lines: list[int] = []
    with open_bytes(path) as raw:
        if raw.read(3) == codecs.BOM_UTF8:
            parser.repairs["byte order mark"] = describe_byte_order_mark(path)
    for line, row in numbered_rows(path):
        try:
            numbers = parser.parse(line, row)
        except ValueError as error:
            if refused is None:
                raise explain_refusal(path, error) from None
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
        ids_or_scores=columns[:, 6].copy(),
        path=str(path),
        lines=np.array(lines, dtype=np.int64),
        forms=parser.forms,
        repairs=list(parser.repairs.values()),
    )


def numbered_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the line number and the cells of each row of a CSV.

    Raises:
        ValueError: The file is no comma-separated UTF-8 text.
    """
    with open_text(path) as file:
        reader = csv.reader(file, strict=True)
        try:
            for row in reader:
                yield reader.line_num, row
        except UnicodeDecodeError:
            error = ValueError(f"{path}, after line {reader.line_num}: expected UTF-8 text")
            raise explain_refusal(path, error) from None
        except DAMAGED as problem:
            where = f"{path}, after line {reader.line_num}"
            raise ValueError(f"{where}: the compressed file is damaged ({problem})") from None
        except csv.Error as problem:
            where = f"{path}, line {reader.line_num}"
            error = ValueError(f"{where}: expected comma-separated values ({problem})")
            raise explain_refusal(path, error) from None


def explain_refusal(path: Path, error: ValueError) -> ValueError:
    """Adds to an error what the file is, where it is of another kind."""
    file_kind = describe_foreign_file(path)
    return error if file_kind is None else ValueError(f"{error}; the file is {file_kind}")


class _RowParser:
    """Converts rows of text to numbers, or refuses them with file, line and what was expected."""

    def __init__(self, path: Path, form: RowForm) -> None:
        self.path = path
        self.form = form
        self.forms: dict[str, int] = {}
        self.repairs: dict[str, str] = {}

    def parse(self, line: int, row: list[str]) -> tuple[float, ...] | None:
        """Returns (timestamp, x1, y1, x2, y2, action_id, id_or_score); None for an empty row."""
        if not any(text.strip() for text in row):
            self.repairs.setdefault("blank", f"{self.path}, line {line}: a blank line was skipped")
            return None
        if len(row) not in self.form.num_columns:
            known = (
                ", ".join(map(str, self.form.num_columns[:-1])) + " or "
                if len(self.form.num_columns) > 1
                else ""
            )
            raise self._error(
                line, f"expected {known}{self.form.num_columns[-1]} columns, found {len(row)}"
            )
        if not row[0]:
            raise self._error(line, "expected a video id in column 1, found nothing")
        timestamp = self._timestamp(line, row)
        if len(row) == 2:
            self.forms.setdefault(TWO_COLUMNS, line)
            return (
                (timestamp, *[math.nan] * 4, 0, math.nan) if self.form.keeps_two_columns else None
            )
        return (
            timestamp,
            *self._box(line, row[2:6]),
            self._action(line, row[6]),
            self._id_or_score(line, row),
        )

    def _error(self, line: int, expected: str) -> ValueError:
        """Makes an error that names file and line."""
        return ValueError(f"{self.path}, line {line}: {expected}")

    def _number(self, line: int, text: str, name: str) -> float:
        """Parses a number; raises ValueError for anything else."""
        if not is_number(text):
            raise self._error(line, f"expected a number as {name}, found {text!r}")
        return float(text)

    def _timestamp(self, line: int, row: list[str]) -> float:
        """Parses a timestamp, in seconds."""
        text = row[1]
        try:
            timestamp = self._number(line, text, "timestamp")
        except ValueError as error:
            hint = HEADER_HINT if line == 1 and not any(map(is_number, row)) else ""
            raise ValueError(f"{error}{hint}") from None
        if not math.isfinite(timestamp):
            raise self._error(line, f"expected seconds as timestamp, found {text!r}")
        if not is_integer(text):
            self.forms.setdefault(FRACTIONAL_TIMESTAMP, line)
        return timestamp

    def _box(self, line: int, texts: list[str]) -> list[float]:
        """Parses a box; an empty one is NaN where the form allows it."""
        if "box" in self.form.may_be_empty and not any(texts):
            self.forms.setdefault(EMPTY_BOX, line)
            return [math.nan] * 4
        return [
            self._number(line, text, name) for text, name in zip(texts, COLUMNS[2:6], strict=True)
        ]

    def _action(self, line: int, text: str) -> int:
        """Parses an action id; an empty one is 0 where the form allows it."""
        if not text and "action_id" in self.form.may_be_empty:
            self.forms.setdefault(EMPTY_ACTION, line)
            return 0
        number = self._number(line, text, "action_id")
        if not number.is_integer() or abs(number) >= 2**53:
            raise self._error(line, f"expected a whole number as action_id, found {text!r}")
        if number < 1:
            self.forms.setdefault(ID_BELOW_ONE, line)
        if is_integer(text):
            return int(text)
        self.repairs.setdefault(
            "id", f"{self.path}, line {line}: action id {text} was read as {int(number)}"
        )
        return int(number)

    def _id_or_score(self, line: int, row: list[str]) -> float:
        """Parses a person id or a score; an empty one is NaN where the form allows it."""
        if len(row) == 7:
            self.forms.setdefault(SEVEN_COLUMNS, line)
            return self.form.absent_id_or_score
        if not row[7] and "id_or_score" in self.form.may_be_empty:
            self.forms.setdefault(EMPTY_COLUMN_8, line)
            return math.nan
        return self._number(line, row[7], self.form.last_column)


def describe_byte_order_mark(path: Path) -> str:
    """Says that the byte order mark of a file was skipped."""
    return f"{path}: a byte order mark before the first row was skipped"


def is_number(text: str) -> bool:
    """Returns whether a cell is a number.

    Python reads 3_0 as 30, but `3_` in a published copy is a row cut short, so `_` is refused.
    """
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def is_integer(text: str) -> bool:
    """Returns whether a cell is written as a whole number; `902.0` is not."""
    try:
        int(text)
    except ValueError:
        return False
    return True
