"""The study of linkers: what it trims and chooses, its table, and (slow) the whole in the small."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ava_det.formats.tubes import Tube, TubeTruth
from ava_det.formats.tubes.frame_table import VideoFrames, write_frame_table
from ava_det.formats.tubes.truth_writer import write_truth
from studies import tube_linking
from studies.tube_linking import Linking, Part, Sizes, compare, format_section, measure, trim

SMALL = ("--num-train", "1", "--num-val", "1", "--seconds", "6", "--size", "96x72")


def test_a_tube_is_cut_to_the_stretches_that_reach_the_score() -> None:
    scores = np.concatenate([np.full(20, 0.1), np.full(30, 0.3), np.full(20, 0.1), [0.9] * 20])
    scores[30] = 0.5
    frames = np.arange(11, 101)
    boxes = np.repeat(frames[:, None], 4, axis=1).astype(float)
    first, second = trim(Tube("v", 3, frames, boxes, 0.4, scores), 0.5)
    assert first.frames.tolist() == list(range(31, 61))
    assert first.boxes[:, 0].tolist() == first.frames.tolist()
    assert first.score == pytest.approx((29 * 0.3 + 0.5) / 30)
    assert (first.video, first.label) == ("v", 3)
    assert second.frames.tolist() == list(range(81, 101))


TUBES = ((0, 1, 60, 10), (1, 1, 60, 40), (1, 21, 30, 70))  # label, first and last frame, left edge


@pytest.fixture
def perfect(tmp_path: Path) -> Part:
    """A video whose every label is detected, at 0.35; one of three tubes is too short to be one."""
    tubes = [
        Tube(
            "v",
            label,
            np.arange(first, last + 1),
            np.tile(np.array([left, 5, left + 20, 45], np.float32), (last - first + 1, 1)),
        )
        for label, first, last, left in TUBES
    ]
    truth = TubeTruth(("a", "b"), ((),), (("v",),), {"v": 60}, {"v": (50, 100)}, {"v": tubes})
    write_truth(tmp_path / "tubes_GT.pkl", truth)
    write_frame_table(tmp_path / "frames.csv", [VideoFrames("v", "v", Fraction(15), 60, 100, 50)])
    (tmp_path / "labelmap.pbtxt").write_text("1: a\n2: b\n")
    (tmp_path / "detections.csv").write_text(
        "".join(
            f"v,{900 + (frame - 1) / 15:.6f},{left / 100},0.1,{(left + 20) / 100},0.9,"
            f"{label + 1},0.35\n"
            for label, first, last, left in TUBES
            for frame in range(first, last + 1)
        )
    )
    (tmp_path / "metrics.json").write_text('{"mAP": 1.0, "person_recall": 0.9}')
    return Part(tmp_path, tmp_path)


def test_what_a_tube_must_score_is_chosen_on_the_held_out_videos(perfect: Part) -> None:
    row = compare(Linking("tracks", True), perfect, perfect)
    assert row.held_out == pytest.approx({0.1: 0.75, 0.2: 0.75, 0.3: 0.75, 0.5: 0, 0.7: 0})
    assert row.high == 0.1
    whole = compare(Linking("yowo", False), perfect, perfect)
    assert (whole.high, whole.held_out) == (None, {})
    section = format_section("boxes", perfect.scored, [row, whole]).splitlines()
    assert section[0] == "## boxes: frame mAP 1.000, recall 0.900"
    cells = [cell.strip() for cell in section[4].split("|")[1:-1]]
    reached = row.result.by_threshold[0.5].mean_ap
    assert (cells[0], cells[1], cells[3]) == ("`tracks`", "0.1 and 0.05", f"{reached:.3f}")
    assert len(section[2].split("|")) == len(section[3].split("|")) == len(section[4].split("|"))
    assert [line for line in section if line.startswith("| `yowo`")] == [section[5]]


@pytest.mark.slow
def test_the_whole_study_in_the_small_trains_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = Sizes(SMALL, ("--seed", "1", *SMALL))
    overrides = ["model.width=4", "train.epochs=1", "train.batch_size=2"]
    table = measure(tmp_path, sizes, overrides)
    assert table.count("\n| `tracks` |") == 2 * 4
    assert table.count("| 0.2 and 0.1, the default |") == 2
    assert "## labeled boxes" in table
    assert "## boxes of the motion detector" in table

    def refuse(arguments: list[str]) -> int:
        raise AssertionError(f"what is there was repeated: {arguments}")

    monkeypatch.setattr(tube_linking, "train", refuse)
    monkeypatch.setattr(tube_linking, "test", refuse)
    assert measure(tmp_path, sizes, overrides) == table
