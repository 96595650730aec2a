"""Scores detections against annotations of AVA: mAP under a named protocol.

They come from files, or batch by batch:

    evaluator = AvaEvaluator(load_annotations("ava_val_v2.2.csv"), load_label_map("map.pbtxt"))
    for batch in loader:
        evaluator.process(predict(batch))
    metrics = evaluator.evaluate()

`AvaEvaluator.evaluate` and `evaluate_csv` return plain dicts, ready for JSON: fractions 0..1,
undefined is None, never NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ava_det.evaluation.frame_map import (
    Overlaps,
    Ranking,
    compute_overlaps,
    match_detections,
    rank_detections,
)
from ava_det.evaluation.metrics import FrameMapResult
from ava_det.evaluation.protocols import Protocol, protocol_named
from ava_det.evaluation.selection import Selection, select_boxes
from ava_det.evaluation.summary import summarize
from ava_det.evaluation.symptoms import describe_ties, find_symptoms
from ava_det.formats.annotations import (
    AvaRows,
    concatenate_rows,
    load_annotations,
    load_detections,
    load_excluded,
    rows_from_detections,
    rows_from_keyframes,
)
from ava_det.formats.ava_csv import describe_stray_exclusions
from ava_det.formats.label_map import describe_label_map_form, load_label_map
from ava_det.structures import Detections, Keyframe, KeyframeKey

Excluded = Collection[KeyframeKey]


@dataclass
class Evaluation:
    """Holds everything that one protocol says about one set of detections.

    Attributes:
        protocol: The protocol.
        label_map: The evaluated classes, action id -> name, in ascending order of ids.
        selection: The boxes that the protocol scores.
        overlaps: What each detection overlaps most.
        rankings: IoU threshold -> the ranking of every class.
        result: The numbers, which go into JSON.
    """

    protocol: Protocol
    label_map: dict[int, str]
    selection: Selection
    overlaps: Overlaps
    rankings: dict[float, Ranking]
    result: FrameMapResult


class AvaEvaluator:
    """Collects detections and scores them.

    Args:
        ground_truth: Annotation rows (preferred: they keep the file's own precision) or labeled
            keyframes.
        label_map: The evaluated classes, action id -> name; other ids are ignored on both sides.
        excluded: Keyframes of the exclusion list.
        protocol: A name from `PROTOCOLS`.
        iou_thresholds: IoU from which a detection counts as right. The first threshold gives the
            result's mAP, the others are in its `by_iou`.
        device: Where the arithmetic runs.
        gather: Collects an object from every rank into a list, in rank order, on every rank; None
            for one process.
    """

    def __init__(
        self,
        ground_truth: AvaRows | Sequence[Keyframe],
        label_map: Mapping[int, str],
        excluded: Excluded = frozenset(),
        protocol: str = "activitynet-2020",
        iou_thresholds: Sequence[float] = (0.5,),
        device: str | torch.device = "cpu",
        gather: Callable[[AvaRows], list[AvaRows]] | None = None,
    ) -> None:
        protocol_named(protocol)
        self.ground_truth = (
            ground_truth if isinstance(ground_truth, AvaRows) else rows_from_keyframes(ground_truth)
        )
        self.label_map = dict(label_map)
        self.excluded = excluded
        self.protocol = protocol
        self.iou_thresholds = tuple(iou_thresholds)
        self.device = device
        self.gather = gather
        self.reset()

    def reset(self) -> None:
        """Deletes all detections."""
        self._parts: list[AvaRows] = []

    def process(self, detections: Sequence[Detections]) -> None:
        """Adds the detections of some keyframes.

        Args:
            detections: On any device. Each keyframe may come once, in any order.
        """
        self._parts.append(rows_from_detections(detections, self.label_map))

    def evaluate(self) -> dict[str, Any]:
        """Scores all detections since `reset`, over all ranks.

        Returns:
            mAP and what belongs to it, as `evaluate_csv` returns it.
        """
        rows = concatenate_rows(self._parts)
        if self.gather is not None:
            rows = concatenate_rows(self.gather(rows))
        return evaluate_rows(
            self.ground_truth,
            rows,
            self.label_map,
            self.excluded,
            self.protocol,
            self.iou_thresholds,
            self.device,
        ).result.to_json()


def evaluate_csv(
    annotations: str | Path,
    detections: str | Path,
    label_map: str | Path,
    excluded: str | Path | None = None,
    protocol: str = "activitynet-2020",
    iou_thresholds: Sequence[float] = (0.5,),
    device: str | torch.device = "cpu",
) -> dict[str, Any]:
    """Scores a result CSV against an annotation CSV.

    Args:
        annotations: AVA CSV of the ground truth.
        detections: AVA CSV of the results.
        label_map: The evaluated classes, .pbtxt.
        excluded: AVA CSV of keyframes to leave out.
        protocol: A name from `PROTOCOLS`.
        iou_thresholds: The first gives the result's mAP, the others are in its `by_iou`.
        device: Where the arithmetic runs.

    Returns:
        mAP and what belongs to it, ready for JSON.

    Raises:
        ValueError: A file or an argument has a mistake.
        FileNotFoundError: A file does not exist.
    """
    settings = protocol_named(protocol)
    keys: Excluded = frozenset()
    if excluded is not None and settings.exclusion != "nothing":
        keys = load_excluded(excluded)
    truth = load_annotations(annotations)
    rows = load_detections(detections)
    names = load_label_map(label_map)
    result = evaluate_rows(truth, rows, names, keys, protocol, iou_thresholds, device).result
    sentences = describe_inputs(label_map, excluded, settings)
    return replace(result, warnings=(*sentences, *result.warnings)).to_json()


def describe_inputs(
    label_map: str | Path, excluded: str | Path | None, protocol: Protocol
) -> list[str]:
    """Says what a protocol does with a file that its user might not expect, one sentence each."""
    sentences = describe_label_map_form(label_map)
    if excluded is None or protocol.exclusion != "nothing":
        return sentences
    sentences.append(
        f"{excluded}: protocol {protocol.name} does not use an exclusion list; nothing was excluded"
    )
    try:
        load_excluded(excluded)
    except (OSError, ValueError) as error:
        # no reason to refuse a number that does not depend on it, as the published evaluator
        sentences.append(f"other protocols will refuse it: {error}")
    return sentences


def evaluate_rows(
    annotations: AvaRows,
    detections: AvaRows,
    label_map: Mapping[int, str],
    excluded: Excluded = frozenset(),
    protocol: str = "activitynet-2020",
    iou_thresholds: Sequence[float] = (0.5,),
    device: str | torch.device = "cpu",
) -> Evaluation:
    """Scores detection rows against annotation rows under one protocol.

    Args:
        annotations: Rows of the ground truth.
        detections: Rows of the results.
        label_map: The evaluated classes, action id -> name.
        excluded: Keyframes of the exclusion list.
        protocol: A name from `PROTOCOLS`.
        iou_thresholds: The first gives the result's mAP, the others are in its `by_iou`.
        device: Where the arithmetic runs.

    Returns:
        The evaluation; `result.warnings` say what was repaired and what looks wrong.

    Raises:
        ValueError: The label map is empty, a threshold is not in (0, 1], or the protocol's
            evaluator refuses the rows.
    """

    def rescore(other: AvaRows) -> float | None:
        return _score(
            settings, annotations, other, names, excluded, iou_thresholds[:1], device
        ).result.mean_ap

    settings = protocol_named(protocol)
    _check(label_map, iou_thresholds)
    names = {action_id: label_map[action_id] for action_id in sorted(label_map)}
    evaluation = _score(settings, annotations, detections, names, excluded, iou_thresholds, device)
    result = evaluation.result
    ious = evaluation.overlaps.ious
    largest = float(ious.nan_to_num(nan=-1.0).max()) if len(ious) else -1.0
    selection = evaluation.selection
    symptoms = find_symptoms(
        annotations, detections, names, selection, result.mean_ap, largest, rescore
    )
    stray = (
        describe_stray_exclusions(excluded, annotations)
        if settings.exclusion != "nothing"
        else None
    )
    ties = describe_ties(result.frame_map.tie_interval)
    sentences = [*annotations.repairs, *detections.repairs, stray, *symptoms, ties]
    warnings = tuple(sentence for sentence in sentences if sentence)
    return replace(evaluation, result=replace(result, warnings=warnings))


def _check(label_map: Mapping[int, str], iou_thresholds: Sequence[float]) -> None:
    if not label_map:
        raise ValueError("label map: expected at least one class")
    for threshold in iou_thresholds:
        if not 0 < threshold <= 1:
            raise ValueError(f"IoU threshold: expected above 0 and at most 1, found {threshold}")


def _score(
    protocol: Protocol,
    annotations: AvaRows,
    detections: AvaRows,
    label_map: dict[int, str],
    excluded: Excluded,
    iou_thresholds: Sequence[float],
    device: str | torch.device,
) -> Evaluation:
    selection = select_boxes(protocol, annotations, detections, label_map, excluded, device)
    overlaps = compute_overlaps(
        selection.ground_truth, selection.detections, len(selection.keyframes), len(label_map)
    )
    rankings = {
        threshold: rank_selection(selection, overlaps, threshold, protocol)
        for threshold in iou_thresholds
    }
    by_iou = {
        threshold: summarize(ranking, label_map, protocol)
        for threshold, ranking in rankings.items()
    }
    first = iou_thresholds[0]
    result = FrameMapResult(
        by_iou.pop(first),
        protocol.name,
        first,
        selection.num_keyframes,
        {**selection.counts, "tied": rankings[first].num_tied},
        by_iou=by_iou,
    )
    return Evaluation(protocol, label_map, selection, overlaps, rankings, result)


def rank_selection(
    selection: Selection, overlaps: Overlaps, iou_threshold: float, protocol: Protocol
) -> Ranking:
    """Matches and ranks a protocol's selection at one IoU threshold."""
    matched = match_detections(
        overlaps, len(selection.ground_truth), iou_threshold, selection.match_scores
    )
    return rank_detections(
        selection.detections, matched, selection.denominators, protocol.single_precision
    )
