"""Holds the results of evaluations, each with its form in JSON files.

Numbers are fractions 0..1; one that is undefined is None, never NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar


@dataclass(frozen=True)
class ClassResult:
    """Holds what was measured for one class.

    Attributes:
        name: Of the class.
        ap: Average precision.
        num_gt: Number of ground-truth boxes.
        num_det: Number of scored detections; None where nothing was scored.
    """

    name: str
    ap: float | None
    num_gt: int
    num_det: int | None

    def to_json(self) -> dict[str, Any]:
        """Returns the class's entry in `per_class` of metrics.json."""
        entry = {"name": self.name, "AP": self.ap, "num_gt": self.num_gt}
        return entry if self.num_det is None else {**entry, "num_det": self.num_det}


@dataclass(frozen=True)
class FrameMap:
    """Holds frame mAP at one IoU threshold.

    Attributes:
        mean_ap: mAP.
        tie_interval: Lowest and highest mAP over all orders of rows with equal scores.
        per_class: Action id -> its result, in ascending order of ids.
    """

    mean_ap: float | None
    tie_interval: tuple[float | None, float | None]
    per_class: dict[int, ClassResult]

    def to_json(self) -> dict[str, Any]:
        """Returns `mAP`, `tie_interval` and `per_class`."""
        return {
            "mAP": self.mean_ap,
            "tie_interval": list(self.tie_interval),
            "per_class": _classes_to_json(self.per_class),
        }


@dataclass(frozen=True)
class FrameMapResult:
    """Holds everything that one protocol measures for one set of detections.

    Attributes:
        frame_map: At `iou_threshold`.
        protocol: The protocol's name.
        iou_threshold: IoU from which a detection counts as right.
        num_keyframes: Number of scored keyframes.
        counts: Why rows were not scored -> their number.
        warnings: What was repaired and what looks wrong, one sentence each.
        by_iou: Further IoU thresholds -> frame mAP there.
        by_group: Group of classes -> mean AP; None where no groups were asked for.
    """

    frame_map: FrameMap
    protocol: str
    iou_threshold: float
    num_keyframes: int
    counts: dict[str, int]
    warnings: tuple[str, ...] = ()
    by_iou: dict[float, FrameMap] = field(default_factory=dict)
    by_group: dict[str, float | None] | None = None

    @property
    def mean_ap(self) -> float | None:
        """Returns mAP at `iou_threshold`."""
        return self.frame_map.mean_ap

    @property
    def per_class(self) -> dict[int, ClassResult]:
        """Returns the results of the classes at `iou_threshold`."""
        return self.frame_map.per_class

    def to_json(self) -> dict[str, Any]:
        """Returns what `evaluate_csv` returns and `ava-det score --json` writes."""
        result: dict[str, Any] = {
            **self.frame_map.to_json(),
            "protocol": self.protocol,
            "iou_threshold": self.iou_threshold,
            "num_keyframes": self.num_keyframes,
            "counts": dict(self.counts),
            "warnings": list(self.warnings),
        }
        if self.by_iou:
            result["by_iou"] = {f"{iou:g}": other.to_json() for iou, other in self.by_iou.items()}
        if self.by_group is not None:
            result["by_group"] = dict(self.by_group)
        return result


@dataclass(frozen=True)
class Refusal:
    """Stands in for a result where a protocol's evaluator refuses the rows.

    Attributes:
        error: Why, one sentence.
    """

    error: str
    mean_ap: ClassVar[None] = None
    per_class: ClassVar[Mapping[int, ClassResult]] = {}

    def to_json(self) -> dict[str, Any]:
        """Returns the protocol's entry in a file that holds several."""
        return {"error": self.error}


ProtocolResult = FrameMapResult | Refusal


@dataclass(frozen=True)
class UnlabeledResult:
    """Stands in for a result where no keyframe has labels: there is no mAP.

    Attributes:
        label_map: Action id -> name.
        protocol: The protocol that would have been used.
        warnings: What looks wrong, one sentence each.
    """

    label_map: dict[int, str]
    protocol: str
    warnings: tuple[str, ...] = ()
    mean_ap: ClassVar[None] = None
    num_keyframes: ClassVar[int] = 0

    @property
    def per_class(self) -> dict[int, ClassResult]:
        """Returns a result without AP for every class."""
        return {
            action_id: ClassResult(name, None, 0, None)
            for action_id, name in self.label_map.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Returns the keys of a result that have a meaning without labels."""
        return {
            "mAP": None,
            "protocol": self.protocol,
            "per_class": _classes_to_json(self.per_class),
            "num_keyframes": 0,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class ActionMetrics:
    """Holds how good an action detector is on a split.

    Attributes:
        result: Frame mAP, with all warnings of the run.
        boxes: Where the person boxes came from: gt, a detector's name or a file.
        person_recall: Of these boxes against the labeled ones at IoU 0.5; None where the boxes are
            the labels, or there are none.
        person_precision: As `person_recall`.
        details: Further entries of metrics.json: how the run scored, or what else it fitted.
    """

    result: FrameMapResult | UnlabeledResult
    boxes: str
    person_recall: float | None
    person_precision: float | None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """Returns mAP."""
        return self.result.mean_ap

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns what looks wrong, one sentence each."""
        return self.result.warnings

    def warn(self, warnings: Sequence[str]) -> ActionMetrics:
        """Returns the same metrics with further warnings."""
        result = replace(self.result, warnings=(*self.warnings, *warnings))
        return replace(self, result=result)

    def to_log(self) -> dict[str, float | None]:
        """Returns the numbers of the log's line."""
        return {"mAP": self.score}

    def to_json(self) -> dict[str, Any]:
        """Returns the content of metrics.json."""
        return {
            **self.result.to_json(),
            "boxes": self.boxes,
            "person_recall": self.person_recall,
            "person_precision": self.person_precision,
            **self.details,
        }


@dataclass(frozen=True)
class TopMetrics:
    """Holds how good a video classifier is on a split.

    Attributes:
        top1: Share of videos whose class has the highest score.
        top5: Share of videos whose class has one of the five highest scores.
        num_videos: Number of videos.
        views: How the clips of a video are chosen, as text.
        warnings: Which clips were lost, one sentence each.
    """

    top1: float
    top5: float
    num_videos: int
    views: str
    warnings: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """Returns top-1."""
        return self.top1

    def to_log(self) -> dict[str, float | None]:
        """Returns the numbers of the log's line."""
        return {"top1": self.top1}

    def to_json(self) -> dict[str, Any]:
        """Returns the content of metrics.json."""
        return {
            "top1": self.top1,
            "top5": self.top5,
            "num_videos": self.num_videos,
            "views": self.views,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class PersonAp:
    """Holds COCO's average precision of person boxes; all None where no keyframe has a box.

    Attributes:
        ap: Mean over IoU 0.5, 0.55 .. 0.95.
        ap50: At IoU 0.5.
        ap75: At IoU 0.75.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None


@dataclass(frozen=True)
class PersonMetrics:
    """Holds how good a person detector is on a split.

    Attributes:
        person_ap: COCO's average precision.
        recall: Of boxes with a score of at least `min_score`, at IoU 0.5.
        precision: As `recall`.
        min_score: The lowest score of a box that counts for recall and precision.
    """

    person_ap: PersonAp
    recall: float | None
    precision: float | None
    min_score: float

    @property
    def score(self) -> float | None:
        """Returns AP."""
        return self.person_ap.ap

    def to_log(self) -> dict[str, float | None]:
        """Returns the numbers of the log's line."""
        return {
            "AP": self.person_ap.ap,
            "AP50": self.person_ap.ap50,
            "AP75": self.person_ap.ap75,
            "recall": self.recall,
            "precision": self.precision,
        }

    def to_json(self) -> dict[str, Any]:
        """Returns the content of metrics.json."""
        return {**self.to_log(), "min_score": self.min_score}


def compute_gains(
    per_class: Mapping[int, ClassResult], other: Mapping[int, ClassResult]
) -> dict[int, float]:
    """Computes how much higher the AP of each class is than in another result.

    Args:
        per_class: Action id -> its result.
        other: The same, to compare with.

    Returns:
        Action id -> gain in AP; classes without an AP in both results are left out.
    """
    gains = {}
    for action_id, row in per_class.items():
        before = other[action_id].ap if action_id in other else None
        if row.ap is not None and before is not None:
            gains[action_id] = row.ap - before
    return gains


def _classes_to_json(per_class: Mapping[int, ClassResult]) -> dict[str, Any]:
    return {str(action_id): result.to_json() for action_id, result in per_class.items()}
