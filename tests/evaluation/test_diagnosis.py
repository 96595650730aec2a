"""Each kind of error, made on purpose, is found and priced as that kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from ava_det.evaluation import evaluate_rows
from ava_det.evaluation.diagnosis import CAUSES, Diagnosis, diagnose
from ava_det.formats.annotations import load_annotations, load_detections

A = "0.1,0.1,0.5,0.5"
FAR = "0.7,0.7,0.9,0.9"
NEAR_A = "0.3,0.1,0.7,0.5"  # NEAR_A overlaps A by a third


def diagnosis_of(folder: Path, truth: list[str], detections: list[str]) -> tuple[Diagnosis, float]:
    (folder / "gt.csv").write_text("\n".join(truth) + "\n")
    (folder / "det.csv").write_text("\n".join(detections) + "\n")
    rows = load_annotations(folder / "gt.csv"), load_detections(folder / "det.csv")
    evaluation = evaluate_rows(*rows, {1: "one", 2: "two"})
    return diagnose(evaluation, 0.5), evaluation.result.mean_ap


TRUTH = [f"v,1,{A},1,0", f"v,2,{A},1,0"]


@pytest.mark.parametrize(
    ("cause", "truth", "detections", "mean_ap", "gain"),
    [
        ("wrong box", TRUTH, [f"v,1,{NEAR_A},1,0.9", f"v,2,{A},1,0.8"], 0.25, 0.75),
        (
            "wrong class",
            [*TRUTH, f"v,3,{A},2,0"],
            [f"v,3,{A},1,0.9", f"v,1,{A},1,0.8", f"v,2,{A},1,0.7"],
            1 / 3,
            1 / 6,
        ),
        ("missed person", TRUTH, [f"v,1,{A},1,0.9"], 0.5, 0.5),
        (
            "background",
            TRUTH,
            [f"v,1,{FAR},1,0.9", f"v,1,{A},1,0.8", f"v,2,{A},1,0.7"],
            2 / 3,
            1 / 3,
        ),
        ("duplicate", TRUTH, [f"v,1,{A},1,0.9", f"v,1,{A},1,0.8", f"v,2,{A},1,0.7"], 5 / 6, 1 / 6),
    ],
)
def test_one_error_has_one_cause(
    cause: str, truth: list[str], detections: list[str], mean_ap: float, gain: float, tmp_path: Path
) -> None:
    diagnosis, before = diagnosis_of(tmp_path, truth, detections)
    assert before == pytest.approx(mean_ap)
    assert diagnosis.gains[cause] == pytest.approx(gain)
    assert diagnosis.num_errors[cause] == 1
    others = [other for other in CAUSES if other != cause]
    # a box too far off leaves its person uncovered
    allowed = {"wrong box": ("missed person",)}.get(cause, ())
    assert all(diagnosis.num_errors[other] == 0 for other in others if other not in allowed)


def test_a_moved_box_takes_its_person_from_a_lower_one_without_harm(tmp_path: Path) -> None:
    rows = [f"v,1,{NEAR_A},1,0.9", f"v,1,{A},1,0.8", f"v,2,{A},1,0.7"]
    diagnosis, before = diagnosis_of(tmp_path, TRUTH, rows)
    assert before + diagnosis.gains["wrong box"] == pytest.approx(1.0)
    assert diagnosis.per_class["wrong box"][1] == pytest.approx(diagnosis.gains["wrong box"])


def test_perfect_detections_have_nothing_to_fix(tmp_path: Path) -> None:
    diagnosis, before = diagnosis_of(tmp_path, TRUTH, [f"v,1,{A},1,0.9", f"v,2,{A},1,0.8"])
    assert before == 1.0
    assert diagnosis.gains == dict.fromkeys(CAUSES, 0.0)
    assert diagnosis.num_errors == dict.fromkeys(CAUSES, 0)
