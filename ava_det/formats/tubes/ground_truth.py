"""Reads the ground truth of UCF101-24, JHMDB, UCFSports and MultiSports: the `*-GT.pkl` family.

ACT published the form and MultiSports took it over; 3D-RetinaNet's pickle of UCF101-24 is read too
(see retinanet3d.py). A file may come from Python 2. Nothing in it is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ava_det.files.safe_pickle import describe_unpickling, load_arrays
from ava_det.formats.mat_file import is_mat
from ava_det.formats.tubes.retinanet3d import is_retinanet3d_truth, truth_of_retinanet3d
from ava_det.formats.tubes.structures import Tube, TubeTruth

T = TypeVar("T")

_KEYS = ("labels", "test_videos", "nframes", "resolution", "gttubes")
_BEGINNINGS = (b"\x80", b"(", b"}", b"]", b"c", b"")  # of pickles of all protocols; "" is cut


def load_tube_truth(path: str | Path) -> TubeTruth:
    """Reads the ground truth of a data set of tubes.

    `train_videos` may be missing: scoring has no use for it.

    Args:
        path: A pickle.

    Raises:
        ValueError: The content is of another form, or a tube has a gap; the sentence names the key.
    """
    if is_mat(path):
        raise ValueError(
            f"{path}: expected a pickle, found a MATLAB file: ava-det prepare-tubes --truth "
            f"{Path(path).name} makes tubes_GT.pkl of it"
        )
    content = load_pickle(path)
    if is_retinanet3d_truth(content):
        return truth_of_retinanet3d(path, content)
    if not isinstance(content, dict) or not set(_KEYS) <= set(content):
        found = (
            [str(key) for key in content][:3]
            if isinstance(content, dict)
            else type(content).__name__
        )
        raise ValueError(f"{path}: expected a dictionary with {', '.join(_KEYS)}, found {found}")
    if not isinstance(content["labels"], list | tuple) or not content["labels"]:
        raise ValueError(f"{path}: labels: expected a list of names")
    if not isinstance(content["gttubes"], dict):
        raise ValueError(f"{path}: gttubes: expected a dictionary by video")
    labels = tuple(str(name) for name in content["labels"])
    train, test = (
        _read_splits(path, key, content.get(key, [])) for key in ("train_videos", "test_videos")
    )
    truth = TubeTruth(
        labels,
        train,
        test,
        _read_table(path, content, "nframes", int, "a number of frames"),
        _read_table(path, content, "resolution", _read_size, "height and width"),
        {
            str(video): _read_video(path, str(video), by_label, len(labels))
            for video, by_label in content["gttubes"].items()
        },
        str(path),
    )
    _check_videos(truth)
    return truth


def _check_videos(truth: TubeTruth) -> None:
    """Raises ValueError where a video lacks an entry."""
    tables = {"gttubes": truth.tubes, "nframes": truth.num_frames, "resolution": truth.resolution}
    for key, splits in (("train_videos", truth.train_videos), ("test_videos", truth.test_videos)):
        for video in (name for split in splits for name in split):
            for table, entries in tables.items():
                if video not in entries:
                    raise ValueError(
                        f"{truth.path}: expected an entry of {table} for {video!r} of {key}"
                    )
    for video in truth.num_frames:
        if video not in truth.resolution:
            raise ValueError(f"{truth.path}: expected an entry of resolution for {video!r}")


def _read_size(value: Any) -> tuple[int, int]:
    height, width = value
    if min(int(height), int(width)) < 1:
        raise ValueError(value)
    return int(height), int(width)


def _read_table(
    path: str | Path, content: Mapping[str, Any], key: str, read: Callable[[Any], T], what: str
) -> dict[str, T]:
    """Reads a dictionary by video."""
    if not isinstance(content[key], dict):
        raise ValueError(f"{path}: {key}: expected a dictionary by video")
    table: dict[str, T] = {}
    for video, value in content[key].items():
        try:
            table[str(video)] = read(value)
        except (TypeError, ValueError):
            raise ValueError(
                f"{path}: {key}[{video!r}]: expected {what}, found {value!r}"
            ) from None
    return table


def load_pickle(path: str | Path, load: Callable[[str | Path], Any] = load_arrays) -> Any:
    """Reads a pickle of arrays and plain containers.

    Args:
        path: The file.
        load: Reads it, and runs nothing of it.

    Raises:
        ValueError: It is damaged or holds anything else, of which nothing is run.
    """
    try:
        return load(path)
    except OSError:
        raise
    except Exception as error:  # damaged bytes surface as almost any exception of the unpickler
        with open(path, "rb") as file:
            if file.read(1) not in _BEGINNINGS:
                raise ValueError(f"{path}: expected a pickle, found another file") from None
        raise ValueError(f"{path}: {describe_unpickling(error)}") from None


def _read_splits(path: str | Path, key: str, value: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(s, list | tuple) for s in value):
        raise ValueError(f"{path}: {key}: expected a list of splits, each a list of videos")
    return tuple(tuple(str(video) for video in split) for split in value)


def _read_video(
    path: str | Path, video: str, by_label: Mapping[Any, Any], num_labels: int
) -> tuple[Tube, ...]:
    if not isinstance(by_label, dict):
        raise ValueError(f"{path}: gttubes[{video!r}]: expected a dictionary of tubes by label")
    tubes = []
    for label, found in by_label.items():
        where = f"{path}: gttubes[{video!r}][{label!r}]"
        if not str(label).isdecimal() or not 0 <= int(label) < num_labels:
            raise ValueError(f"{where}: expected a label from 0 to {num_labels - 1}")
        if not isinstance(found, list | tuple | np.ndarray):
            raise ValueError(f"{where}: expected a list of tubes [n, 5]")
        for rows in found:
            tube = read_tube_rows(where, video, int(label), rows, columns=5)
            if tube.has_gaps:
                raise ValueError(f"{where}: expected a row for every frame, found a gap")
            tubes.append(tube)
    return tuple(tubes)


def read_tube_rows(
    where: str, video: str, label: int, rows: Any, columns: int, score: float | None = None
) -> Tube:
    """Reads a tube from rows of frame, x1, y1, x2, y2 and, with six columns, a box score.

    The boxes keep the array's type, float32 or float64.

    Args:
        where: Names the place in the file, for messages.
        video: The video.
        label: From 0.
        rows: [n, columns] or more columns, which are not read.
        columns: 5 or 6.
        score: Of the tube.

    Raises:
        ValueError: The rows are of another form, or frames do not rise from 1.
    """
    table = np.asarray(rows)
    if table.ndim != 2 or table.shape[1] < 5 or not len(table) or table.dtype.kind not in "fiu":
        raise ValueError(f"{where}: expected rows [n, {columns}], found {list(table.shape)}")
    table = table if table.dtype in (np.float32, np.float64) else table.astype(np.float64)
    if not np.isfinite(table[:, :5]).all():
        raise ValueError(f"{where}: expected finite numbers")
    frames = table[:, 0].astype(np.int64)
    if (frames != table[:, 0]).any() or frames[0] < 1 or (np.diff(frames) <= 0).any():
        raise ValueError(f"{where}: expected whole frame numbers that rise from 1")
    box_scores = table[:, 5] if columns == 6 and table.shape[1] > 5 else None
    return Tube(video, label, frames, table[:, 1:5], score, box_scores)
