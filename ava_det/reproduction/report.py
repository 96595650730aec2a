"""The report of a reproduction: report.json, and report.md to read and to cite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ava_det.files import write_json, write_text
from ava_det.reproduction.published import NUM_MOVIES, PublishedResult
from ava_det.reproduction.videos import VideoFacts


@dataclass
class Reproduction:
    """Everything a report says. results: protocol -> metrics or {"error"}. settings: what decides
    the number. lost: sentences about keyframes without detections. classes: (name, AP here, AP of
    the reference).
    """

    weights: str
    weights_sha256: str
    published: PublishedResult | None
    verdict: str
    difference: float | None
    results: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any]
    videos: Sequence[VideoFacts]
    missing: Sequence[str]
    num_keyframes: int
    num_boxes: int
    causes: Sequence[str]
    lost: Sequence[str]
    reference_source: str | None
    environment: Mapping[str, Any]
    classes: Sequence[tuple[str, float, float]] = field(default_factory=list)


def write_reports(folder: Path, reproduction: Reproduction) -> Path:
    """Writes report.json and report.md; the path of the latter."""
    write_json(folder / "report.json", asdict(reproduction))
    write_text(folder / "report.md", describe(reproduction))
    return folder / "report.md"


def describe(reproduction: Reproduction) -> str:
    """The report as Markdown."""
    r = reproduction
    parts = [
        f"# {r.weights}",
        f"{r.verdict[0].upper()}{r.verdict[1:]}.",
        "\n".join(protocol_table(r.results, r.published)),
        f"{len(r.videos)} of {NUM_MOVIES} movies, {r.num_keyframes} keyframes, {r.num_boxes} person boxes.",
    ]
    if r.causes:
        parts += ["## Likely causes", "\n".join(f"- {cause}" for cause in r.causes)]
    if r.missing or r.lost:
        gone = [f"- missing: {video_id}" for video_id in r.missing]
        parts += ["## Not scored", "\n".join(gone + [f"- {sentence}" for sentence in r.lost])]
    if r.classes:
        head = ["| class | AP here | AP in reference | difference |", "|---|---|---|---|"]
        rows = [
            f"| {name} | {here:.4f} | {there:.4f} | {here - there:+.4f} |"
            for name, here, there in r.classes
        ]
        parts += [f"## Classes, against {r.reference_source}", "\n".join(head + rows)]
    rates: dict[str, int] = {}
    for video in r.videos:
        key = f"{video.fps:.3f} fps, {video.width}x{video.height}, {Path(video.file).suffix or 'folder'}"
        rates[key] = rates.get(key, 0) + 1
    parts += ["## Movies", "\n".join(f"- {count} of {key}" for key, count in sorted(rates.items()))]
    facts = {"weights_sha256": r.weights_sha256, **r.settings, **r.environment}
    parts += ["## Settings", "\n".join(f"- {key}: `{value}`" for key, value in facts.items())]
    return "\n\n".join(parts) + "\n"


def protocol_table(
    results: Mapping[str, Mapping[str, Any]], published: PublishedResult | None
) -> list[str]:
    """Markdown rows: every protocol's mAP in %, and the published number beside the one it was made
    with.
    """
    rows = ["| protocol | mAP | published |", "|---|---|---|"]
    for name, result in results.items():
        value = result.get("mAP")
        shown = (
            result["error"]
            if "error" in result
            else "undefined"
            if value is None
            else f"{100 * value:.2f}"
        )
        ours = (
            f"{100 * published.mean_ap:.4g}"
            if published is not None and published.protocol == name
            else ""
        )
        rows.append(f"| {name} | {shown} | {ours} |")
    return rows
