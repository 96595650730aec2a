"""Holds the results of frame mAP and video mAP of tubes, and their form in JSON files.

Numbers are fractions 0..1; one that is undefined is None, never NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ava_det.evaluation.metrics import ClassResult


@dataclass(frozen=True)
class TubeMap:
    """Holds mAP at one threshold.

    Attributes:
        mean_ap: Over the classes that the protocol counts; None without one.
        per_class: Label from 0 -> its result; `ap` is None for a class that does not count.
    """

    mean_ap: float | None
    per_class: dict[int, ClassResult]

    def to_json(self) -> dict[str, Any]:
        """Returns `mAP` and `per_class`."""
        rows = {str(label): row.to_json() for label, row in self.per_class.items()}
        return {"mAP": self.mean_ap, "per_class": rows}


@dataclass(frozen=True)
class ErrorSplit:
    """Holds MultiSports' split of errors: for each class and kind an average over recall.

    Attributes:
        threshold: Of the tube IoU; its square root is the limit of time and of space.
        means: Kind -> mean over the classes.
        per_class: Label -> kind -> value.
        num_errors: Kind -> number of false tubes of it, over all classes.
    """

    threshold: float
    means: dict[str, float]
    per_class: dict[int, dict[str, float]]
    num_errors: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Returns the entry `errors` of the result."""
        return {
            "threshold": self.threshold,
            "means": dict(self.means),
            "per_class": {str(label): dict(row) for label, row in self.per_class.items()},
            "num_errors": dict(self.num_errors),
        }


@dataclass(frozen=True)
class TubeResult:
    """Holds everything that one protocol measures for one set of detections.

    Attributes:
        task: "frame" or "video".
        protocol: The protocol's name.
        split: Number of the split, from 1.
        num_videos: Videos of the split.
        by_threshold: Threshold -> mAP, in the order asked for.
        ranges: Name of a range of thresholds -> the mean of mAP over it.
        counts: Why detections were not scored -> their number.
        warnings: What was left out or looks wrong, one sentence each.
        errors: MultiSports' split, where it was asked for.
        ranks: Threshold -> label -> int64 [T], ranks of the hits, for curves.
    """

    task: str
    protocol: str
    split: int
    num_videos: int
    by_threshold: dict[float, TubeMap]
    ranges: dict[str, float | None]
    counts: dict[str, int]
    warnings: tuple[str, ...] = ()
    errors: ErrorSplit | None = None
    ranks: Mapping[float, Mapping[int, np.ndarray]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns what `ava-det score --json` writes."""
        plain: dict[str, Any] = {
            "task": self.task,
            "protocol": self.protocol,
            "split": self.split,
            "num_videos": self.num_videos,
            "by_threshold": {f"{t:g}": row.to_json() for t, row in self.by_threshold.items()},
            "ranges": dict(self.ranges),
            "counts": dict(self.counts),
            "warnings": list(self.warnings),
        }
        return plain if self.errors is None else {**plain, "errors": self.errors.to_json()}
