"""Writes the report of a reproduction: report.json, and report.md to read and to cite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ava_det.evaluation.metrics import ProtocolResult, Refusal
from ava_det.files import write_json, write_text
from ava_det.reproduction.published import NUM_MOVIES, PublishedResult
from ava_det.reproduction.videos import VideoFacts


@dataclass
class Reproduction:
    """Holds everything that a report says.

    Attributes:
        weights: Name or file of the weights.
        weights_sha256: Hash of their file.
        published: Their published result, if there is one.
        verdict: A sentence about the difference.
        difference: mAP minus the published one, None where they are not comparable.
        results: Protocol -> its result, or its refusal of the rows.
        settings: Name -> value of what decides the number.
        videos: Facts of the movies that were scored.
        missing: Ids of movies that were not found.
        num_keyframes: Keyframes that were scored.
        num_boxes: Person boxes that were scored.
        causes: Likely causes of a difference, one sentence each.
        lost: Sentences about keyframes without detections.
        reference_source: Where the AP of the reference is stated.
        environment: Name -> version of libraries and device.
        classes: (name, AP here, AP of the reference).
    """

    weights: str
    weights_sha256: str
    published: PublishedResult | None
    verdict: str
    difference: float | None
    results: Mapping[str, ProtocolResult]
    settings: Mapping[str, object]
    videos: Sequence[VideoFacts]
    missing: Sequence[str]
    num_keyframes: int
    num_boxes: int
    causes: Sequence[str]
    lost: Sequence[str]
    reference_source: str | None
    environment: Mapping[str, object]
    classes: Sequence[tuple[str, float, float]] = field(default_factory=list)


def write_reports(folder: Path, reproduction: Reproduction) -> Path:
    """Writes report.json and report.md into a folder, and returns the path of the latter."""
    results = {name: result.to_json() for name, result in reproduction.results.items()}
    write_json(folder / "report.json", {**asdict(reproduction), "results": results})
    write_text(folder / "report.md", describe(reproduction))
    return folder / "report.md"


def describe(reproduction: Reproduction) -> str:
    """Formats a report as Markdown."""
    r = reproduction
    parts = [
        f"# {r.weights}",
        f"{r.verdict[0].upper()}{r.verdict[1:]}.",
        "\n".join(protocol_table(r.results, r.published)),
        f"{len(r.videos)} of {NUM_MOVIES} movies, {r.num_keyframes} keyframes, {r.num_boxes} "
        "person boxes.",
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
        key = (
            f"{video.fps:.3f} fps, {video.width}x{video.height}, "
            f"{Path(video.file).suffix or 'folder'}"
        )
        rates[key] = rates.get(key, 0) + 1
    parts += ["## Movies", "\n".join(f"- {count} of {key}" for key, count in sorted(rates.items()))]
    facts: dict[str, object] = {"weights_sha256": r.weights_sha256, **r.settings, **r.environment}
    parts += ["## Settings", "\n".join(f"- {key}: `{value}`" for key, value in facts.items())]
    return "\n\n".join(parts) + "\n"


def protocol_table(
    results: Mapping[str, ProtocolResult], published: PublishedResult | None
) -> list[str]:
    """Formats a Markdown table of every protocol's mAP in %.

    The published number is beside the protocol it was made with.

    Args:
        results: Protocol -> its result, or its refusal of the rows.
        published: The published result; None for weights without one.

    Returns:
        The rows of the table.
    """
    rows = ["| protocol | mAP | published |", "|---|---|---|"]
    for name, result in results.items():
        value = result.mean_ap
        shown = "undefined" if value is None else f"{100 * value:.2f}"
        if isinstance(result, Refusal):
            shown = result.error
        stated = ""
        if published is not None and published.protocol == name:
            stated = f"{100 * published.mean_ap:.4g}"
        rows.append(f"| {name} | {shown} | {stated} |")
    return rows
