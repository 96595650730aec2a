"""Reads the files of one split as far as they are readable; the rest becomes findings."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from ava_det.dataset_check.findings import ERROR, NOTE, Finding, quote_first
from ava_det.formats.annotations import (
    AvaRows,
    concatenate_rows,
    join_files,
    load_annotations,
    load_excluded,
)
from ava_det.formats.ava_csv import load_box_rows
from ava_det.formats.proposal_pickle import is_pickle, load_proposals
from ava_det.structures import KeyframeKey

Loader = Callable[[Path, dict[int, str]], AvaRows]


@dataclass(frozen=True)
class SplitFiles:
    """Names the files of a split.

    Attributes:
        name: train, val or test.
        annotations: The annotation files.
        excluded: The exclusion lists.
        boxes: As in the config: a detector where `is_detected`, else `gt` or one or more files.
        is_detected: Whether `boxes` is a detector.
    """

    name: str
    annotations: tuple[Path, ...]
    excluded: tuple[Path, ...]
    boxes: tuple[str, ...]
    is_detected: bool = False

    @property
    def where(self) -> str:
        """Returns the names of the annotation files, for messages."""
        return " and ".join(path.name for path in self.annotations)

    @property
    def box_files(self) -> tuple[Path, ...]:
        """Returns the box files; none where the boxes come from elsewhere."""
        return () if self.is_detected or self.boxes == ("gt",) else tuple(map(Path, self.boxes))

    @property
    def where_boxes(self) -> str:
        """Returns the names of the box files, for messages."""
        return " and ".join(path.name for path in self.box_files)


@dataclass
class SplitRows:
    """Holds what could be read of a split.

    Attributes:
        files: The files of the split.
        rows: The annotations, R rows (none where the split has no such file).
        excluded: The keyframes of the exclusion lists.
        boxes: Person boxes of files; None where they come from elsewhere or cannot be read.
    """

    files: SplitFiles
    rows: AvaRows
    excluded: set[KeyframeKey]
    boxes: AvaRows | None

    @property
    def name(self) -> str:
        """Returns the name of the split."""
        return self.files.name

    @cached_property
    def has_box(self) -> np.ndarray:
        """Returns which rows have any coordinate, bool [R]."""
        given: np.ndarray = ~np.isnan(self.rows.boxes).all(axis=1)
        return given

    @cached_property
    def table(self) -> pl.DataFrame:
        """Returns the annotations as a table; its columns are those of `tabulate`."""
        return tabulate(self.rows)

    @cached_property
    def keyframes(self) -> pl.DataFrame:
        """Returns the distinct keyframes: video_id, timestamp.

        They are those of the annotations, or of the box file where there are no annotations.
        """
        table = self.table if self.files.annotations or self.boxes is None else tabulate(self.boxes)
        return table.select("video_id", "timestamp").unique(maintain_order=True)


def tabulate(rows: AvaRows) -> pl.DataFrame:
    """Converts rows to a table.

    Its columns are row (the index), video_id, timestamp (in seconds, to the microsecond), x1, y1,
    x2, y2, action_id and id_or_score.
    """
    columns = dict(zip(("x1", "y1", "x2", "y2"), rows.boxes.T, strict=True))
    return pl.DataFrame(
        {
            "row": np.arange(len(rows)),
            "video_id": pl.Series(rows.video_ids, dtype=pl.String),
            "timestamp": rows.timestamps.round(6),
            **{name: np.ascontiguousarray(values) for name, values in columns.items()},
            "action_id": rows.action_ids,
            "id_or_score": rows.ids_or_scores,
        }
    )


def read_split(files: SplitFiles) -> tuple[SplitRows, list[Finding]]:
    """Reads the files of a split; makes a finding of everything that cannot be read."""
    findings: list[Finding] = []
    read = [
        part
        for path in files.annotations
        if (part := _read_annotations(path, findings)) is not None
    ]
    rows = join_files(read) if len(read) > 1 else read[0] if read else concatenate_rows([])
    excluded: set[KeyframeKey] = set()
    for path in files.excluded:
        try:
            excluded |= load_excluded(path)
        except (ValueError, OSError) as error:
            remedy = f"fix the file, or take data.{files.name}.excluded out of the config"
            findings.append(Finding(ERROR, path.name, _without_place(error, path), remedy))
    boxes = None
    if files.is_detected:
        problem = (
            f"persons of {files.name} come from the detector {files.boxes[0]}: its recall is not "
            "measured here"
        )
        remedy = "training and `ava-det test` print its recall and precision"
        findings.append(Finding(NOTE, f"data.{files.name}.boxes", problem, remedy))
    elif files.box_files:
        boxes = _read_box_files(files.box_files, findings)
    return SplitRows(files, rows, excluded, boxes), findings


def _read_annotations(path: Path, findings: list[Finding]) -> AvaRows | None:
    num_findings = len(findings)
    rows = _read_rows(path, load_annotations, findings)
    if path.is_file() and not rows and len(findings) == num_findings:
        findings.append(Finding(ERROR, path.name, "no rows", "write the annotations again"))
    return rows


def _read_box_files(paths: Sequence[Path], findings: list[Finding]) -> AvaRows | None:
    """Reads the box files of a split as one; finds keyframes that two of them have."""
    read = [part for path in paths if (part := _read_rows(path, _load_boxes, findings)) is not None]
    for first, second in combinations(read, 2):
        keys = ["video_id", "timestamp"]
        shared = tabulate(second).join(tabulate(first), on=keys, how="semi").unique(keys)
        if len(shared):
            problem = f"keyframes with boxes that {Path(first.path).name} has boxes of too"
            remedy = "keep the boxes of each keyframe in one file"
            findings.append(Finding(ERROR, Path(second.path).name, problem, remedy, len(shared)))
    return join_files(read) if len(read) > 1 else read[0] if read else None


def _load_boxes(path: Path, refused: dict[int, str]) -> AvaRows:
    is_list = path.is_file() and is_pickle(path)
    return load_proposals(path) if is_list else load_box_rows(path, refused)


def _read_rows(path: Path, load: Loader, findings: list[Finding]) -> AvaRows | None:
    refused: dict[int, str] = {}
    try:
        rows = load(path, refused)
    except (ValueError, OSError) as error:
        findings.append(
            Finding(
                ERROR,
                path.name,
                _without_place(error, path),
                "fix the file or its path in the config",
            )
        )
        return None
    kinds: dict[str, list[int]] = {}
    for line, sentence in refused.items():
        kinds.setdefault(sentence.split(": ", 1)[-1].split(", found")[0], []).append(line)
    for lines in kinds.values():
        problem = _without_place(refused[lines[0]], path)
        if len(lines) > 1:
            problem += f"; the same on lines {quote_first(lines[1:], 8)}"
        findings.append(
            Finding(
                ERROR, f"{path.name}:{lines[0]}", problem, "fix or delete these rows", len(lines)
            )
        )
    return rows


def _without_place(error: Exception | str, path: Path) -> str:
    """Cuts the file and the line off an error's sentence: another column of the table has them."""
    return re.sub(rf"^{re.escape(str(path))}(, (after )?line \d+)?: ", "", str(error))
