"""Reads `finalAnnots.mat` of gurkirt/corrected-UCF101-Annots, corrected annotations of UCF101-24.

Its variable `annot` is a struct array of videos: `name`, `num_imgs`, and `tubes` of `sf`, `ef`
(first and last frame, from 1), `class` (from 1) and `boxes` [ef - sf + 1, 4]: x, y from 1, width,
height, as the smallest integers that hold them. Which videos are tested is in a list beside it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.formats.mat_file import read_variable
from ava_det.formats.tubes.structures import Tube, TubeTruth

_SIZE = (240, 320)  # height and width of all of UCF101's videos; the file does not say them
_FIELDS = {"name", "num_imgs", "tubes"}
_TUBE_FIELDS = {"sf", "ef", "class", "boxes"}


def load_ucf101_mat(path: str | Path, test_list: str | Path) -> tuple[TubeTruth, list[str]]:
    """Reads the corrected annotations into ground truth of one split.

    Boxes become x, y, x + width, y + height in the file's own pixels, without a shift to 0, as
    public readers of this file take them.

    Args:
        path: finalAnnots.mat.
        test_list: testlist01.txt: a name CLASS/VIDEO on each line, with or without .avi; names of
            UCF101's other classes may be among them. All other videos are for training.

    Returns:
        The ground truth, and the names of the list that have no annotations though their class has.

    Raises:
        ValueError: A file is of another form; the sentence names the place.
    """
    tubes: dict[str, tuple[Tube, ...]] = {}
    counts: dict[str, int] = {}
    for number, entry in enumerate(_load_videos(path), 1):
        video, num_frames, found = _read_video(f"{path}: annot({number})", entry)
        if video in tubes:
            raise ValueError(f"{path}: annot({number}): expected each video once, found {video}")
        tubes[video], counts[video] = found, num_frames
    labels = _name_labels(path, tubes)
    listed = _read_list(test_list)
    test = [video for video in listed if video in tubes]
    test_set = set(test)
    train = [video for video in tubes if video not in test_set]
    if not test or not train:
        raise ValueError(
            f"{test_list}: expected names of some of the {len(tubes)} videos of {path}, such as "
            f"{next(iter(tubes))}, found {len(test)} of them"
        )
    truth = TubeTruth(
        labels,
        (tuple(train),),
        (tuple(test),),
        counts,
        dict.fromkeys(tubes, _SIZE),
        tubes,
        str(path),
    )
    absent = [
        video for video in listed if video not in tubes and video.partition("/")[0] in set(labels)
    ]
    return truth, absent


def _load_videos(path: str | Path) -> list[dict[str, Any]]:
    """Reads the struct array `annot`."""
    videos = read_variable(path, "annot")
    if not _is_struct(videos, _FIELDS) or not videos:
        raise ValueError(f"{path}: expected annot to have name, num_imgs and tubes of every video")
    found: list[dict[str, Any]] = videos
    return found


def _is_struct(value: Any, fields: set[str]) -> bool:
    """Returns whether a value is a struct array with some fields, or an empty array."""
    if not isinstance(value, list):
        return isinstance(value, np.ndarray) and not value.size
    return all(isinstance(entry, dict) and fields <= set(entry) for entry in value)


def _read_video(where: str, entry: dict[str, Any]) -> tuple[str, int, tuple[Tube, ...]]:
    """Reads a video's name, number of frames, and tubes."""
    video, entries = entry["name"], entry["tubes"]
    if not isinstance(video, str) or not video:
        raise ValueError(f"{where}: expected a name")
    where = f"{where} {video}"
    if not _is_struct(entries, _TUBE_FIELDS):
        raise ValueError(f"{where}: expected tubes with sf, ef, class and boxes")
    num_frames = _read_whole(f"{where}: num_imgs", entry["num_imgs"])
    tubes = [
        _read_tube(f"{where}: tubes({number})", video, tube, num_frames)
        for number, tube in enumerate(entries, 1)
    ]
    return video, num_frames, tuple(sorted(tubes, key=lambda tube: tube.label))


def _read_tube(where: str, video: str, entry: dict[str, Any], num_frames: int) -> Tube:
    """Reads one tube; sums are of floats, because the file's 8 bits overflow."""
    first, last, kind = (
        _read_whole(f"{where}: {field}", entry[field]) for field in ("sf", "ef", "class")
    )
    if not 1 <= first <= last <= num_frames or kind < 1:
        raise ValueError(
            f"{where}: expected 1 <= sf <= ef <= {num_frames} and a class from 1, found "
            f"sf {first}, ef {last}, class {kind}"
        )
    boxes = entry["boxes"]
    is_whole = isinstance(boxes, np.ndarray) and boxes.shape == (last - first + 1, 4)
    if not is_whole or not (np.isfinite(boxes).all() and (boxes[:, 2:] > 0).all()):
        raise ValueError(
            f"{where}: expected {last - first + 1} boxes x, y, width, height with positive sizes "
            f"for sf {first} and ef {last}, found {list(np.shape(boxes))}"
        )
    boxes = boxes.astype(np.float32)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return Tube(video, kind - 1, np.arange(first, last + 1), corners)


def _read_whole(where: str, value: Any) -> int:
    number = value.item() if isinstance(value, np.ndarray) and value.size == 1 else math.nan
    if not (math.isfinite(number) and number == int(number)):
        raise ValueError(f"{where}: expected one whole number")
    return int(number)


def _name_labels(path: str | Path, tubes: dict[str, tuple[Tube, ...]]) -> tuple[str, ...]:
    """Finds the name of each label: the folder of the videos that have it."""
    names: dict[int, str] = {}
    for video, found in tubes.items():
        for tube in found:
            folder = video.partition("/")[0]
            if names.setdefault(tube.label, folder) != folder:
                raise ValueError(
                    f"{path}: expected one folder of videos for class {tube.label + 1}, found "
                    f"{names[tube.label]} and {folder}"
                )
    if sorted(names) != list(range(len(names))) or len(set(names.values())) != len(names):
        raise ValueError(
            f"{path}: expected classes from 1 without gaps and a folder for each, found "
            f"{', '.join(f'{label + 1} {names[label]}' for label in sorted(names))}"
        )
    return tuple(names[label] for label in range(len(names)))


def _read_list(path: str | Path) -> list[str]:
    """Reads the names of a split list, in its order, each once."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected text, a name CLASS/VIDEO on each line") from None
    names: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name:
            continue
        if len(name.split()) > 1:
            raise ValueError(
                f"{path}, line {number}: expected a name CLASS/VIDEO alone, as in lists of test "
                f"videos, found {name!r}"
            )
        names[name.removesuffix(".avi")] = None
    return list(names)
