"""Formats an examination as text: the findings, the splits, the classes, and a verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ava_det.dataset_check.examination import Examination
from ava_det.dataset_check.findings import ERROR, NOTE, WARNING, Finding
from ava_det.dataset_check.labels import count_classes
from ava_det.dataset_check.overlaps import BOX, KEYFRAME
from ava_det.messages.counts import format_count

# The most and the least frequent ones; 80 classes would push the findings off the screen.
NUM_CLASSES_SHOWN = 12


def format_examination(examination: Examination, width: int = 120) -> str:
    """Formats an examination in lines of at most `width` characters where words allow it."""
    parts = [_format_findings(examination.findings, width)] if examination.findings else []
    parts += [
        _format_splits(examination),
        _format_classes(examination),
        format_verdict(examination.findings),
    ]
    return "\n\n".join(part for part in parts if part)


def _format_findings(findings: Sequence[Finding], width: int) -> str:
    rows = [(f.severity, f.where, f"{f.count:,}", f.problem, f.remedy) for f in findings]
    heads = ("severity", "where", "count", "what is wrong", "how to fix it")
    fixed = [
        8,
        min(34, max(len(row[1]) for row in [heads, *rows])),
        max(len(row[2]) for row in [heads, *rows]),
    ]
    rest = max(width - sum(fixed) - 8, 50)
    widths = [*fixed, rest * 3 // 5, rest - rest * 3 // 5]
    lines = [*_wrap_row(heads, widths), "  ".join("-" * column for column in widths)]
    for row in rows:
        lines += _wrap_row(row, widths)
    return "\n".join(lines)


def _wrap_row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    wrapped = [
        textwrap.wrap(cell, room, break_on_hyphens=False)
        for cell, room in zip(cells, widths, strict=True)
    ]
    height = max(len(lines) for lines in wrapped)
    columns = [lines + [""] * (height - len(lines)) for lines in wrapped]
    return [
        "  ".join(
            cell.rjust(room) if column == 2 else cell.ljust(room)
            for column, (cell, room) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in zip(*columns, strict=True)
    ]


def _format_splits(examination: Examination) -> str:
    lines = []
    for split in examination.splits:
        videos = split.keyframes["video_id"].n_unique()
        boxes = len(split.table.filter(split.has_box).unique([*KEYFRAME, *BOX, "id_or_score"]))
        keyframes = format_count(len(split.keyframes), "keyframe")
        labeled = len(examination.label_map.keys() & count_classes(split).keys())
        known = f"{labeled} of {len(examination.label_map)} classes"
        source = " and ".join(map(str, split.files.annotations)) or " and ".join(split.files.boxes)
        lines.append(
            f"{split.name + ':':6} {format_count(videos, 'video')}, {keyframes} "
            f"({len(split.excluded):,} excluded), {format_count(boxes, 'box')}, "
            f"{format_count(len(split.rows), 'row')}, {known}; {source}"
        )
    return "\n".join(lines)


def _format_classes(examination: Examination) -> str:
    """Formats the labeled boxes of each class by split; of many classes not those in between."""
    splits = [split for split in examination.splits if len(split.rows)]
    counts = {split.name: count_classes(split) for split in splits}
    names = examination.label_map
    total = {
        action_id: sum(count.get(action_id, 0) for count in counts.values()) for action_id in names
    }
    order = sorted((i for i in names if total[i]), key=lambda i: (-total[i], i))
    if not order or not splits:
        return ""
    half = NUM_CLASSES_SHOWN // 2
    left_out = len(order) - 2 * half
    lines = ["".join(f"{split.name:>9}" for split in splits) + "  boxes labeled"]
    for place, action_id in enumerate(order):
        if left_out > 1 and place == half:
            lines.append(f"{'...':>{9 * len(splits)}}  {left_out} classes in between")
        if left_out <= 1 or place < half or place >= len(order) - half:
            numbers = "".join(f"{counts[split.name].get(action_id, 0):9,}" for split in splits)
            lines.append(f"{numbers}  {action_id} {names[action_id]}")
    return "\n".join(lines)


def format_verdict(findings: Sequence[Finding]) -> str:
    """Formats in one sentence whether the data can be used, and how much was found."""
    errors, warnings, notes = (
        sum(f.severity == kind for f in findings) for kind in (ERROR, WARNING, NOTE)
    )
    rest = f"{format_count(warnings, 'warning')}, {format_count(notes, 'note')}"
    if errors:
        spoiling = format_count(errors, "error")
        return f"Not ready: {spoiling} would spoil training or evaluation ({rest})."
    return f"Nothing here would spoil training or evaluation ({rest})."
