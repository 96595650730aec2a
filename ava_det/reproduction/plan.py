"""Describes what is scored, and scores the results that were written for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ava_det.evaluation.metrics import ProtocolResult
from ava_det.formats.annotations import AvaRows, concatenate_rows, load_detections
from ava_det.reproduction.scoring import score_protocols, select_videos
from ava_det.reproduction.videos import VideoFacts
from ava_det.structures import Keyframe, KeyframeKey


@dataclass
class Plan:
    """Describes what is to be scored.

    Attributes:
        annotations: The ground truth of all movies.
        label_map: Action id, 1-based, -> name.
        excluded: The keyframes that most protocols drop.
        keyframes: Video id -> its keyframes of the box list, of the movies that are there.
        missing: Ids of the annotated movies that are not there.
        facts: What was found out about each movie file.
        problems: Sentences about what may change the number.
    """

    annotations: AvaRows
    label_map: dict[int, str]
    excluded: set[KeyframeKey]
    keyframes: dict[str, list[Keyframe]]
    missing: list[str]
    facts: list[VideoFacts]
    problems: list[str]


def list_result_files(folder: Path, video_ids: Iterable[str]) -> list[Path]:
    """Lists the result file of each video, whole or partial, in the order of their ids."""
    wholes = [folder / "videos" / f"{name}.csv" for name in sorted(video_ids)]
    return [whole if whole.is_file() else whole.with_suffix(".partial.csv") for whole in wholes]


def score_results(plan: Plan, folder: Path, protocols: Sequence[str]) -> dict[str, ProtocolResult]:
    """Scores the detections of all videos against the ground truth of the same videos.

    Args:
        plan: What was to be scored.
        folder: The folder with the results, in `videos`.
        protocols: Names of the protocols.

    Returns:
        Protocol -> its result, or its refusal of the rows.
    """
    detections = concatenate_rows(
        [load_detections(path) for path in list_result_files(folder, plan.keyframes)]
    )
    truth = select_videos(plan.annotations, plan.keyframes.keys())
    return score_protocols(truth, detections, plan.label_map, plan.excluded, protocols)
