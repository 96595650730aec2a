"""Writes the page of `python -m benchmarks gpu`, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.gpu_parts import (
    COMPILED,
    DEMO,
    DETECTOR,
    EVALUATOR,
    FORWARD,
    PRECISION,
    TESTS,
    TRAINING,
)

FACTS = ("gpu", "capability", "gpu_memory_mb", "multiprocessors", "driver", "cuda", "cudnn")


def write_page(report: Mapping[str, Any]) -> str:
    """Returns the whole page of a report; what is missing in it is said, not left out."""
    machine = report["machine"]
    parts = report["parts"]
    lines = [f"# {machine.get('gpu', 'No GPU: ' + machine['cpu'])}, {machine['date']}", ""]
    if report["quick"]:
        lines += ["**A reduced run, which only shows that every part runs.**", ""]
    lines += [
        f"`{report['command']}`, {report['seconds']:.0f} s of {report['limit_seconds']:.0f} s. "
        "Times are medians of rounds in which the ways took turns.",
        "",
        *_draw_table(("what", "this machine"), _list_facts(machine)),
        "",
        "## Goals",
        "",
        *_draw_table(
            ("goal", "at least", "measured", "", "how"),
            [
                (goal["name"], goal["wanted"], goal["measured"], goal["verdict"], goal["why"])
                for goal in report["goals"]
            ],
        ),
    ]
    for name, part in parts.items():
        lines += ["", f"## {name}", "", *_describe_part(name, part)]
    return "\n".join(lines) + "\n"


def _list_facts(machine: Mapping[str, Any]) -> list[tuple[str, Any]]:
    facts = [(name, machine[name]) for name in FACTS if name in machine]
    facts += [(name, machine[name]) for name in ("cpu", "threads", "load", "python")]
    return facts + list(machine["versions"].items())


def _describe_part(name: str, part: Mapping[str, Any]) -> list[str]:
    """Describes one part: its command, what became of it, its figures."""
    if "left_out" in part:
        return [f"Left out: {part['left_out']}."]
    lines = [f"`{part['command']}`, {part['seconds']:.0f} s"]
    if "failed" in part:
        lines += ["", f"**Failed: {part['failed']}.**"]
    if "report" not in part:
        return lines
    report = part["report"]
    kind = name.partition(" ")[0]
    describe = {
        FORWARD: _describe_rows,
        TRAINING: _describe_rows,
        COMPILED: _describe_rows,
        DEMO: _describe_demo,
        DETECTOR: _describe_detector,
        EVALUATOR: _describe_evaluator,
        PRECISION: _describe_precision,
        TESTS: _describe_tests,
    }[kind]
    return [*lines, "", *describe(report)]


def _describe_rows(report: Mapping[str, Any]) -> list[str]:
    rates = report["rates"]
    columns = ["batch", "way", "ms", "clips/s", "times as fast", "of the floor"]
    last = {"max_score_change": "score change", "kept_mb": "kept MB", "peak_mb": "peak MB"}
    keys = [key for key in last if key in report["rows"][0]]
    rows = [
        (
            row["batch"],
            row["way"],
            row["ms"],
            row["clips_per_second"],
            row["ratio"],
            f"{row['share_of_floor']:.0%}",
            *(row[key] for key in keys),
        )
        for row in report["rows"]
    ]
    products = ", ".join(
        f"{rate * 2 / 1e12:.3g} TFLOP/s in {name}"
        for name, rate in rates.items()
        if name != "bytes"
    )
    floor = f"Floor: matrix products at {products}; memory at {rates['bytes'] / 1e9:.0f} GB/s."
    return [floor, "", *_draw_table((*columns, *(last[key] for key in keys)), rows)]


def _describe_demo(report: Mapping[str, Any]) -> list[str]:
    medians = report["medians"]
    took = medians["whole, clock"]
    return [
        f"{medians['seconds'] / took:.1f} times real time, {medians['frames'] / took:.0f} frames/s "
        f"of a video {report['options']['height']} pixels high, detector "
        f"{report['options']['detector']}; {medians['whole, CPU'] / took:.1f} cores were busy."
    ]


def _describe_detector(report: Mapping[str, Any]) -> list[str]:
    return _draw_table(("way", "frames/s"), report["frames_per_second"].items())


def _describe_evaluator(report: Mapping[str, Any]) -> list[str]:
    devices = {"cpu": report} | ({"cuda": report["cuda"]} if "cuda" in report else {})
    keys = ("clock_seconds", "clock_seconds_in_memory", "cpu_seconds", "device_mb", "mAP")
    titles = ("device", "CSV to mAP, s", "arrays to mAP, s", "processor, s", "device MB", "mAP")
    rows = [(device, *(figures[key] for key in keys)) for device, figures in devices.items()]
    return [f"{report['rows']:,.0f} result rows.", "", *_draw_table(titles, rows)]


def _describe_precision(report: Mapping[str, Any]) -> list[str]:
    rows = [(name, kind["is_native"], kind["factor"]) for name, kind in report["types"].items()]
    return [
        f"auto is {report['auto']}: {report['reason']}.",
        "",
        *_draw_table(("type", "native", "a small convolution's time / in fp32"), rows),
    ]


def _describe_tests(report: Mapping[str, Any]) -> list[str]:
    counts = f"{report['passed']} passed, {report['failed']} failed, {report['skipped']} skipped."
    return [counts, *(f"- {failure}" for failure in report["failures"])]


def _draw_table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [titles, ["---"] * len(titles), *rows]
    return ["| " + " | ".join(map(_show, line)) + " |" for line in lines]


def _show(value: Any) -> str:
    """Shows a value in a cell of a table."""
    if value is None:
        return ""
    shown = f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value)
    shown = f"{value:.0f}" if isinstance(value, float) and abs(value) >= 1000 else shown
    return shown.replace("|", "\\|")
