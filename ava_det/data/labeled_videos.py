"""Reads whole videos with one label each (Kinetics).

For the rest of the package such a clip has one "person", the whole frame, with one action.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ava_det.data.clip_reader import ClipReader
from ava_det.data.dataset import ClipDataset
from ava_det.data.transforms import Augmentation
from ava_det.distributed import is_main_process
from ava_det.structures import Keyframe
from ava_det.video.reader import FrameReader
from ava_det.video.sources import scan_folder

logger = logging.getLogger("ava_det")


def find_labeled_videos(source: str | Path, video_dir: str | Path | None) -> list[tuple[Path, str]]:
    """Finds videos and the texts of their labels, in order.

    Args:
        source: A folder with one folder for each class, or a list file with a row `path,label` or
            `path label` for each video.
        video_dir: Where relative paths of a list start; None for the folder of the list.

    Raises:
        ValueError: There are no videos, or a row is malformed; the sentence names folder or line.
    """
    source = Path(source)
    if source.is_dir():
        return _find_in_folders(source)
    if not source.is_file():
        raise ValueError(
            f"{source}: expected a list of videos (path,label) or a folder with a folder for "
            "each class"
        )
    labeled = []
    start = Path(video_dir) if video_dir is not None else source.parent
    with open(source, newline="", encoding="utf-8-sig") as file:
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
            labeled.append((start / row[0].strip(), row[1].strip()))
    if not labeled:
        raise ValueError(f"{source}: expected a row path,label for each video, the file is empty")
    return labeled


def _find_in_folders(source: Path) -> list[tuple[Path, str]]:
    """Finds videos and the names of their folders; warns of files that are no videos."""
    labeled: list[tuple[Path, str]] = []
    for folder in sorted(source.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        content = scan_folder(folder)
        labeled += [(path, folder.name) for path in content.videos]
        left_out = content.describe_others()
        if left_out is not None and is_main_process():
            logger.warning(left_out)
    if not labeled:
        raise ValueError(f"{source}: expected a folder with videos for each class, found none")
    return labeled


def number_classes(
    labels: Sequence[str], source: str | Path, names: Mapping[int, str] | None = None
) -> dict[int, str]:
    """Numbers the classes of labels from 1.

    Labels that are all whole numbers count classes from 0, as in PySlowFast's lists; names are
    numbered in alphabetical order.

    Args:
        labels: The label of each video.
        source: Where they come from, for messages.
        names: Names by class id, of a label map or of other videos, where the classes are known.

    Returns:
        Names by class id.

    Raises:
        ValueError: A label is not among `names`.
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
            f"{source}: expected labels among the {len(names)} known classes, "
            f"received {unknown[0]!r}"
        )
    return dict(names)


def build_keyframes(
    videos: Sequence[tuple[Path, str]],
    classes: Mapping[int, str],
    num_classes: int,
    clips_per_video: int,
) -> list[Keyframe]:
    """Makes the keyframes of labeled videos, evenly spread over each video.

    Args:
        videos: Paths and labels.
        classes: Names by class id.
        num_classes: Columns of the labels.
        clips_per_video: Keyframes of each video; one alone lies in the middle.

    Returns:
        Keyframes whose video id is the path, and whose timestamp is the place of the clip: 0 at the
        video's beginning, 1 at its end.
    """
    rows = torch.eye(num_classes)
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    columns = {name: class_id - 1 for class_id, name in classes.items()}
    places = np.linspace(0, 1, clips_per_video) if clips_per_video > 1 else [0.5]
    keyframes = []
    for path, label in videos:
        column = columns[label] if label in columns else int(label)
        row = rows[column : column + 1]
        for place in places:
            keyframes.append(Keyframe(str(path), float(place), box, row, torch.ones(1)))
    return keyframes


def compute_moment(place: float, first: float, last: float, span: float) -> float:
    """Computes the middle of a clip within a video, in seconds.

    Args:
        place: Where the clip lies, 0 at the beginning and 1 at the end.
        first: When the video begins, in seconds.
        last: When it ends, in seconds.
        span: Length of the clip in seconds. In a shorter video the clip lies in the middle.
    """
    return (
        (first + last) / 2
        if last - first <= span
        else first + span / 2 + place * (last - first - span)
    )


class LabeledVideoDataset(ClipDataset):
    """Reads the clips of labeled videos.

    Args:
        keyframes: From `build_keyframes`.
        clip_reader: Reads the frames of a clip.
        augmentation_for: Gives the augmentation for a random generator.
        seed: Seed of the random numbers, together with epoch and index.
        random_place: Whether each clip lies anywhere in its video, drawn anew each epoch (the
            paper's random temporal crop).
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
        """Returns the path of a clip's video."""
        return self.keyframes[index].video_id

    def _find_moment(self, index: int, reader: FrameReader, generator: torch.Generator) -> float:
        """Returns the middle of a clip, in seconds from the video's first frame."""
        place = (
            float(torch.rand((), generator=generator))
            if self._random_place
            else self.keyframes[index].timestamp
        )
        end = reader.find_end()
        return compute_moment(place, reader.start_second, end, self._clip_reader.seconds)
