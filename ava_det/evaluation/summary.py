"""Summarizes rankings: AP of every class, mAP, and means of groups of classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ava_det.evaluation.frame_map import Ranking, compute_average_precision
from ava_det.evaluation.protocols import Protocol


def summarize(ranking: Ranking, label_map: Mapping[int, str], protocol: Protocol) -> dict[str, Any]:
    """Computes mAP and the AP of every class.

    Args:
        ranking: The ranking of every class, in ascending order of ids.
        label_map: Action id -> name, in the same order.
        protocol: Decides whether a class without detections counts.

    Returns:
        `mAP`; `tie_interval`, its lowest and highest value over all orders of tied rows;
        `per_class`, action id -> name, AP and numbers of boxes.
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
    """Computes the mean AP of each group of classes.

    Args:
        per_class: `per_class` of a result.
        groups: Action id -> group name.

    Returns:
        Group name -> mean AP, None for a group without a defined AP.
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
