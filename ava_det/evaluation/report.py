"""Writes one self-contained HTML page about a result.

It shows what the result is, AP by class, where mAP is lost, and gains over another result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import ModuleType

from ava_det.evaluation.ava_evaluator import Evaluation
from ava_det.evaluation.diagnosis import diagnose
from ava_det.evaluation.metrics import FrameMapResult
from ava_det.files import write_text

COUNT_MEANINGS = {
    "ignored": "on keyframes without ground truth",
    "excluded": "on keyframes of the exclusion list",
    "capped": "beyond the highest rows of their keyframe",
    "invalid": "with an empty or inverted box, or a score the protocol drops",
    "tied": "scored, but sharing class and score with another row",
    "off_list": "with an action id outside the label map",
}

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; background: #f3f4f6; margin: 0; }
main { max-width: 1020px; margin: 0 auto; padding: 28px 20px 60px; }
section { background: #fff; border: 1px solid #e5e7eb; border-radius: 8px; }
section { padding: 18px 24px; margin: 18px 0; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 0 0 6px; }
p { margin: 4px 0 12px; color: #4b5563; max-width: 46em; }
.figures { display: flex; flex-wrap: wrap; gap: 14px; margin: 14px 0 0; }
.figure { flex: 1 1 150px; background: #f9fafb; border-radius: 6px; padding: 10px 14px; }
.figure b { display: block; font-size: 25px; line-height: 1.25; color: #111827; }
.warning { border-left: 4px solid #e08a2e; background: #fff7ed; color: #7c2d12; }
.warning { padding: 8px 12px; margin: 8px 0; }
svg { width: 100%; height: auto; display: block; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th { text-align: left; border-bottom: 2px solid #d1d5db; } td { border-bottom: 1px solid #e5e7eb; }
th, td { padding: 4px 10px 4px 0; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.legend { white-space: nowrap; }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin: 0 5px 0 14px; }
"""


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
    try:
        from ava_det.evaluation import figures
    except ModuleNotFoundError as error:
        raise ValueError(f"a report needs {error.name}: pip install 'ava_det[report]'") from None
    result = evaluation.result
    sections = [_head(result, sources, bound), _warnings(result), _groups_and_counts(result)]
    if result.mean_ap is not None:
        sections += _draw_sections(figures, evaluation, groups, sources, compared, bound)
    sections.append(_class_table(result, compared, bound))
    path = Path(folder) / "index.html"
    title = f"mAP {_number(result.mean_ap)} ({result.protocol})"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main>{''.join(sections)}</main></body></html>\n"
    )
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


def _draw_sections(
    figures: ModuleType,
    evaluation: Evaluation,
    groups: Mapping[int, str],
    sources: Sources,
    compared: FrameMapResult | None,
    bound: FrameMapResult | None,
) -> list[str]:
    """Formats the sections that have a figure; the arguments are those of `write_report`."""
    result = evaluation.result
    assert result.mean_ap is not None
    legend = _legend(groups, figures.GROUP_COLORS)
    bars = figures.draw_class_bars(result.per_class, groups, bound.per_class if bound else None)
    sections = [
        _section(
            "Average precision by class", f"Best first, with ground-truth boxes. {legend}", bars
        ),
    ]
    diagnosis = diagnose(evaluation, result.iou_threshold)
    sections.append(
        _section("Where mAP is lost", _LOSSES, figures.draw_losses(diagnosis, result.mean_ap))
    )
    if compared is not None:
        difference = (
            f"mAP {result.mean_ap:.4f} against {_number(compared.mean_ap)} of "
            f"{escape(str(sources.compared_with))}."
        )
        chart = figures.draw_gains(result.per_class, compared.per_class)
        sections.append(_section("Gains by class", difference, chart))
    ranks = evaluation.rankings[result.iou_threshold].classes
    curves = figures.draw_curves(list(zip(evaluation.label_map.values(), ranks, strict=True)))
    sections.append(_section("Precision and recall", _CURVES, curves))
    return sections


def _section(title: str, text: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{text}</p>{content}</section>"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _head(result: FrameMapResult, sources: Sources, bound: FrameMapResult | None) -> str:
    low, high = result.frame_map.tie_interval
    classes = sum(row.ap is not None for row in result.per_class.values())
    shown = [(f"frame mAP at IoU {result.iou_threshold:g}", _number(result.mean_ap))]
    if bound is not None:
        shown.append(("mAP with ground-truth boxes", _number(bound.mean_ap)))
    if low is not None and high is not None and high - low > 5e-5:
        shown.append(("interval over equal scores", f"{low:.4f} to {high:.4f}"))
    shown += [
        ("protocol", result.protocol),
        ("keyframes", f"{result.num_keyframes:,}"),
        ("classes", str(classes)),
    ]
    cells = "".join(
        f'<div class="figure"><b>{escape(value)}</b>{escape(label)}</div>' for label, value in shown
    )
    text = f"{escape(sources.detections)} against {escape(sources.annotations)}"
    if sources.bound:
        text += f"; the bound with ground-truth boxes from {escape(sources.bound)}"
    return (
        f'<section><h1>AVA evaluation</h1><p>{text}</p><div class="figures">{cells}</div></section>'
    )


def _warnings(result: FrameMapResult) -> str:
    return "".join(f'<div class="warning">{escape(sentence)}</div>' for sentence in result.warnings)


def _groups_and_counts(result: FrameMapResult) -> str:
    groups = "".join(
        _row(escape(name), _number(value)) for name, value in (result.by_group or {}).items()
    )
    counts = "".join(
        _row(name.replace("_", "-"), f"{result.counts[name]:,}", meaning)
        for name, meaning in COUNT_MEANINGS.items()
    )
    head = '<tr><th>group</th><th class="n">mean AP</th></tr>'
    means = f"<table>{head}{groups}</table><br>" if groups else ""
    table = f'<table><tr><th>detection rows</th><th class="n"></th><th></th></tr>{counts}</table>'
    return f"<section><h2>Groups and rows</h2>{means}{table}</section>"


def _row(name: str, value: str, *texts: str) -> str:
    """Formats a row of a table: a name, a number, and texts."""
    cells = "".join(f"<td>{text}</td>" for text in texts)
    return f'<tr><td>{name}</td><td class="n">{value}</td>{cells}</tr>'


def _legend(groups: Mapping[int, str], colors: Mapping[str, str]) -> str:
    used = [name for name in colors if name in groups.values()]
    return "".join(
        f'<span class="legend"><span class="key" style="background:{colors[name]}"></span>'
        f"{escape(name)}</span> "
        for name in used
    )


def _class_table(
    result: FrameMapResult, compared: FrameMapResult | None, bound: FrameMapResult | None
) -> str:
    others = [
        (name, other)
        for name, other in (("bound", bound), ("compared", compared))
        if other is not None
    ]
    head = "".join(
        f'<th class="n">{name}</th>'
        for name in ("AP", *(n for n, _ in others), "boxes", "detections")
    )
    rows = []
    for key, row in result.per_class.items():
        other_rows = [other.per_class.get(key) for _, other in others]
        values = [row.ap, *(None if other is None else other.ap for other in other_rows)]
        cells = "".join(f'<td class="n">{_number(value)}</td>' for value in values)
        cells += f'<td class="n">{row.num_gt:,}</td><td class="n">{row.num_det:,}</td>'
        rows.append(f"<tr><td>{key}</td><td>{escape(row.name)}</td>{cells}</tr>")
    table = f"<table><tr><th>id</th><th>action</th>{head}</tr>{''.join(rows)}</table>"
    return f"<section><h2>All classes</h2>{table}</section>"
