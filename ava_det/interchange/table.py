"""Reads a plain table of boxes, as a spreadsheet writes it: a CSV with a header.

    video,second,x1,y1,x2,y2,action,person
    walk,3,0.21,0.10,0.38,0.95,stand,0
    walk,3,0.21,0.10,0.38,0.95,wave,0

Columns may stand in any order; `frame` may take the place of `second`, and `person` may be absent.
One row is one action of one person: rows with the same box and person are one person. A row with an
empty action is a person who does none of them, one with an empty box a keyframe on which nobody is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ava_det.formats.ava_csv.row_by_row import explain_refusal, numbered_rows
from ava_det.interchange.clock import FrameClock, VideoClocks
from ava_det.interchange.labeled import Corners, LabeledBox
from ava_det.video.sources import cut_video_suffix

SIDES = ("x1", "y1", "x2", "y2")
NEEDED = ("video", *SIDES, "action")
KNOWN = ("video", "second", "frame", *SIDES, "action", "person")


def load_table(path: str | Path, clocks: VideoClocks, pixels: bool) -> list[LabeledBox]:
    """Reads the persons of a table; `video` is a video id, with or without the file's extension.

    Args:
        path: The CSV.
        clocks: The clocks of the videos, for a `frame` column, for boxes in pixels, and to check
            seconds.
        pixels: Whether boxes are in pixels of the video, not in fractions of it.

    Returns:
        One box a person and keyframe, in the file's order.

    Raises:
        ValueError: A row is wrong, or the video lacks its moment; one sentence naming the line.
    """
    path = Path(path)
    persons: dict[tuple[str, float, Corners | None, int | None], tuple[str, list[str]]] = {}
    files: dict[str, str] = {}
    for line, row in _numbered_rows(path):
        where = f"{path}, line {line}"
        path_in_row = PurePosixPath(row["video"].replace("\\", "/"))
        video_id = cut_video_suffix(path_in_row.name)
        file = str(path_in_row.parent / video_id)
        if not video_id:
            raise ValueError(f"{where}: expected a video, found nothing")
        if files.setdefault(video_id, file) != file:
            raise ValueError(
                f"{where}: expected file names of their own, found {files[video_id]} and {file}, "
                f"both video {video_id}"
            )
        timestamp = _read_moment(where, row, video_id, clocks)
        corners = _read_corners(where, row, clocks.find(video_id, where) if pixels else None)
        if corners is None and row["action"]:
            raise ValueError(
                f"{where}: expected a box for the action {row['action']!r}, found none"
            )
        person_id = int(_number(where, row, "person")) if row.get("person") else None
        _, actions = persons.setdefault((video_id, timestamp, corners, person_id), (where, []))
        actions += [row["action"]] if row["action"] else []
    return [
        LabeledBox(video_id, timestamp, corners, tuple(dict.fromkeys(actions)), person_id, where)
        for (video_id, timestamp, corners, person_id), (where, actions) in persons.items()
    ]


def _numbered_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a table of boxes (.csv)")
    rows = numbered_rows(path)
    header = [name.strip().lower() for name in next(rows, (1, []))[1]]
    _check_header(path, header)
    for line, values in rows:
        if len(values) != len(header) and any(values):
            raise ValueError(
                f"{path}, line {line}: expected {len(header)} columns, found {len(values)}"
            )
        if any(values):
            yield line, dict(zip(header, map(str.strip, values), strict=True))


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in NEEDED if name not in header]
    unknown = [name for name in header if name not in KNOWN or header.count(name) > 1]
    if not missing and "second" not in header and "frame" not in header:
        missing = ["second (or frame)"]
    if missing or unknown:
        problem = f"found no {missing[0]}" if missing else f"found {unknown[0]!r}"
        error = ValueError(
            f"{path}, line 1: expected a header with the columns video, second (or frame), x1, "
            "y1, x2, y2, action and, "
            f"if known, person, {problem}"
        )
        raise explain_refusal(path, error)
    if "second" in header and "frame" in header:
        raise ValueError(f"{path}, line 1: expected a column second or a column frame, found both")


def _number(where: str, row: dict[str, str], name: str) -> float:
    try:
        number = float(row[name])
        if not math.isfinite(number) or (
            name in ("person", "frame") and (number % 1 or number < 0)
        ):
            raise ValueError
    except ValueError:
        kind = "a whole number from 0" if name in ("person", "frame") else "a number"
        raise ValueError(f"{where}: expected {kind} as {name}, found {row[name]!r}") from None
    return number


def _read_moment(where: str, row: dict[str, str], video_id: str, clocks: VideoClocks) -> float:
    if "second" in row:
        second = round(_number(where, row, "second"), 6)
        clocks.require(video_id, where, second)
        return second
    frame = int(_number(where, row, "frame"))
    clock = clocks.find(video_id, where, frame)
    if frame >= len(clock.seconds):
        raise ValueError(
            f"{where}: expected a frame of {clock.name}, 0..{len(clock.seconds) - 1}, found {frame}"
        )
    return clock.second_of(frame)


def _read_corners(where: str, row: dict[str, str], clock: FrameClock | None) -> Corners | None:
    """Fractions of the frame; `clock` where the table has pixels."""
    if not any(row[side] for side in SIDES):
        return None
    x1, y1, x2, y2 = (_number(where, row, side) for side in SIDES)
    shown = f"{x1:g},{y1:g},{x2:g},{y2:g}"
    if not (x1 < x2 and y1 < y2):
        raise ValueError(f"{where}: expected a box with x1 < x2 and y1 < y2, found {shown}")
    if clock is not None:
        if clock.size is None:
            raise ValueError(f"{where}: expected the videos (--videos) for boxes in pixels")
        if max(x2, y2) <= 1:
            raise ValueError(
                f"{where}: expected a box in pixels, found {shown}, which looks like fractions"
            )
        width, height = clock.size
        x1 = x1 / width
        y1 = y1 / height
        x2 = x2 / width
        y2 = y2 / height
    if min(x1, y1) < -0.5 or max(x2, y2) > 1.5:
        found = (
            f"{shown}; give --pixels for boxes in pixels"
            if clock is None
            else f"{shown} on {width}x{height}"
        )
        raise ValueError(f"{where}: expected a box within the frame, found {found}")
    return x1, y1, x2, y2
