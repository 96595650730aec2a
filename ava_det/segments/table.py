"""Writes segments as a table: CSV, or Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import polars as pl

from ava_det.files import atomic_path
from ava_det.formats.keyframe_records import make_records
from ava_det.segments.finder import Segment, SegmentFinder, SegmentRules
from ava_det.structures import Detections

SUFFIXES = (".csv", ".parquet")
SCHEMA = {
    "video": pl.String,
    "track": pl.Int64,
    "action": pl.String,
    "start": pl.Float64,
    "end": pl.Float64,
    "mean": pl.Float64,
    "max": pl.Float64,
    "frames": pl.Int64,
}
DECIMALS = 6  # of seconds and scores, as in the JSON lines


def check_table_name(path: Path, option: str) -> None:
    """Checks the name of a table to write.

    Raises:
        ValueError: It ends in neither .csv nor .parquet, or is a folder.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{option}: expected a file name that ends in .csv or .parquet, received {str(path)!r}"
        )
    if path.is_dir():
        raise ValueError(f"{option}: expected a file name to write, {path} is a folder")


def write_segments(path: str | Path, segments: Sequence[Segment]) -> None:
    """Writes a table of segments, a row each, whole or not at all.

    Args:
        path: Its suffix says the form: .csv or .parquet.
        segments: The rows.

    Raises:
        ValueError: The name has another suffix.
    """
    path = Path(path)
    check_table_name(path, "segments")
    frame = _make_frame(segments)
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".csv":
            frame.write_csv(temporary)
        else:
            frame.write_parquet(temporary)


def format_csv(segments: Sequence[Segment]) -> str:
    """Formats segments as the text of a CSV file, with its header."""
    text: str = _make_frame(segments).write_csv()
    return text


def _make_frame(segments: Sequence[Segment]) -> pl.DataFrame:
    """Makes a table of segments; times and scores have 6 decimals."""
    columns = {name: [getattr(one, name) for one in segments] for name in SCHEMA}
    frame = pl.DataFrame(columns, schema=SCHEMA)
    return frame.with_columns(pl.col(pl.Float64).round(DECIMALS))


class SegmentsFile:
    """Writes the segments of detections that come keyframe by keyframe; use it in a `with` block.

    The file appears when the block ends without an error.

    Args:
        path: A .csv or .parquet file.
        label_map: Action names by 1-based id.
        rules: What a segment is.
        start_second: Annotation time, in seconds, of the video's first frame.
    """

    def __init__(
        self,
        path: str | Path,
        label_map: Mapping[int, str],
        rules: SegmentRules,
        start_second: float,
    ) -> None:
        self.path = Path(path)
        self._label_map = label_map
        self._rules = rules
        self._start_second = start_second

    def __enter__(self) -> Self:
        self._finder = SegmentFinder(self._rules)
        return self

    def write(self, detections: Detections) -> None:
        """Adds the detections of a keyframe.

        Raises:
            ValueError: They have no track ids, or the keyframe no `frame_size`.
        """
        lowest = self._rules.find_lowest()
        [record] = make_records([detections], self._label_map, lowest, self._start_second)
        self._finder.add(record)

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            write_segments(self.path, self._finder.finish())
