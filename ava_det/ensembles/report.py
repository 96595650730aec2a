"""Writes a page about an ensemble: every member, the ensemble, and what it gained by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ava_det.evaluation.metrics import FrameMapResult, compute_gains
from ava_det.evaluation.report import (
    COUNT_MEANINGS,
    Drawing,
    Sources,
    format_number,
    load_figures,
)
from ava_det.files import write_text
from ava_det.pages import render_page


@dataclass(frozen=True)
class ScoredMember:
    """Holds one member of an ensemble and what it reaches alone.

    Attributes:
        path: Its file.
        weight: In the ensemble.
        result: Of this file alone.
    """

    path: str
    weight: float
    result: FrameMapResult

    @property
    def mean_ap(self) -> float:
        """Returns mAP; one that is undefined is 0."""
        return self.result.mean_ap or 0.0


def find_best(members: Sequence[ScoredMember]) -> ScoredMember:
    """Returns the member of the highest mAP, the first of equal ones."""
    return max(members, key=lambda member: member.mean_ap)


def write_ensemble_report(
    path: str | Path,
    ensemble: FrameMapResult,
    members: Sequence[ScoredMember],
    sources: Sources,
    groups: Mapping[int, str],
    notes: Sequence[str] = (),
) -> None:
    """Writes the page; it loads nothing from elsewhere.

    Args:
        path: The page, .html.
        ensemble: Result of the ensemble.
        members: Its members.
        sources: Names of the ground truth and of the ensemble's file.
        groups: Action id -> group name, which chooses the colors; may be empty.
        notes: What the reader must know of the numbers, one sentence each.

    Raises:
        ValueError: matplotlib is not installed.
    """
    best = find_best(members)
    names = [f"{place} {Path(member.path).name}" for place, member in enumerate(members, 1)]
    weighted = [f"{name}, weight {m.weight:g}" for name, m in zip(names, members, strict=True)]
    page = render_page(
        "report.html",
        title=f"ensemble of {len(members)}: mAP {format_number(ensemble.mean_ap)}",
        heading="Ensemble",
        sources=sources,
        figures=[
            (f"frame mAP at IoU {ensemble.iou_threshold:g}", format_number(ensemble.mean_ap)),
            ("gain over the best member", f"{(ensemble.mean_ap or 0.0) - best.mean_ap:+.4f}"),
            ("protocol", ensemble.protocol),
            ("keyframes", f"{ensemble.num_keyframes:,}"),
        ],
        warnings=(*notes, *ensemble.warnings),
        group_columns=("member", "mAP"),
        groups=[
            (name, format_number(member.result.mean_ap))
            for name, member in zip(weighted, members, strict=True)
        ],
        counts=[
            (name.replace("_", "-"), f"{ensemble.counts[name]:,}", meaning)
            for name, meaning in COUNT_MEANINGS.items()
        ],
        drawings=_draw(ensemble, best, groups),
        columns=("ensemble", *names, "gain over the best", "boxes"),
        classes=_list_classes(ensemble, members, best),
    )
    write_text(path, page)


def _draw(ensemble: FrameMapResult, best: ScoredMember, groups: Mapping[int, str]) -> list[Drawing]:
    """Draws the gains over the best member, and AP by class."""
    figures = load_figures()
    if ensemble.mean_ap is None:
        return []
    text = (
        f"AP of the ensemble minus that of the best member, {best.path}: mAP "
        f"{ensemble.mean_ap:.4f} against {best.mean_ap:.4f}."
    )
    gains = figures.draw_gains(ensemble.per_class, best.result.per_class)
    bars = figures.draw_class_bars(ensemble.per_class, groups, None)
    colors: Mapping[str, str] = figures.GROUP_COLORS
    used = tuple((name, colors[name]) for name in colors if name in groups.values())
    return [
        Drawing("Gains by class", text, gains),
        Drawing("Average precision by class", "Of the ensemble, best first.", bars, used),
    ]


def _list_classes(
    ensemble: FrameMapResult, members: Sequence[ScoredMember], best: ScoredMember
) -> list[tuple[int, str, list[str]]]:
    """Lists the rows of the table of classes: id, name, and the cells after them."""
    gains = compute_gains(ensemble.per_class, best.result.per_class)
    rows = []
    for key, row in ensemble.per_class.items():
        values = [row.ap, *(member.result.per_class[key].ap for member in members)]
        gain = f"{gains[key]:+.4f}" if key in gains else "undefined"
        rows.append((key, row.name, [*map(format_number, values), gain, f"{row.num_gt:,}"]))
    return rows
