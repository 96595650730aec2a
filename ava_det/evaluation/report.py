"""Writes one self-contained HTML page about a result.

It shows what the result is, AP by class, where mAP is lost, and gains over another result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ava_det.evaluation.ava_evaluator import Evaluation
from ava_det.evaluation.diagnosis import diagnose
from ava_det.evaluation.metrics import FrameMapResult
from ava_det.files import write_text
from ava_det.pages import render_page

COUNT_MEANINGS = {
    "ignored": "on keyframes without ground truth",
    "excluded": "on keyframes of the exclusion list",
    "capped": "beyond the highest rows of their keyframe",
    "invalid": "with an empty or inverted box, or a score the protocol drops",
    "tied": "scored, but sharing class and score with another row",
    "off_list": "with an action id outside the label map",
}


@dataclass(frozen=True)
class Drawing:
    """Describes a section with a figure, as `report.html` shows it.

    Attributes:
        title: Of the section.
        text: What the figure shows.
        drawing: SVG.
        legend: Names of colors, and the colors.
    """

    title: str
    text: str
    drawing: str
    legend: tuple[tuple[str, str], ...] = ()


@dataclass
class Sources:
    """Names what was compared, for the head of the page.

    Attributes:
        annotations: File of the ground truth.
        detections: File of the results.
        compared_with: File of the results that gains are shown over.
        bound: File of the results on ground-truth boxes.
    """

    annotations: str
    detections: str
    compared_with: str | None = None
    bound: str | None = None


def write_report(
    folder: str | Path,
    evaluation: Evaluation,
    groups: Mapping[int, str],
    sources: Sources,
    compared: FrameMapResult | None = None,
    bound: FrameMapResult | None = None,
) -> Path:
    """Writes `index.html` into a folder; the page loads nothing from elsewhere.

    Args:
        folder: Where to write.
        evaluation: The evaluation to show.
        groups: Action id -> group name; may be empty.
        sources: Names of the files.
        compared: Result of a baseline to show gains over.
        bound: Result of the same model on ground-truth boxes.

    Returns:
        The path of the page.

    Raises:
        ValueError: matplotlib is not installed.
    """
    figures = load_figures()
    result = evaluation.result
    drawings = []
    if result.mean_ap is not None:
        drawings = _draw_figures(figures, evaluation, groups, sources, compared, bound)
    others = {"bound": bound, "compared": compared}
    shown = {name: other for name, other in others.items() if other is not None}
    page = render_page(
        "report.html",
        title=f"mAP {format_number(result.mean_ap)} ({result.protocol})",
        heading="AVA evaluation",
        sources=sources,
        figures=_list_figures(result, bound),
        warnings=result.warnings,
        group_columns=("group", "mean AP"),
        groups=[(name, format_number(value)) for name, value in (result.by_group or {}).items()],
        counts=[
            (name.replace("_", "-"), f"{result.counts[name]:,}", meaning)
            for name, meaning in COUNT_MEANINGS.items()
        ],
        drawings=drawings,
        columns=("AP", *shown, "boxes", "detections"),
        classes=_list_classes(result, list(shown.values())),
    )
    path = Path(folder) / "index.html"
    write_text(path, page)
    return path


_LOSSES = (
    "Each bar fixes one kind of error and leaves the rest: boxes that overlap their person too "
    "little are moved onto "
    "it, actions claimed of a person who does something else are deleted, persons no box covers "
    "are forgiven, boxes on "
    "nobody are deleted, and so are second boxes on a person already found. The gains do not add "
    "up."
)
_CURVES = (
    "The line is precision as measured; the area is what average precision counts, made monotone."
)


def _draw_figures(
    figures: ModuleType,
    evaluation: Evaluation,
    groups: Mapping[int, str],
    sources: Sources,
    compared: FrameMapResult | None,
    bound: FrameMapResult | None,
) -> list[Drawing]:
    """Draws the figures; the arguments are those of `write_report`."""
    result = evaluation.result
    assert result.mean_ap is not None
    colors: Mapping[str, str] = figures.GROUP_COLORS
    used = tuple((name, colors[name]) for name in colors if name in groups.values())
    bars = figures.draw_class_bars(result.per_class, groups, bound.per_class if bound else None)
    sections = [
        Drawing("Average precision by class", "Best first, with ground-truth boxes.", bars, used)
    ]
    losses = figures.draw_losses(diagnose(evaluation, result.iou_threshold), result.mean_ap)
    sections.append(Drawing("Where mAP is lost", _LOSSES, losses))
    if compared is not None:
        difference = (
            f"mAP {result.mean_ap:.4f} against {format_number(compared.mean_ap)} of "
            f"{sources.compared_with}."
        )
        chart = figures.draw_gains(result.per_class, compared.per_class)
        sections.append(Drawing("Gains by class", difference, chart))
    ranks = evaluation.rankings[result.iou_threshold].classes
    curves = figures.draw_curves(list(zip(evaluation.label_map.values(), ranks, strict=True)))
    sections.append(Drawing("Precision and recall", _CURVES, curves))
    return sections


def load_figures() -> ModuleType:
    """Imports what draws the figures.

    Raises:
        ValueError: matplotlib is not installed.
    """
    try:
        from ava_det.evaluation import figures
    except ModuleNotFoundError as error:
        raise ValueError(f"a report needs {error.name}: pip install 'ava_det[report]'") from None
    return figures


def format_number(value: float | None) -> str:
    """Formats an average precision with four decimals; None is undefined."""
    return "undefined" if value is None else f"{value:.4f}"


def _list_figures(result: FrameMapResult, bound: FrameMapResult | None) -> list[tuple[str, str]]:
    """Lists the numbers at the head of the page, each with its name before it."""
    low, high = result.frame_map.tie_interval
    classes = sum(row.ap is not None for row in result.per_class.values())
    shown = [(f"frame mAP at IoU {result.iou_threshold:g}", format_number(result.mean_ap))]
    if bound is not None:
        shown.append(("mAP with ground-truth boxes", format_number(bound.mean_ap)))
    if low is not None and high is not None and high - low > 5e-5:
        shown.append(("interval over equal scores", f"{low:.4f} to {high:.4f}"))
    return [
        *shown,
        ("protocol", result.protocol),
        ("keyframes", f"{result.num_keyframes:,}"),
        ("classes", str(classes)),
    ]


def _list_classes(
    result: FrameMapResult, others: Sequence[FrameMapResult]
) -> list[tuple[int, str, list[str]]]:
    """Lists the rows of the table of classes: id, name, and the cells after them."""
    rows = []
    for key, row in result.per_class.items():
        found = [other.per_class.get(key) for other in others]
        values = [row.ap, *(None if other is None else other.ap for other in found)]
        cells = [*map(format_number, values), f"{row.num_gt:,}", f"{row.num_det:,}"]
        rows.append((key, row.name, cells))
    return rows
