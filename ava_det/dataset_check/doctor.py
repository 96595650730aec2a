"""All checks of a data set, one after the other, over every split; none stops another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ava_det.dataset_check.boxes import check_boxes
from ava_det.dataset_check.findings import ERROR, SEVERITIES, Finding
from ava_det.dataset_check.keyframes import check_excluded, check_leaks, check_persons
from ava_det.dataset_check.labels import check_classes, check_label_map, check_labels
from ava_det.dataset_check.person_boxes import check_person_boxes
from ava_det.dataset_check.split_rows import SplitFiles, SplitRows, read_split
from ava_det.dataset_check.videos import VideoFacts, check_seconds, check_video_files, probe_videos
from ava_det.formats.label_map import load_label_map
from ava_det.video.reader import VideoError
from ava_det.video.sources import find_videos

Progress = Callable[[Iterable[str]], Iterable[str]]


@dataclass(frozen=True)
class DatasetFiles:
    """What a config says about its data. `video_dir` and `label_map` are None where it does not
    say.
    """

    splits: Sequence[SplitFiles]
    video_dir: Path | None
    label_map: Path | None
    start_second: float
    num_classes: int
    min_person_score: float


@dataclass(frozen=True)
class Examination:
    """What was found, the worst first, and what was read on the way. `videos`: facts of those that
    can be opened.
    """

    findings: list[Finding]
    splits: list[SplitRows]
    label_map: Mapping[int, str]
    videos: Mapping[str, VideoFacts]

    @property
    def has_errors(self) -> bool:
        return any(finding.severity == ERROR for finding in self.findings)


def check_dataset(files: DatasetFiles, progress: Progress) -> Examination:
    """Runs every check. `progress` wraps the video ids while the files are opened."""
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
    """Whether there is anything to train on, or any person to classify."""
    if not len(split.rows) or not split.files.annotations:
        return []
    where = split.files.where
    if split.name == "train" and not (split.rows.action_ids > 0).any():
        return [
            Finding(
                ERROR,
                where,
                "no row has an action: nothing to train on",
                "train on labelled annotations",
            )
        ]
    if split.name != "train" and split.files.boxes == "gt" and not split.has_box.any():
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
            Finding(ERROR, files.label_map.name, problem, "mend the file or data.label_map")
        )
        return {}
    findings += check_label_map(label_map, files.num_classes)
    return label_map


def _find_videos(files: DatasetFiles, findings: list[Finding]) -> dict[str, Path] | None:
    try:
        if files.video_dir is None:
            raise VideoError("no folder of videos is named")
        return find_videos(files.video_dir)
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
