"""Reads exclusion lists: the keyframes that a protocol drops and that training leaves out."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

from ava_det.formats.ava_csv.row_by_row import (
    HEADER_HINT,
    explain_refusal,
    is_number,
    numbered_rows,
)
from ava_det.formats.ava_csv.rows import AvaRows
from ava_det.structures import KeyframeKey


def load_excluded(path: str | Path) -> set[KeyframeKey]:
    """Reads the keyframes of an exclusion list, a CSV of `video_id,timestamp` rows.

    Blanks around a cell are no part of it, and ids with commas are quoted, as in any CSV.

    Returns:
        The key of every row.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A row is no keyframe; the sentence names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected the CSV of excluded keyframes")
    excluded = set()
    for line, row in numbered_rows(path):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != 2 or not cells[0] or not is_number(cells[1]):
            is_header = line == 1 and len(cells) > 1 and not any(map(str.isdigit, "".join(cells)))
            expected = "a row such as movie,902" if is_header else "video_id,timestamp"
            found = f"{','.join(row)!r}{HEADER_HINT if is_header else ''}"
            error = ValueError(f"{path}, line {line}: expected {expected}, found {found}")
            raise explain_refusal(path, error)
        if not math.isfinite(float(cells[1])):
            raise ValueError(
                f"{path}, line {line}: expected seconds as timestamp, found {cells[1]!r}"
            )
        excluded.add(KeyframeKey.at(cells[0], float(cells[1])))
    return excluded


def describe_stray_exclusions(excluded: Collection[KeyframeKey], rows: AvaRows) -> str | None:
    """Says whether an exclusion list belongs to other annotations.

    AVA's own lists name keyframes that its annotations lack already, so it is no fault that none of
    them is in the annotations. A fault is a list without any time between the first and the last
    annotated one of its video.

    Args:
        excluded: From `load_excluded`.
        rows: The annotations the list is used with.

    Returns:
        A sentence, or None where the list is empty or fits.
    """
    index = {name: number for number, name in enumerate(rows.video_names)}
    for video_id in {video_id for video_id, _ in excluded} & index.keys():
        timestamps = rows.timestamps[rows.video_index == index[video_id]]
        moments = [float(key) for name, key in excluded if name == video_id]
        if any(timestamps.min() <= moment <= timestamps.max() for moment in moments):
            return None
    if not excluded or not len(rows):
        return None
    video_id, key = min(excluded)
    annotated = f"{rows.video_names[rows.video_index[0]]},{rows.timestamps[0]:g}"
    return (
        f"the exclusion list names no keyframe of {rows.path}: nothing was excluded; it has "
        f"'{video_id},{float(key):g}', the annotations have '{annotated}'"
    )
