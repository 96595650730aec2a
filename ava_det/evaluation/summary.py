"""Summarizes rankings: AP of every class, mAP, and means of groups of classes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ava_det.evaluation.frame_map import Ranking, compute_average_precision
from ava_det.evaluation.metrics import ClassResult, FrameMap
from ava_det.evaluation.protocols import Protocol


def summarize(ranking: Ranking, label_map: Mapping[int, str], protocol: Protocol) -> FrameMap:
    """Computes mAP and the AP of every class.

    Args:
        ranking: The ranking of every class, in ascending order of ids.
        label_map: Action id -> name, in the same order.
        protocol: Decides whether a class without detections counts.
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
        per_class[action_id] = ClassResult(
            name, average if counted else None, ranks.num_gt, ranks.num_det
        )
    means = (
        [math.fsum(column) / len(values) for column in zip(*values, strict=True)]
        if values
        else [None] * 3
    )
    return FrameMap(means[0], (means[1], means[2]), per_class)


def compute_group_means(
    per_class: Mapping[int, ClassResult], groups: Mapping[int, str]
) -> dict[str, float | None]:
    """Computes the mean AP of each group of classes.

    Args:
        per_class: Action id -> its result.
        groups: Action id -> group name.

    Returns:
        Group name -> mean AP, None for a group without a defined AP.
    """
    means = {}
    for group in dict.fromkeys(groups.values()):
        values = [
            row.ap
            for action_id, row in per_class.items()
            if groups.get(action_id) == group and row.ap is not None
        ]
        means[group] = math.fsum(values) / len(values) if values else None
    return means
