"""Runs all checks of a data set over every split; no finding stops the checks that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ava_det.dataset_check.boxes import check_boxes
from ava_det.dataset_check.findings import ERROR, NOTE, SEVERITIES, Finding
from ava_det.dataset_check.keyframes import check_excluded, check_leaks, check_persons
from ava_det.dataset_check.labels import check_classes, check_label_map, check_labels
from ava_det.dataset_check.person_boxes import check_person_boxes
from ava_det.dataset_check.split_rows import SplitFiles, SplitRows, read_split
from ava_det.dataset_check.videos import VideoFacts, check_seconds, check_video_files, probe_videos
from ava_det.formats.label_map import load_label_map
from ava_det.video.reader import VideoError
from ava_det.video.sources import key_by_id, scan_folder

Progress = Callable[[Iterable[str]], Iterable[str]]


@dataclass(frozen=True)
class DatasetFiles:
    """Describes the data of a config.

    Attributes:
        splits: The files of train, val and test, as far as the config has them.
        video_dir: The folder of videos; None where the config names none.
        label_map: The label map; None where the config names none.
        start_second: Annotation time, in seconds, of a video's first frame.
        num_classes: Columns of the network's logits.
        min_person_score: Person boxes with a lower score are not used.
    """

    splits: Sequence[SplitFiles]
    video_dir: Path | None
    label_map: Path | None
    start_second: float
    num_classes: int
    min_person_score: float


@dataclass(frozen=True)
class Examination:
    """Holds what the checks found, and what they read.

    Attributes:
        findings: The findings, the most severe first.
        splits: The rows of every split.
        label_map: Action names by id; empty where there is no readable label map.
        videos: Facts by video id, of the videos that can be opened.
    """

    findings: list[Finding]
    splits: list[SplitRows]
    label_map: Mapping[int, str]
    videos: Mapping[str, VideoFacts]

    @property
    def has_errors(self) -> bool:
        """Returns whether any finding is an error."""
        return any(finding.severity == ERROR for finding in self.findings)


def check_dataset(files: DatasetFiles, progress: Progress) -> Examination:
    """Runs every check.

    Args:
        files: What the config says about its data.
        progress: Wraps the video ids while the files are opened, as tqdm does.

    Returns:
        The findings and what was read.
    """
    findings: list[Finding] = []
    label_map = _read_label_map(files, findings)
    splits = []
    for split_files in files.splits:
        split, unread = read_split(split_files)
        splits.append(split)
        findings += unread + _check_split(split, label_map, files)
    findings += check_leaks(splits) + check_classes(splits, label_map)
    videos = _find_videos(files, findings)
    probed: dict[str, VideoFacts | str] = {}
    if videos is not None:
        wanted = {video_id for split in splits for video_id in split.keyframes["video_id"]}
        probed = probe_videos(
            {name: path for name, path in videos.items() if name in wanted}, progress
        )
        findings += check_video_files(splits, videos, probed, files.start_second)
        findings += check_seconds(splits, probed, files.start_second)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    readable = {name: facts for name, facts in probed.items() if isinstance(facts, VideoFacts)}
    return Examination(findings, splits, label_map, readable)


def _check_split(
    split: SplitRows, label_map: Mapping[int, str], files: DatasetFiles
) -> list[Finding]:
    findings = check_boxes(split.name, split.rows) + check_persons(split) + check_excluded(split)
    if label_map:
        findings += check_labels(split, label_map, files.num_classes)
    return findings + _check_purpose(split) + check_person_boxes(split, files.min_person_score)


def _check_purpose(split: SplitRows) -> list[Finding]:
    """Checks that train has labels, and that a split with ground-truth boxes has boxes."""
    if not len(split.rows) or not split.files.annotations:
        return []
    where = split.files.where
    if split.name == "train" and not (split.rows.action_ids > 0).any():
        return [
            Finding(
                ERROR,
                where,
                "no row has an action: nothing to train on",
                "train on labeled annotations",
            )
        ]
    if split.name != "train" and split.files.boxes == ("gt",) and not split.has_box.any():
        remedy = f"data.{split.name}.boxes: a box file or a detector"
        return [
            Finding(
                ERROR, where, f"{split.name} has no boxes, and takes its boxes from there", remedy
            )
        ]
    return []


def _read_label_map(files: DatasetFiles, findings: list[Finding]) -> dict[int, str]:
    if files.label_map is None:
        problem = "no label map is named"
        findings.append(
            Finding(
                ERROR, "data.label_map", problem, "name the .pbtxt with the actions and their ids"
            )
        )
        return {}
    try:
        label_map = load_label_map(files.label_map)
    except (ValueError, OSError) as error:
        problem = str(error).removeprefix(f"{files.label_map}: ")
        findings.append(
            Finding(ERROR, files.label_map.name, problem, "fix the file or data.label_map")
        )
        return {}
    findings += check_label_map(label_map, files.num_classes)
    return label_map


def _find_videos(files: DatasetFiles, findings: list[Finding]) -> dict[str, Path] | None:
    """Finds the videos by id, and adds a finding for entries of the folder that are no videos."""
    try:
        if files.video_dir is None:
            raise VideoError("no folder of videos is named")
        folder = scan_folder(files.video_dir)
        if (left_out := folder.describe_others()) is not None:
            problem = left_out.removeprefix(f"{folder.path}: ")
            remedy = "nothing to do, if that is meant"
            findings.append(Finding(NOTE, "data.video_dir", problem, remedy, len(folder.others)))
        return key_by_id(folder.videos)
    except VideoError as error:
        problem = str(error).removeprefix(f"{files.video_dir}: ")
        findings.append(
            Finding(
                ERROR,
                "data.video_dir",
                problem,
                "name the folder of the videos, one file for each id",
            )
        )
        return None
