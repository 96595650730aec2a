"""Whole videos with one label each (Kinetics): what there is of them, and their clips.

To the rest of the package such a clip is one with a single "person", the whole frame, who does one
thing.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ava_det.data.dataset import ClipDataset, ClipReader
from ava_det.data.transforms import Augmentation
from ava_det.distributed import is_main_process
from ava_det.structures import Keyframe
from ava_det.video.reader import FrameReader
from ava_det.video.sources import scan_folder

logger = logging.getLogger("ava_det")


def find_labeled_videos(source: str | Path, video_dir: str | Path | None) -> list[tuple[Path, str]]:
    """Videos and the text of their labels, in order: of a folder with one folder for each class, or
    of a list file.

    A list has a row `path,label` or `path label` for each video; paths that are not absolute start
    in `video_dir`, or where the list is. Raises ValueError naming folder or line.
    """
    source = Path(source)
    if source.is_dir():
        return _find_in_folders(source)
    if not source.is_file():
        raise ValueError(
            f"{source}: expected a list of videos (path,label) or a folder with a folder for each class"
        )
    found = []
    start = Path(video_dir) if video_dir is not None else source.parent
    with open(source, newline="", encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            row = (
                next(csv.reader([line.strip()])) if "," in line else line.strip().rsplit(maxsplit=1)
            )
            if len(row) != 2 or not all(part.strip() for part in row):
                raise ValueError(
                    f"{source}, line {number}: expected path,label, received {line.strip()!r}"
                )
            found.append((start / row[0].strip(), row[1].strip()))
    if not found:
        raise ValueError(f"{source}: expected a row path,label for each video, the file is empty")
    return found


def _find_in_folders(source: Path) -> list[tuple[Path, str]]:
    """Videos and the names of the folders they lie in; says on stderr what of them is no video."""
    found: list[tuple[Path, str]] = []
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        content = scan_folder(folder)
        found += [(path, folder.name) for path in content.videos]
        left_out = content.describe_others()
        if left_out is not None and is_main_process():
            logger.warning(left_out)
    if not found:
        raise ValueError(f"{source}: expected a folder with videos for each class, found none")
    return found


def number_classes(
    labels: Sequence[str], source: str | Path, names: Mapping[int, str] | None = None
) -> dict[int, str]:
    """Class id (from 1) -> name. Labels that are all whole numbers count classes from 0, as in
    PySlowFast's lists; names are numbered in alphabetical order.

    names: of a label map or of other videos; raises ValueError for a label that is not among them.
    """
    distinct = sorted(set(labels))
    if names is None and all(label.isdecimal() for label in distinct):
        return {number + 1: str(number) for number in range(max(map(int, distinct)) + 1)}
    if names is None:
        return dict(enumerate(distinct, start=1))
    known = set(names.values()) | {str(class_id - 1) for class_id in names}
    unknown = [label for label in distinct if label not in known]
    if unknown:
        raise ValueError(
            f"{source}: expected labels among the {len(names)} known classes, received {unknown[0]!r}"
        )
    return dict(names)


def build_keyframes(
    videos: Sequence[tuple[Path, str]],
    classes: Mapping[int, str],
    num_classes: int,
    clips_per_video: int,
) -> list[Keyframe]:
    """`clips_per_video` keyframes for each video, whose timestamp is where the clip lies: 0 at the
    video's beginning, 1 at its end. The video id is the path.
    """
    rows = torch.eye(num_classes)
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    columns = {name: class_id - 1 for class_id, name in classes.items()}
    places = np.linspace(0, 1, clips_per_video) if clips_per_video > 1 else [0.5]
    return [
        Keyframe(str(path), float(place), box, rows[column : column + 1], torch.ones(1))
        for path, label in videos
        for column in [columns[label] if label in columns else int(label)]
        for place in places
    ]


def compute_moment(place: float, first: float, last: float, span: float) -> float:
    """The middle of a clip of `span` seconds that lies at `place` (0..1) within first..last; of a
    shorter video, its middle.
    """
    return (
        (first + last) / 2
        if last - first <= span
        else first + span / 2 + place * (last - first - span)
    )


class LabeledVideoDataset(ClipDataset):
    """Clips of `keyframes` of `build_keyframes`.

    random_place: each is anywhere in its video, drawn anew each epoch (the paper's random temporal
    crop).
    """

    def __init__(
        self,
        keyframes: Sequence[Keyframe],
        clip_reader: ClipReader,
        augmentation_for: Callable[[torch.Generator], Augmentation],
        seed: int,
        random_place: bool,
    ):
        super().__init__(
            keyframes,
            {k.video_id: Path(k.video_id) for k in keyframes},
            0.0,
            clip_reader,
            augmentation_for,
            seed,
        )
        self._random_place = random_place

    def describe(self, index: int) -> str:
        return self.keyframes[index].video_id

    def _find_moment(self, index: int, reader: FrameReader, generator: torch.Generator) -> float:
        place = (
            float(torch.rand((), generator=generator))
            if self._random_place
            else self.keyframes[index].timestamp
        )
        span = self._clip_reader.num_frames * self._clip_reader.stride / self._clip_reader.clip_fps
        return compute_moment(place, reader.start_second, reader.find_end(), span)
