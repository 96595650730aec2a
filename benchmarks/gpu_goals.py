"""Judges the goals of `python -m benchmarks gpu` by what its parts have measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.gpu_parts import (
    DEMO,
    EVALUATOR,
    FORWARD,
    MAIN,
    NETWORKS,
    PRECISION,
    TESTS,
    TRAINING,
    name_part,
)

# part -> what `run_part` says of it
Parts = Mapping[str, Mapping[str, Any]]
SHARE_OF_FLOOR = 0.6
TRAINING_CLIPS = 400.0
REAL_TIME = 10.0


@dataclass(frozen=True)
class Goal:
    """Holds a goal and what came of it.

    Attributes:
        name: What is judged.
        wanted: The smallest value that meets it.
        measured: The value, None where it was not measured.
        verdict: met, missed or not measured.
        why: What was measured in which way, or why it was not.
    """

    name: str
    wanted: float
    measured: float | None
    verdict: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """Returns the fields."""
        return asdict(self)


def judge_goals(parts: Parts, is_quick: bool) -> list[Goal]:
    """Judges all goals.

    Args:
        parts: What has run so far.
        is_quick: Whether the run was a reduced one, whose figures meet and miss nothing.
    """

    def judge(
        name: str, wanted: float, part: str, read: Callable[[Any], tuple[float, str]]
    ) -> Goal:
        report = parts.get(part, {}).get("report")
        if is_quick:
            return Goal(name, wanted, None, "not measured", "a reduced run")
        if report is None:
            return Goal(name, wanted, None, "not measured", explain(parts.get(part), part))
        try:
            measured, why = read(report)
        except LookupError as error:
            return Goal(name, wanted, None, "not measured", str(error.args[0]))
        return Goal(name, wanted, measured, "met" if measured >= wanted else "missed", why)

    return [
        *(
            judge(
                f"{network}: share of the fused floor, forward",
                SHARE_OF_FLOOR,
                name_part(FORWARD, network),
                find_share,
            )
            for network in NETWORKS
        ),
        judge(
            f"{MAIN} at 224 x 224: training clips a second",
            TRAINING_CLIPS,
            name_part(TRAINING, MAIN),
            find_training_rate,
        ),
        judge("the demo at 1080p: times real time", REAL_TIME, DEMO, find_real_time),
        judge("tests of a GPU: share that passed", 1.0, TESTS, find_passed),
        judge("the evaluator: the CPU's mAP (1 if equal)", 1.0, EVALUATOR, compare_maps),
        judge(
            "precision auto: times as fast as the other precision, forward",
            1.0,
            name_part(FORWARD, MAIN),
            lambda report: compare_precisions(report, parts),
        ),
    ]


def explain(part: Mapping[str, Any] | None, name: str) -> str:
    """Says why a part has no report."""
    if part is None:
        return f"{name} has not run"
    return str(part.get("failed") or part.get("left_out") or f"{name} wrote nothing")


def find_share(report: Mapping[str, Any]) -> tuple[float, str]:
    """Finds the best share of the floor that a form reaches which ava-det itself runs."""
    rows = [row for row in report["rows"] if is_inference_form(row["way"])]
    best = pick_best(rows, "share_of_floor", "no inference form was measured")
    why = f"{best['way']}, batch {best['batch']}, {best['clips_per_second']:.0f} clips/s"
    return best["share_of_floor"], why


def is_inference_form(way: str) -> bool:
    """Returns whether `ava-det test` and the demo run this form, which has no CUDA graph."""
    return way in ("inference form fp32", "inference form bf16")


def find_training_rate(report: Mapping[str, Any]) -> tuple[float, str]:
    """Finds the most clips a second of ava-det's own step; reading clips is not part of it."""
    rows = [row for row in report["rows"] if row["way"].startswith("ava-det train")]
    best = pick_best(rows, "clips_per_second", "no step was measured")
    return best["clips_per_second"], f"{best['way']}, batch {best['batch']}, without reading clips"


def pick_best(rows: Iterable[dict[str, Any]], key: str, otherwise: str) -> dict[str, Any]:
    """Returns the row with the largest value of `key`.

    Raises:
        LookupError: There is none; the error says `otherwise`.
    """
    best = max(rows, key=lambda row: float(row[key]), default=None)
    if best is None:
        raise LookupError(otherwise)
    return best


def find_real_time(report: Mapping[str, Any]) -> tuple[float, str]:
    """Divides the video's seconds by those that the demo took."""
    medians = report["medians"]
    took = medians["whole, clock"]
    return medians["seconds"] / took, f"{medians['frames'] / took:.0f} frames/s, motion detector"


def find_passed(report: Mapping[str, Any]) -> tuple[float, str]:
    """Divides the tests that passed by those that ran.

    Raises:
        LookupError: All were skipped.
    """
    ran = report["passed"] + report["failed"]
    if not ran:
        raise LookupError(f"all {report['skipped']} tests were skipped")
    why = f"{report['passed']} passed, {report['failed']} failed, {report['skipped']} skipped"
    return report["passed"] / ran, why


def compare_maps(report: Mapping[str, Any]) -> tuple[float, str]:
    """Compares the mAP on the device with the CPU's, to 1e-9.

    Raises:
        LookupError: Only the CPU was measured.
    """
    if "cuda" not in report:
        raise LookupError("only the CPU was measured")
    there = report["cuda"]
    difference = abs(there["mAP"] - report["mAP"])
    seconds = "in memory {:.2f} s instead of the CPU's {:.2f} s".format(
        *(one["clock_seconds_in_memory"] for one in (there, report))
    )
    return float(difference <= 1e-9), f"they differ by {difference:.1g}; {seconds}"


def compare_precisions(report: Mapping[str, Any], parts: Parts) -> tuple[float, str]:
    """Divides the other precision's time by that of the one which auto chose, at the last batch.

    Raises:
        LookupError: The choice, or one of the two times, was not measured.
    """
    choice = parts.get(PRECISION, {}).get("report")
    if choice is None:
        raise LookupError(explain(parts.get(PRECISION), PRECISION))
    batch = report["rows"][-1]["batch"]
    times = {row["way"]: row["ms"] for row in report["rows"] if row["batch"] == batch}
    other = "fp32" if choice["auto"] == "bf16" else "bf16"
    ours, theirs = (times.get(f"inference form {name}") for name in (choice["auto"], other))
    if ours is None or theirs is None:
        raise LookupError(
            f"auto is {choice['auto']} ({choice['reason']}), {other} was not measured"
        )
    return theirs / ours, f"auto is {choice['auto']}; inference form, batch {batch}"
