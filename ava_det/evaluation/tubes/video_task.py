"""Computes video mAP of tubes: a detected tube is a hit where it overlaps a labeled one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ava_det.evaluation.tubes.error_split import split_errors
from ava_det.evaluation.tubes.matching import Pairs
from ava_det.evaluation.tubes.overlap import compute_tube_overlaps
from ava_det.evaluation.tubes.protocols import TubeProtocol, tube_protocol_named
from ava_det.evaluation.tubes.results import TubeResult
from ava_det.evaluation.tubes.scoring import (
    Contest,
    compute_map,
    compute_range,
    describe_left_out,
    find_ranks,
)
from ava_det.evaluation.tubes.suppression import suppress_tubes
from ava_det.evaluation.tubes.table import TubeTable, expand, make_table
from ava_det.formats.tubes import Tube, TubeTruth

LARGEST_FRACTION = 2.0  # boxes may leave the frame a little; pixels are beyond this at once


@dataclass(frozen=True, eq=False)
class VideoContest:
    """Holds the tubes of both sides with their contest.

    Attributes:
        contest: What average precision is computed from.
        truth: The labeled tubes, in the order of the split's videos.
        found: The scored detections, by falling score.
        counts: Detections that are not scored, by reason.
    """

    contest: Contest
    truth: TubeTable
    found: TubeTable
    counts: dict[str, int]


def evaluate_tubes(
    truth: TubeTruth,
    tubes: Sequence[Tube],
    protocol: str = "multisports",
    thresholds: Sequence[float] = (0.2, 0.5),
    ranges: Sequence[str] = (),
    split: int = 1,
    errors_at: float | None = None,
    device: str = "cpu",
) -> TubeResult:
    """Computes video mAP under a named protocol.

    Args:
        truth: The ground truth.
        tubes: The detected tubes, with scores.
        protocol: A name of `TUBE_PROTOCOLS`.
        thresholds: Tube IoUs from which a tube is a hit.
        ranges: Names of `RANGES`.
        split: Number of the split, from 1.
        errors_at: Tube IoU of MultiSports' split of errors; None for no split.
        device: Where boxes are compared.

    Raises:
        ValueError: The protocol's evaluator refuses the tubes: a gap, a box that is inverted, a
            class detected without ground truth; or a tube has no score.
    """
    prepared = prepare_tubes(truth, tubes, protocol, split, device)
    contest = prepared.contest
    ranks = {threshold: find_ranks(contest, threshold) for threshold in thresholds}
    errors = (
        None
        if errors_at is None
        else split_errors(contest, prepared.truth, prepared.found, errors_at, device)
    )
    return TubeResult(
        task="video",
        protocol=protocol,
        split=split,
        num_videos=len(truth.split(split)),
        by_threshold={t: compute_map(contest, found) for t, found in ranks.items()},
        ranges={name: compute_range(contest, name) for name in ranges},
        counts=prepared.counts,
        warnings=(
            *_describe_tubes(truth, tubes, split),
            *_describe(prepared),
            *describe_left_out(contest, "tubes"),
        ),
        errors=errors,
        ranks=ranks,
    )


def prepare_tubes(
    truth: TubeTruth, tubes: Sequence[Tube], protocol: str, split: int, device: str = "cpu"
) -> VideoContest:
    """Finds all pairs of a detected and a labeled tube of one class in one video.

    Raises:
        ValueError: As `evaluate_tubes`.
    """
    settings = tube_protocol_named(protocol)
    videos = truth.split(split)
    numbers = {video: number for number, video in enumerate(videos)}
    labeled = make_table(
        [tube for video in videos for tube in truth.tubes.get(video, ())], numbers, truth.path
    )
    for tube in tubes:
        if tube.score is None or not np.isfinite(tube.score):
            raise ValueError(
                f"tubes: expected a finite score of every tube, found {tube.score} in one of "
                f"{tube.video}"
            )
    found = make_table(tubes, numbers, "tubes")
    known = (found.label >= 0) & (found.label < len(truth.labels))
    stranger = found.video < 0
    counts = {"other_videos": int(stranger.sum()), "off_list": int((~known & ~stranger).sum())}
    found = found.choose(np.flatnonzero(known & (~stranger | settings.strangers_are_false)))
    counts["suppressed"] = len(found)
    if settings.nms is not None:
        found = found.choose(suppress_tubes(found, settings, device))
    counts["suppressed"] -= len(found)
    found = found.choose(np.argsort(-found.score, kind="stable"))
    contest = Contest(
        _pair_tubes(labeled, found, len(truth.labels), settings, device),
        found.label,
        found.score,
        np.bincount(labeled.label, minlength=len(truth.labels)),
        truth.labels,
        settings,
        settings.video,
    )
    return VideoContest(contest, labeled, found, counts)


def _pair_tubes(
    labeled: TubeTable, found: TubeTable, num_labels: int, settings: TubeProtocol, device: str
) -> Pairs:
    """Pairs every detection, in its order, with the labeled tubes of its video and label."""
    truth_keys = labeled.video * num_labels + labeled.label
    found_keys = np.where(found.video < 0, -1, found.video * num_labels + found.label)
    order = np.argsort(truth_keys, kind="stable")
    truth_keys = truth_keys[order]
    begin = np.searchsorted(truth_keys, found_keys)
    counts = np.searchsorted(truth_keys, found_keys, side="right") - begin
    detections = np.repeat(np.arange(len(found)), counts)
    truths = order[expand(begin, counts)]
    if settings.time == "ignored":
        _require_whole_truths(labeled, found, truths, detections, settings)
    overlaps = compute_tube_overlaps(
        labeled, found, truths, detections, settings.video.pixels, device
    )
    return Pairs(
        detections, truths, found_keys[detections], overlaps.combine(settings.time), len(found)
    )


def _require_whole_truths(
    labeled: TubeTable,
    found: TubeTable,
    truths: np.ndarray,
    detections: np.ndarray,
    settings: TubeProtocol,
) -> None:
    """Refuses tubes that end within a labeled one, where time is not compared."""
    inside = (found.first[detections] <= labeled.first[truths]) & (
        found.last[detections] >= labeled.last[truths]
    )
    if not inside.all():
        raise ValueError(
            f"protocol {settings.name}: expected tubes over all frames of the ground truth, found "
            f"{int((~inside).sum())} pairs where one begins later or ends earlier"
        )


def _describe_tubes(truth: TubeTruth, tubes: Sequence[Tube], split: int) -> list[str]:
    """Says what no tubes are meant to be: none, all of other videos, in fractions, too long."""
    own = [tube for tube in tubes if tube.video in truth.num_frames]
    if not tubes:
        return ["no tube was detected"]
    sentences = []
    videos = truth.split(split)
    if videos and not any(tube.video in videos for tube in tubes):
        sentences.append(
            f"no tube is of a video of the split: tubes have {tubes[0].video!r}, the split has "
            f"{videos[0]!r}"
        )
    if own and all(np.abs(tube.boxes).max(initial=0) <= LARGEST_FRACTION for tube in own):
        sentences.append(
            f"no box reaches beyond {LARGEST_FRACTION:g}, which looks like fractions of the "
            "frame; boxes of tubes are expected in pixels"
        )
    late = [tube for tube in own if tube.frames[-1] > truth.num_frames[tube.video]]
    if late:
        sentences.append(
            f"{len(late)} tubes go on after the last frame of their video, such as one of "
            f"{late[0].video} to frame {late[0].frames[-1]} of "
            f"{truth.num_frames[late[0].video]}"
        )
    return sentences


def _describe(prepared: VideoContest) -> list[str]:
    counts = prepared.counts
    protocol = prepared.contest.protocol
    sentences = []
    if counts["other_videos"]:
        effect = "are false positives" if protocol.strangers_are_false else "are not scored"
        sentences.append(
            f"{counts['other_videos']} tubes are of videos outside the split; under protocol "
            f"{protocol.name} they {effect}"
        )
    if counts["off_list"]:
        sentences.append(
            f"{counts['off_list']} tubes have a label that the ground truth does not name, and are "
            "not scored"
        )
    undefined = int(np.isnan(prepared.contest.pairs.ious).sum())
    if undefined:
        sentences.append(
            f"{undefined} pairs of tubes have the overlap 0/0 (one frame each under protocol "
            f"{protocol.name}, or boxes without area): no hit, as in the published evaluator"
        )
    return sentences
