"""The benchmark of tubes measures what it says: loops and arrays agree, sizes are as promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ava_det.evaluation.tubes import evaluate_frames, evaluate_tubes
from benchmarks import tubes as benchmark


def test_the_set_has_the_size_that_is_stated_and_the_loops_agree() -> None:
    truth, tubes, boxes = benchmark.make_large_case(8)
    assert len(boxes) == pytest.approx(8 * 1000, rel=0.1)
    assert sum(map(len, truth.tubes.values())) == 8 * 12
    video = evaluate_tubes(truth, tubes, thresholds=[0.5]).by_threshold[0.5].mean_ap
    assert benchmark.loop_tubes(truth, tubes) == pytest.approx(video, abs=1e-12)
    frame = evaluate_frames(truth, boxes).by_threshold[0.5].mean_ap
    assert benchmark.loop_frames(truth, tubes, boxes) == pytest.approx(frame, abs=1e-12)
    assert 0.1 < (video or 0) < 0.9


@pytest.mark.slow
def test_it_prints_its_figures_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    benchmark.measure_tubes("80", "2")  # fewer would leave classes without truth
    figures = json.loads(capsys.readouterr().out)
    assert figures["videos"] == 80
    assert figures["video mAP of 2 videos by loops / ours"] > 0
    assert figures["peak memory with torch and the data, GB"] < 2
