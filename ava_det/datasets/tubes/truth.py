"""Reads the ground truth that a user gives: one pickle, UCF101-24's MATLAB file, or CSVs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from ava_det.datasets.tubes.convert import require_videos
from ava_det.formats.mat_file import is_mat
from ava_det.formats.tubes import Tube, TubeTruth, load_tube_truth
from ava_det.formats.tubes.mmaction2 import Rows, make_tubes, read_label_names, read_rows
from ava_det.formats.tubes.ucf101_mat import load_ucf101_mat
from ava_det.video.folder import open_video
from ava_det.video.sources import key_by_id, scan_folder

logger = logging.getLogger("ava_det")


def load_truth(
    paths: Sequence[Path], test_list: Path | None, labels: Path | None, videos: Path | None
) -> TubeTruth:
    """Reads ground truth of any of the forms.

    Args:
        paths: A pickle, finalAnnots.mat, or MMAction2's CSVs of train and val.
        test_list: The test videos of finalAnnots.mat; None for the others.
        labels: The names of the CSVs' labels; None for the others.
        videos: The folder of the videos, from which the CSVs' pictures get their sizes.

    Raises:
        ValueError: A file is of another form, or an option is missing or belongs to another form.
    """
    first = paths[0]
    is_csv = len(paths) > 1 or first.suffix.lower() == ".csv"
    if labels is not None and not is_csv:
        raise ValueError(
            f"--labels {labels}: expected with two CSVs alone; {first} has the names itself"
        )
    if test_list is not None and (is_csv or not is_mat(first)):
        raise ValueError(
            f"--test-videos {test_list}: expected with finalAnnots.mat alone; the splits are in "
            f"{' and '.join(map(str, paths))}"
        )
    if is_csv:
        return load_csv_truth(paths, labels, videos)
    if not is_mat(first):
        return load_tube_truth(first)
    if test_list is None:
        raise ValueError(f"{first}: expected --test-videos testlist01.txt, which says the split")
    truth, absent = load_ucf101_mat(first, test_list)
    if absent:
        logger.warning(
            f"{test_list}: {len(absent)} videos have no annotations in {first}, such as {absent[0]}"
        )
    return truth


def load_csv_truth(paths: Sequence[Path], labels: Path | None, videos: Path | None) -> TubeTruth:
    """Reads MMAction2's CSVs of train and val, and the sizes and lengths of their videos.

    Raises:
        ValueError: There are not two CSVs, or names or videos are missing.
    """
    if len(paths) != 2:
        raise ValueError(
            f"--truth {' '.join(map(str, paths))}: expected one file, or the CSVs of train and val"
        )
    if labels is None or videos is None:
        missing = "--labels label_map.txt" if labels is None else "--videos"
        raise ValueError(f"{paths[0]}: expected {missing}: a CSV has no names and no sizes")
    names = read_label_names(labels)
    train, val = (read_rows(path) for path in paths)
    for path, rows in zip(paths, (train, val), strict=True):
        if rows.keys() & train.keys() & val.keys():
            video = min(train.keys() & val.keys())
            raise ValueError(f"{paths[0]} and {paths[1]}: expected {video} in one of them")
        _check_labels(path, rows, names, labels)
    rows = train | val
    found = key_by_id(scan_folder(videos, recursive=True).videos)
    ids = {video: video.rsplit("/", 1)[-1] for video in rows}
    if absent := require_videos(videos, found, ids.values()):
        raise ValueError(
            f"{videos}: expected the videos of all rows, which have their sizes; {len(absent)} of "
            f"{len(ids)} are missing, such as {absent[0]}"
        )
    tubes: dict[str, tuple[Tube, ...]] = {}
    counts: dict[str, int] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for video in rows:
        with open_video(found[ids[video]]) as reader:
            seconds = reader.find_end() if reader.duration is None else reader.duration
            length = round(seconds * Fraction(reader.frame_rate))
            sizes[video] = (reader.height, reader.width)
        height, width = sizes[video]
        tubes[video] = make_tubes(video, rows[video], width, height)
        counts[video] = max(length, *(int(tube.frames[-1]) for tube in tubes[video]))
    return TubeTruth(names, (tuple(train),), (tuple(val),), counts, sizes, tubes, str(paths[0]))


def _check_labels(path: Path, rows: Mapping[str, Rows], names: Sequence[str], labels: Path) -> None:
    for video, of_video in rows.items():
        for label, _ in of_video:
            if label >= len(names):
                raise ValueError(
                    f"{path}: expected labels from 0 to {len(names) - 1}, of which {labels} has "
                    f"names, found {label} in {video}"
                )
