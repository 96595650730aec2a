"""Finds why a reproduced number may be off: what the run itself shows, most likely first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ava_det.evaluation.metrics import ProtocolResult
from ava_det.reproduction.published import NUM_MOVIES, PublishedResult

CLOSE = 0.003  # mAP: one in the last printed digit, tied scores, and what re-encoding costs

# What people got from the 28.2 and 29.4 models by doing otherwise (issues of
# facebookresearch/SlowFast).
REPORTED = (
    (0.252, "frames extracted by another version of ffmpeg"),
    (0.237, "frames scaled down before (issue 66)"),
    (0.214, "another configuration (issue 228)"),
    (0.168, "another configuration, the 64x2 model (issue 228)"),
    (0.039, "a configuration that did not fit the weights (issue 710)"),
)


def find_list_problems(
    published: PublishedResult | None, boxes: str, min_score: float
) -> list[str]:
    """Finds how person boxes differ from those that the number was published with.

    Args:
        published: The published result; None for weights without one.
        boxes: The box file of the run.
        min_score: Its `data.min_person_score`.

    Returns:
        One sentence each.
    """
    if published is None:
        return []
    problems = []
    if not Path(boxes).as_posix().endswith(published.box_list):
        problems.append(
            f"wrong list: person boxes are {boxes}, the published number used {published.box_list}"
        )
    if min_score != published.min_person_score:
        problems.append(
            f"wrong threshold: data.min_person_score={min_score:g}, the published number used "
            f"{published.min_person_score:g}"
        )
    return problems


def find_annotation_problems(
    published: PublishedResult | None, version: str, annotations: Sequence[str]
) -> list[str]:
    """Finds how the ground truth differs from that of the published version.

    Args:
        published: The published result; None for weights without one.
        version: The run's `data.ava_version`.
        annotations: The run's annotation files.

    Returns:
        One sentence each.
    """
    names = [Path(path).name for path in annotations]
    other = {"2.1": "2.2", "2.2": "2.1"}
    problems = []
    if published is not None and version != published.version:
        problems.append(
            f"wrong version: data.ava_version={version}, the number is of AVA v{published.version}"
        )
    if published is not None:
        wrong = [name for name in names if f"v{other[published.version]}" in name]
        problems += [
            f"wrong annotations: {name}, the number is of AVA v{published.version}"
            for name in wrong
        ]
    return problems


def compare(
    published: PublishedResult | None, results: Mapping[str, ProtocolResult], num_videos: int
) -> tuple[float | None, str]:
    """Compares mAP with the published one, under its protocol.

    Args:
        published: The published result; None for weights without one.
        results: Protocol -> result of the run.
        num_videos: Movies of the run.

    Returns:
        mAP minus the published one (None where they are not comparable), and a sentence about it.
    """
    if published is None:
        return None, "no number is published for these weights"
    measured = results[published.protocol].mean_ap if published.protocol in results else None
    if measured is None:
        return (
            None,
            f"not comparable: no mAP under {published.protocol}, the protocol of the published "
            "number",
        )
    if num_videos < NUM_MOVIES:
        return None, (
            f"not comparable: {100 * published.mean_ap:.4g} is of {NUM_MOVIES} movies, this is of "
            f"{num_videos}. "
            "Classes missing from these movies are left out of their mean, and single movies "
            "differ widely: compare "
            "settings with each other on the same movies, not with the published number"
        )
    difference = measured - published.mean_ap
    verdict = "reproduced" if abs(difference) <= CLOSE else "off"
    return difference, (
        f"{verdict}: {100 * measured:.2f} against {100 * published.mean_ap:.4g} published "
        f"({100 * difference:+.2f}), "
        f"{published.protocol}"
    )


def name_causes(
    difference: float | None, measured: float | None, problems: Sequence[str]
) -> list[str]:
    """Lists likely causes of a number that is off, most likely first.

    Args:
        difference: mAP minus the published one.
        measured: mAP of the run.
        problems: What the run shows.

    Returns:
        What the run shows, then what others report.
    """
    causes = list(problems)
    if difference is None or abs(difference) <= CLOSE or measured is None:
        return causes
    if not problems:
        causes.append(
            "nothing unusual was found in files, lists and settings: compare the classes below"
        )
    near = [text for value, text in REPORTED if abs(measured - value) < 0.005]
    causes += [f"{100 * measured:.1f} was also reported for: {text}" for text in near]
    return causes


def find_odd_classes(
    result: ProtocolResult, reference: Mapping[str, float]
) -> list[tuple[str, float, float]]:
    """Compares the AP of classes with a reference.

    Args:
        result: Of the run.
        reference: Class name -> AP.

    Returns:
        (class name, AP here, AP in the reference), largest difference first; classes without both
        are left out.
    """
    by_name = {row.name: row.ap for row in result.per_class.values() if row.ap is not None}
    both = [(name, by_name[name], value) for name, value in reference.items() if name in by_name]
    return sorted(both, key=lambda row: -abs(row[1] - row[2]))
