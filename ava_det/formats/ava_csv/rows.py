"""Defines the rows of an AVA CSV as columns in memory, and their form in each kind of file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

TWO_COLUMNS = "two columns"
SEVEN_COLUMNS = "seven columns"
EMPTY_COLUMN_8 = "empty column 8"
EMPTY_ACTION = "empty action"
EMPTY_BOX = "empty box"
FRACTIONAL_TIMESTAMP = "fractional timestamp"
ID_BELOW_ONE = "action id below 1"

COLUMNS = ("video_id", "timestamp", "x1", "y1", "x2", "y2", "action_id", "id_or_score")


@dataclass
class AvaRows:
    """Holds the R rows of one AVA CSV, column by column, in file order.

    Attributes:
        video_names: The distinct video ids.
        video_index: int32 [R], indices of `video_names`.
        timestamps: float64 [R], annotation times in seconds.
        boxes: float64 [R, 4], normalized xyxy, NaN where the row has none.
        action_ids: int64 [R], 1-based, 0 where empty.
        ids_or_scores: float64 [R], person id or score as the loader says, NaN where absent.
        path: The file, for messages.
        lines: int64 [R], 1-based, or None where row i is on line i + 1.
        forms: Unusual but legal row forms, with the line of the first row of each; protocols differ
            in which they accept.
        repairs: What was repaired while reading, one sentence each.
        row_noun: What a row is called in messages.
        paths: The files, for rows of several.
        path_index: int32 [R], indices of `paths`; None where all rows are of `path`.
    """

    video_names: list[str]
    video_index: np.ndarray
    timestamps: np.ndarray
    boxes: np.ndarray
    action_ids: np.ndarray
    ids_or_scores: np.ndarray
    path: str = "<memory>"
    lines: np.ndarray | None = None
    forms: dict[str, int] = field(default_factory=dict)
    repairs: list[str] = field(default_factory=list)
    row_noun: str = "line"
    paths: list[str] = field(default_factory=list)
    path_index: np.ndarray | None = None

    @property
    def person_ids(self) -> np.ndarray:
        """Returns column 8 of annotations: float64 [R], NaN where it is empty."""
        return self.ids_or_scores

    @property
    def scores(self) -> np.ndarray:
        """Returns column 8 of detections and box files: float64 [R]."""
        return self.ids_or_scores

    def __len__(self) -> int:
        return len(self.action_ids)

    @property
    def video_ids(self) -> np.ndarray:
        """Returns the video id of every row: object [R]."""
        names: np.ndarray = np.asarray(self.video_names, dtype=object)[self.video_index]
        return names

    def where(self, row: int) -> str:
        """Returns the place of a row as text, for messages."""
        path, number = self.place(row)
        return f"{path}, {self.row_noun} {number}"

    def place(self, row: int) -> tuple[str, int]:
        """Returns the file of a row, and the row's number in it, from 1."""
        path = self.path if self.path_index is None else self.paths[self.path_index[row]]
        return path, row + 1 if self.lines is None else int(self.lines[row])

    def take(self, rows: np.ndarray) -> AvaRows:
        """Returns some of the rows, int [K] in rising order; each keeps its place in its file."""
        lines = np.arange(1, len(self) + 1) if self.lines is None else self.lines
        return replace(
            self,
            video_index=self.video_index[rows],
            timestamps=self.timestamps[rows],
            boxes=self.boxes[rows],
            action_ids=self.action_ids[rows],
            ids_or_scores=self.ids_or_scores[rows],
            lines=lines[rows],
            path_index=None if self.path_index is None else self.path_index[rows],
        )


@dataclass(frozen=True)
class RowForm:
    """Describes the rows of one kind of file.

    Attributes:
        noun: What the rows are called in messages.
        last_column: The name of column 8.
        num_columns: The lengths that a row may have.
        may_be_empty: Which of "box", "action_id" and "id_or_score" may be empty with a meaning.
        absent_id_or_score: The value of column 8 for a row of seven columns.
        keeps_two_columns: Whether a row of two columns is kept.
    """

    noun: str
    last_column: str
    num_columns: tuple[int, ...]
    may_be_empty: frozenset[str]
    absent_id_or_score: float = math.nan
    keeps_two_columns: bool = False


ANNOTATIONS = RowForm(
    "annotations",
    "person_id",
    (2, 7, 8),
    frozenset({"box", "action_id", "id_or_score"}),
    keeps_two_columns=True,
)
DETECTIONS = RowForm("detections", "score", (2, 7, 8), frozenset(), absent_id_or_score=1.0)
BOXES = RowForm("person boxes", "score", (8,), frozenset({"action_id"}))
