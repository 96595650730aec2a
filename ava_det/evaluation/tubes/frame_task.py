"""Computes frame mAP of data sets of tubes: every frame of a truth tube is a ground-truth box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ava_det.evaluation.tubes.matching import Pairs
from ava_det.evaluation.tubes.overlap import compute_pair_ious
from ava_det.evaluation.tubes.protocols import tube_protocol_named
from ava_det.evaluation.tubes.results import TubeResult
from ava_det.evaluation.tubes.scoring import (
    Contest,
    compute_map,
    compute_range,
    describe_left_out,
    find_ranks,
)
from ava_det.evaluation.tubes.table import TubeTable, expand, first_inverted, make_table
from ava_det.formats.tubes import FrameBoxes, TubeTruth


def evaluate_frames(
    truth: TubeTruth,
    detections: FrameBoxes,
    protocol: str = "multisports",
    thresholds: Sequence[float] = (0.5,),
    ranges: Sequence[str] = (),
    split: int = 1,
    device: str = "cpu",
) -> TubeResult:
    """Computes frame mAP under a named protocol. Every frame of the split's videos is scored.

    Args:
        truth: The ground truth.
        detections: The detected boxes.
        protocol: A name of `TUBE_PROTOCOLS`.
        thresholds: IoUs from which a box is a hit.
        ranges: Names of `RANGES`.
        split: Number of the split, from 1.
        device: Where boxes are compared.

    Raises:
        ValueError: The protocol's evaluator refuses the detections, or a box is inverted.
    """
    contest, counts = prepare_frames(truth, detections, protocol, split, device)
    ranks = {threshold: find_ranks(contest, threshold) for threshold in thresholds}
    return TubeResult(
        task="frame",
        protocol=protocol,
        split=split,
        num_videos=len(truth.split(split)),
        by_threshold={t: compute_map(contest, found) for t, found in ranks.items()},
        ranges={name: compute_range(contest, name) for name in ranges},
        counts=counts,
        warnings=(*_describe(counts), *describe_left_out(contest, "boxes")),
        ranks=ranks,
    )


def prepare_frames(
    truth: TubeTruth, detections: FrameBoxes, protocol: str, split: int, device: str = "cpu"
) -> tuple[Contest, dict[str, int]]:
    """Finds all pairs of a detected and a labeled box of one class in one frame.

    Returns:
        The contest, and how many rows are not scored, by reason.
    """
    settings = tube_protocol_named(protocol)
    videos = truth.split(split)
    numbers = {video: number for number, video in enumerate(videos)}
    tubes = [tube for video in videos for tube in truth.tubes.get(video, ())]
    table = make_table(tubes, numbers, truth.path)
    video = np.array([numbers.get(name, -1) for name in detections.videos] or [-1])[
        detections.video
    ]
    known = (detections.labels >= 0) & (detections.labels < len(truth.labels))
    counts = {
        "other_videos": int((video < 0).sum()),
        "off_list": int((~known & (video >= 0)).sum()),
    }
    rows = np.flatnonzero(known & (video >= 0))
    rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
    boxes = detections.boxes[rows]
    bad = first_inverted(boxes)
    if bad is not None:
        row = rows[bad]
        raise ValueError(
            f"{detections.path}: expected x1 <= x2 and y1 <= y2, found an inverted box of "
            f"{detections.videos[detections.video[row]]} in frame {detections.frames[row]}"
        )
    pairs = _pair_frames(
        table,
        (video[rows], detections.frames[rows], detections.labels[rows]),
        boxes,
        settings.frame.pixels,
        device,
    )
    num_gt = np.zeros(len(truth.labels), np.int64)
    np.add.at(num_gt, table.label, np.diff(table.starts))
    contest = Contest(
        pairs,
        detections.labels[rows],
        detections.scores[rows].astype(np.float64),
        num_gt,
        truth.labels,
        settings,
        settings.frame,
    )
    return contest, counts


def _pair_frames(
    table: TubeTable,
    keys: tuple[np.ndarray, np.ndarray, np.ndarray],
    boxes: np.ndarray,
    pixels: str,
    device: str,
) -> Pairs:
    """Pairs every detection, in its order, with the labeled boxes of its video, frame and label."""
    sizes = np.diff(table.starts)
    owners = np.repeat(table.video, sizes), table.frames, np.repeat(table.label, sizes)
    spans = [
        int(max(a.max(initial=0), b.max(initial=0))) + 1 for a, b in zip(keys, owners, strict=True)
    ]
    truth_keys, found_keys = (
        (video * spans[1] + frame) * spans[2] + label for video, frame, label in (owners, keys)
    )
    order = np.argsort(truth_keys, kind="stable")
    truth_keys = truth_keys[order]
    begin = np.searchsorted(truth_keys, found_keys)
    counts = np.searchsorted(truth_keys, found_keys, side="right") - begin
    detections = np.repeat(np.arange(len(found_keys)), counts)
    truths = expand(begin, counts)
    ious = compute_pair_ious(
        # labeled boxes of single frames are compared in float64, as all evaluators do
        table.boxes.astype(np.float64),
        boxes,
        order[truths],
        detections,
        pixels,
        device,
    )
    return Pairs(detections, truths, found_keys[detections], ious, len(found_keys))


def _describe(counts: dict[str, int]) -> list[str]:
    sentences = {
        "other_videos": "boxes are of videos outside the split, and are not scored",
        "off_list": "boxes have a label that the ground truth does not name, and are not scored",
    }
    return [f"{counts[name]} {text}" for name, text in sentences.items() if counts[name]]
