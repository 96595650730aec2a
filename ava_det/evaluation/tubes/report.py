"""Writes the HTML page about a result of tubes, from the parts of the frame report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ava_det.evaluation.frame_map import ClassRanks
from ava_det.evaluation.metrics import compute_gains
from ava_det.evaluation.report import Drawing, Sources, format_number, load_figures
from ava_det.evaluation.tubes.protocols import tube_protocol_named
from ava_det.evaluation.tubes.results import TubeMap, TubeResult
from ava_det.files import write_text
from ava_det.pages import render_page

COUNT_MEANINGS = {
    "other_videos": "of videos outside the split",
    "off_list": "with a label that the ground truth does not name",
    "suppressed": "removed for a better one that they overlap, before scoring",
}
_CURVES = {
    False: "The line is precision as measured; the area is what average precision counts.",
    True: "The line is precision as measured, and average precision is the area below it, by "
    "trapezoids; the colored area is what PASCAL VOC would count.",
}
_ERRORS = (
    "Each number is the area under the share of such false tubes over recall, as MultiSports' "
    "videoAP_error computes it; beside it is how many there are."
)


def write_tube_report(
    folder: str | Path, result: TubeResult, sources: Sources, compared: TubeResult | None = None
) -> Path:
    """Writes `index.html` into a folder, about the first threshold of a result.

    Args:
        folder: Where to write.
        result: The result to show.
        sources: Names of the files.
        compared: Result of a baseline under the same protocol, to show gains over.

    Returns:
        The path of the page, which loads nothing from elsewhere.

    Raises:
        ValueError: matplotlib is not installed.
    """
    figures = load_figures()
    threshold, shown = next(iter(result.by_threshold.items()))
    other = None if compared is None else compared.by_threshold[threshold]
    drawings = []
    if shown.mean_ap is not None:
        bars = figures.draw_class_bars(shown.per_class, {}, None)
        drawings.append(Drawing("Average precision by class", "Best first.", bars))
        if other is not None and compute_gains(shown.per_class, other.per_class):
            text = (
                f"mAP {shown.mean_ap:.4f} against {format_number(other.mean_ap)} of "
                f"{sources.compared_with}."
            )
            chart = figures.draw_gains(shown.per_class, other.per_class)
            drawings.append(Drawing("Gains by class", text, chart))
        rules = getattr(tube_protocol_named(result.protocol), result.task)
        curves = figures.draw_curves(_list_ranks(result, threshold, shown))
        drawings.append(Drawing("Precision and recall", _CURVES[rules.curve.trapezoid], curves))
    page = render_page(
        "report.html",
        title=f"{result.task} mAP {format_number(shown.mean_ap)} ({result.protocol})",
        heading=f"{result.task.capitalize()} mAP of tubes",
        sources=sources,
        figures=_list_figures(result, threshold, shown),
        warnings=result.warnings,
        group_columns=("thresholds and errors", "value"),
        groups=_list_values(result),
        counts=[
            (name.replace("_", "-"), f"{result.counts[name]:,}", meaning)
            for name, meaning in COUNT_MEANINGS.items()
            if name in result.counts
        ],
        drawings=drawings,
        columns=("AP", *(() if other is None else ("compared",)), "labeled", "detections"),
        classes=_list_classes(shown, other),
    )
    path = Path(folder) / "index.html"
    write_text(path, page)
    return path


def _list_ranks(
    result: TubeResult, threshold: float, shown: TubeMap
) -> list[tuple[str, ClassRanks]]:
    """Returns name and ranking of each class, in the form that the curves are drawn from."""
    listed = []
    for label, row in shown.per_class.items():
        ranks = torch.from_numpy(np.asarray(result.ranks[threshold][label]))
        scores = torch.zeros(len(ranks), dtype=torch.float64)
        found = ClassRanks(ranks, ranks, ranks, scores, row.num_gt, row.num_det or 0)
        if row.ap is not None:
            listed.append((row.name, found))
    return listed


def _list_figures(result: TubeResult, threshold: float, shown: TubeMap) -> list[tuple[str, str]]:
    """Lists the numbers at the head of the page, each with its name before it."""
    classes = sum(row.ap is not None for row in shown.per_class.values())
    return [
        (f"{result.task} mAP at IoU {threshold:g}", format_number(shown.mean_ap)),
        ("protocol", result.protocol),
        ("split", str(result.split)),
        ("videos", f"{result.num_videos:,}"),
        ("classes", str(classes)),
    ]


def _list_values(result: TubeResult) -> list[tuple[str, str]]:
    """Lists mAP at every threshold and range, and the split of errors."""
    values = [
        (f"mAP at IoU {threshold:g}", format_number(row.mean_ap))
        for threshold, row in result.by_threshold.items()
    ]
    values += [(f"mAP over {name}", format_number(mean)) for name, mean in result.ranges.items()]
    if result.errors is not None:
        values.append((f"errors at IoU {result.errors.threshold:g}: {_ERRORS}", ""))
        for name, mean in result.errors.means.items():
            count = result.errors.num_errors.get(name)
            shown = name if count is None else f"{name} ({count:,} tubes)"
            values.append((shown, format_number(mean)))
    return values


def _list_classes(shown: TubeMap, other: TubeMap | None) -> list[tuple[int, str, list[str]]]:
    """Lists the rows of the table of classes: label, name, and the cells after them."""
    rows = []
    for label, row in shown.per_class.items():
        cells = [format_number(row.ap)]
        if other is not None:
            cells.append(format_number(other.per_class[label].ap))
        rows.append((label, row.name, [*cells, f"{row.num_gt:,}", f"{row.num_det:,}"]))
    return rows
