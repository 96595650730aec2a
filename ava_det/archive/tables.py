"""Writes the tables of an archive row by row, however many there are, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np
import polars as pl

from ava_det.files import atomic_path
from ava_det.formats.ava_csv import write_rows
from ava_det.formats.keyframe_records import KeyframeRecord
from ava_det.formats.keyframe_table import Row, list_rows, make_table
from ava_det.formats.timestamps import format_timestamp
from ava_det.segments import Segment, write_segments

MAX_ROWS = 200_000  # that are held in memory


@contextmanager
def writing_tables(folder: Path) -> Iterator[ArchiveTables]:
    """Writes `detections.parquet`, `detections.csv` and `segments.parquet` into a folder.

    They appear when the block ends without an error; until then parts of them stand beside them.

    Args:
        folder: Where to write; it is made if it is missing.

    Yields:
        Takes the rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(dir=folder, prefix=".parts") as parts,
        atomic_path(folder / "detections.csv") as csv,
        open(csv, "wb") as file,
    ):
        tables = ArchiveTables(Path(parts), file)
        yield tables
        tables.finish(folder)


class ArchiveTables:
    """Takes rows, and holds a part of them in memory.

    Args:
        parts: A folder for the parts of tables.
        csv: The AVA result CSV.
    """

    def __init__(self, parts: Path, csv: BinaryIO) -> None:
        self._folder = parts
        self._csv = csv
        self._rows: list[Row] = []
        self._segments: list[Segment] = []
        self._parts: dict[str, list[Path]] = {"detections": [], "segments": []}

    def add_keyframe(self, record: KeyframeRecord) -> None:
        """Adds the persons of a keyframe."""
        self._rows += list_rows(record)
        if len(self._rows) >= MAX_ROWS:
            self._write_rows()

    def add_segments(self, segments: list[Segment]) -> None:
        """Adds the segments of a video."""
        self._segments += segments
        if len(self._segments) >= MAX_ROWS:
            self._write_segments()

    def finish(self, folder: Path) -> None:
        """Writes what is held, and joins the parts of each table in their order."""
        self._write_rows()
        self._write_segments()
        for name, parts in self._parts.items():
            with atomic_path(folder / f"{name}.parquet") as temporary:
                pl.scan_parquet(parts).sink_parquet(temporary, maintain_order=True)

    def _write_rows(self) -> None:
        table = make_table(self._rows)
        self._rows = []
        table.write_parquet(self._name_part("detections"))
        table = table.filter(pl.col("action_id").is_not_null())
        part = self._folder / "part.csv"
        times = np.array([format_timestamp(time) for time in table["timestamp"]], dtype=object)
        boxes = table.select("x1", "y1", "x2", "y2").cast(pl.Float32).to_numpy()
        scores = table["score"].cast(pl.Float32).to_numpy()
        write_rows(
            part, table["video"].to_numpy(), times, boxes, table["action_id"].to_numpy(), scores
        )
        self._csv.write(part.read_bytes())

    def _write_segments(self) -> None:
        write_segments(self._name_part("segments"), self._segments)
        self._segments = []

    def _name_part(self, table: str) -> Path:
        parts = self._parts[table]
        parts.append(self._folder / f"{table}{len(parts):06d}.parquet")
        return parts[-1]
