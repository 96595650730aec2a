"""The AVA evaluator: annotations and detections, from files or batch by batch, to mAP under a named
protocol.

    evaluator = AvaEvaluator(load_annotations("ava_val_v2.2.csv"),
    load_label_map("label_map.pbtxt")) for batch in loader:
        evaluator.process(predict(batch))
    metrics = evaluator.evaluate()

Results are plain dicts, ready for JSON: fractions 0..1, undefined is None, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ava_det.evaluation.frame_map import (
    Overlaps,
    Ranking,
    compute_average_precision,
    compute_overlaps,
    match_detections,
    rank_detections,
)
from ava_det.evaluation.protocols import Protocol, protocol_named
from ava_det.evaluation.selection import Selection, select_boxes
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
    """Everything one protocol says about one set of detections; `result` is the part that goes into
    JSON.
    """

    protocol: Protocol
    label_map: dict[int, str]
    selection: Selection
    overlaps: Overlaps
    rankings: dict[float, Ranking]
    result: dict[str, Any]


class AvaEvaluator:
    """Collects Detections and scores them.

    ground_truth: annotation rows (preferred: they keep the file's own precision) or labeled
    keyframes. label_map: the evaluated classes, action id -> name; other ids are ignored on both
    sides. excluded: keyframes of the exclusion list. protocol: a name from `PROTOCOLS`.
    iou_thresholds: the first is the one on top. device: where the arithmetic runs. gather: collects
    an object from every rank into a list, in rank order, on every rank; None for one process.
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
        """Forgets all detections."""
        self._parts: list[AvaRows] = []

    def process(self, detections: Sequence[Detections]) -> None:
        """Takes the detections of some keyframes; every keyframe once, in any order, on any device."""
        self._parts.append(rows_from_detections(detections, self.label_map))

    def evaluate(self) -> dict[str, Any]:
        """mAP and what belongs to it, of all detections since `reset`, over all ranks."""
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
        ).result


def evaluate_csv(
    annotations: str | Path,
    detections: str | Path,
    label_map: str | Path,
    excluded: str | Path | None = None,
    protocol: str = "activitynet-2020",
    iou_thresholds: Sequence[float] = (0.5,),
    device: str | torch.device = "cpu",
) -> dict[str, Any]:
    """Scores a result CSV; the arguments name files. Raises ValueError or FileNotFoundError for a
    mistake in one.
    """
    settings = protocol_named(protocol)
    keys = (
        load_excluded(excluded)
        if excluded is not None and settings.exclusion != "nothing"
        else frozenset()
    )
    truth = load_annotations(annotations)
    rows = load_detections(detections)
    names = load_label_map(label_map)
    result = evaluate_rows(truth, rows, names, keys, protocol, iou_thresholds, device).result
    result["warnings"] = describe_inputs(label_map, excluded, settings) + result["warnings"]
    return result


def describe_inputs(
    label_map: str | Path, excluded: str | Path | None, protocol: Protocol
) -> list[str]:
    """What a protocol does with a file that its user might not expect, one sentence each."""
    said = describe_label_map_form(label_map)
    if excluded is not None and protocol.exclusion == "nothing":
        said.append(
            f"{excluded}: protocol {protocol.name} does not use an exclusion list; nothing was excluded"
        )
    return said


def evaluate_rows(
    annotations: AvaRows,
    detections: AvaRows,
    label_map: Mapping[int, str],
    excluded: Excluded = frozenset(),
    protocol: str = "activitynet-2020",
    iou_thresholds: Sequence[float] = (0.5,),
    device: str | torch.device = "cpu",
) -> Evaluation:
    """Scores detection rows against annotation rows under one protocol, at one or more IoU
    thresholds.

    `result["warnings"]` says what was repaired and what looks wrong.
    """

    def rescore(other: AvaRows) -> float | None:
        return _score(
            settings, annotations, other, names, excluded, iou_thresholds[:1], device
        ).result["mAP"]

    settings = protocol_named(protocol)
    _check(label_map, iou_thresholds)
    names = {action_id: label_map[action_id] for action_id in sorted(label_map)}
    evaluation = _score(settings, annotations, detections, names, excluded, iou_thresholds, device)
    result = evaluation.result
    ious = evaluation.overlaps.ious
    largest = float(ious.nan_to_num(nan=-1.0).max()) if len(ious) else -1.0
    selection = evaluation.selection
    symptoms = find_symptoms(
        annotations, detections, names, selection, result["mAP"], largest, rescore
    )
    stray = (
        describe_stray_exclusions(excluded, annotations)
        if settings.exclusion != "nothing"
        else None
    )
    ties = describe_ties(result["tie_interval"])
    said = [*annotations.repairs, *detections.repairs, stray, *symptoms, ties]
    result["warnings"] = [sentence for sentence in said if sentence]
    return evaluation


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
    first, *others = [summarize(ranking, label_map, protocol) for ranking in rankings.values()]
    result = {
        **first,
        "protocol": protocol.name,
        "iou_threshold": iou_thresholds[0],
        "num_keyframes": selection.num_keyframes,
        "counts": {**selection.counts, "tied": rankings[iou_thresholds[0]].num_tied},
        "warnings": [],
    }
    if others:
        result["by_iou"] = {
            f"{key:g}": other for key, other in zip(list(rankings)[1:], others, strict=True)
        }
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


def summarize(ranking: Ranking, label_map: Mapping[int, str], protocol: Protocol) -> dict[str, Any]:
    """mAP, its interval over the order of tied rows, and every class of the label map (in ascending
    order of ids).
    """
    per_class = {}
    values: list[tuple[float, float, float]] = []
    for (action_id, name), ranks in zip(label_map.items(), ranking.classes, strict=True):
        average, lowest, highest = (
            compute_average_precision(order, ranks.num_gt)
            for order in (ranks.ranks, ranks.last, ranks.first)
        )
        counted = ranks.num_gt > 0 and (protocol.undetected_is_zero or ranks.num_det > 0)
        if counted:
            values.append((average, lowest, highest))
        per_class[str(action_id)] = {
            "name": name,
            "AP": average if counted else None,
            "num_gt": ranks.num_gt,
            "num_det": ranks.num_det,
        }
    means = (
        [math.fsum(column) / len(values) for column in zip(*values, strict=True)]
        if values
        else [None] * 3
    )
    return {"mAP": means[0], "tie_interval": [means[1], means[2]], "per_class": per_class}


def compute_group_means(
    per_class: Mapping[str, Mapping[str, Any]], groups: Mapping[int, str]
) -> dict[str, float | None]:
    """Mean AP of each group of classes; None for a group without a defined AP. groups: action id ->
    group name.
    """
    means = {}
    for group in dict.fromkeys(groups.values()):
        values = [
            row["AP"]
            for key, row in per_class.items()
            if groups.get(int(key)) == group and row["AP"] is not None
        ]
        means[group] = math.fsum(values) / len(values) if values else None
    return means
