"""Reads and writes our own form of tube files: JSON lines, one tube a line.

    {"video": "walk", "label": 0, "name": "jump", "score": 0.93, "frames": [31, 32],
     "boxes": [[x1, y1, x2, y2], [...]], "box_scores": [0.9, 0.95]}

Frames count from 1, labels from 0, boxes are in pixels. `name` is for readers of the file, and is
compared with the labels of the ground truth where there is one. `box_scores` may be missing, and
so may `score` of a labeled tube. A file that ends in `.gz` is compressed.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ava_det.files import atomic_path
from ava_det.formats.tubes.structures import Tube

_DECIMALS = 3  # of a pixel


def write_tubes(path: str | Path, tubes: Iterable[Tube], labels: Sequence[str]) -> int:
    """Writes tubes as they come, so that memory does not grow with a long video.

    Args:
        path: The file, which appears when it is whole.
        tubes: The tubes, in the order to write.
        labels: Names by label.

    Returns:
        How many were written.
    """
    count = 0
    with atomic_path(path) as temporary, _open_write(temporary, Path(path)) as file:
        for tube in tubes:
            file.write(json.dumps(_to_plain(tube, labels), ensure_ascii=False) + "\n")
            count += 1
    return count


def read_tubes(path: str | Path, labels: Sequence[str] | None = None) -> list[Tube]:
    """Reads all tubes of a file.

    Args:
        path: The file.
        labels: Names by label that the file must agree with; None to take any.

    Raises:
        ValueError: A line is of another form, or its name is not that of its label; the sentence
            names the line.
    """
    with _open_read(Path(path)) as file:
        return [_parse(f"{path}:{n}", line, labels) for n, line in enumerate(file, 1) if line != ""]


@contextmanager
def _open_write(temporary: str, path: Path) -> Iterator[TextIO]:
    if path.suffix == ".gz":
        with (
            open(temporary, "wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8") as file,
        ):
            yield file
        return
    with open(temporary, "w", encoding="utf-8") as file:
        yield file


@contextmanager
def _open_read(path: Path) -> Iterator[Iterator[str]]:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            yield (line.strip() for line in file)
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{path}: expected JSON lines, found other content ({error})") from None


def _to_plain(tube: Tube, labels: Sequence[str]) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "video": tube.video,
        "label": tube.label,
        "name": labels[tube.label],
    }
    if tube.score is not None:
        plain["score"] = tube.score
    plain["frames"] = tube.frames.tolist()
    plain["boxes"] = np.round(tube.boxes.astype(np.float64), _DECIMALS).tolist()
    if tube.box_scores is not None:
        plain["box_scores"] = np.round(tube.box_scores.astype(np.float64), 6).tolist()
    return plain


def _parse(where: str, line: str, labels: Sequence[str] | None) -> Tube:
    try:
        plain = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: expected one JSON object a line ({error.msg})") from None
    if not isinstance(plain, dict) or not {"video", "label", "frames", "boxes"} <= set(plain):
        raise ValueError(f"{where}: expected an object with video, label, frames and boxes")
    try:
        tube = Tube(
            str(plain["video"]),
            int(_require_whole(plain["label"])),
            _require_whole(plain["frames"]),
            np.asarray(plain["boxes"], dtype=np.float64).reshape(-1, 4),
            None if plain.get("score") is None else float(plain["score"]),
            None if plain.get("box_scores") is None else np.asarray(plain["box_scores"], float),
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: expected frames [n] and boxes [n, 4] ({error})") from None
    if not len(tube) or tube.frames[0] < 1 or (np.diff(tube.frames) <= 0).any():
        raise ValueError(f"{where}: expected at least one frame, rising and counted from 1")
    if not np.isfinite(tube.boxes).all():
        raise ValueError(f"{where}: expected finite boxes")
    if labels is not None:
        _check_label(where, tube.label, plain.get("name"), labels)
    return tube


def _require_whole(numbers: Any) -> np.ndarray:
    """Returns a number or a list of them as int64, if they are whole."""
    values = np.asarray(numbers, dtype=np.float64)
    if (values % 1 != 0).any():
        raise ValueError("a frame or a label is no whole number")
    return values.astype(np.int64)


def _check_label(where: str, label: int, name: object, labels: Sequence[str]) -> None:
    if not 0 <= label < len(labels):
        raise ValueError(f"{where}: expected a label from 0 to {len(labels) - 1}, found {label}")
    if name is not None and name != labels[label]:
        raise ValueError(
            f"{where}: expected the name {labels[label]!r} of label {label}, found {name!r}"
        )
