"""What a Predictor found in a video, as a sequence, a table and a page of a notebook."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from ava_det.inference.predictor import Predictor
from ava_det.video.writer import VideoWriter
from tests.support.scripted_predictor import FPS, HEIGHT, WIDTH, ScriptedDetector, make_predictor


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """4 s whose brightness is 60 * second."""
    with VideoWriter(tmp_path / "ramp.mp4", WIDTH, HEIGHT, FPS) as writer:
        for index in range(4 * FPS):
            writer.write(np.full((HEIGHT, WIDTH, 3), 6 * index, np.uint8), index / FPS)
    return tmp_path / "ramp.mp4"


@pytest.fixture
def predictor() -> Predictor:
    """One person at the seconds 0, 1, 3, who is "left" always, and "bright" at 3."""
    box = [([16.0, 12.0, 32.0, 48.0], 0.9)]
    predictor = make_predictor(ScriptedDetector({0: box, 1: box, 3: box}))
    predictor.label_map = {1: "<b>bright</b>", 2: "left", 3: "right"}
    predictor.thresholds = {1: 0.65, 2: 0.5, 3: 0.7}
    return predictor


def test_it_is_a_sequence_of_what_the_predictor_yields(predictor: Predictor, video: Path) -> None:
    results = predictor.collect(video)
    assert [one.keyframe.timestamp for one in results] == [900, 901, 902, 903]
    for one, other in zip(results, predictor(video), strict=True):
        assert one.action_scores.equal(other.action_scores)
    assert repr(results) == f"VideoResults('{video}': 4 keyframes, 3 persons)"
    assert [one.keyframe.timestamp for one in results[1:3]] == [901, 902]
    assert "2 keyframes, 1 person)" in repr(results[1:3])
    assert results[-1].keyframe.timestamp == 903
    with pytest.raises(ValueError, match="every"):
        predictor.collect(video, every=0)


def test_tables(predictor: Predictor, video: Path) -> None:
    results = predictor.collect(video)
    table = results.to_polars()
    chosen = table.select("video", "time", "timestamp", "track", "action_id", "action").rows()
    assert chosen == [
        ("ramp", 0, 900, 1, 2, "left"),
        ("ramp", 1, 901, 1, 2, "left"),
        ("ramp", 3, 903, 1, 1, "<b>bright</b>"),
        ("ramp", 3, 903, 1, 2, "left"),
    ]
    assert table.select("x1", "y1", "x2", "y2").rows()[0] == (0.25, 0.25, 0.5, 1.0)
    assert table["person_score"].to_list() == [pytest.approx(0.9)] * 4
    assert len(results.to_polars(min_score=0.0)) == 9
    nobody = results.to_polars(min_score=0.99)
    assert nobody["action"].to_list() == [None] * 3  # a person without an action stays
    pandas = results.to_pandas()
    assert list(pandas.columns) == table.columns
    assert pandas["score"].tolist() == table["score"].to_list()
    empty = results[2:3].to_polars()
    assert len(empty) == 0 and empty.schema == table.schema


def test_segments(predictor: Predictor, video: Path) -> None:
    results = predictor.collect(video)
    found = [(one.action_id, one.start, one.end) for one in results.segments()]
    assert found == [(2, 0, 1), (1, 3, 3), (2, 3, 3)]
    assert len(results.segments(max_gap=2)) == 2
    assert len(results.segments(max_gap=2, min_duration=1)) == 1


def test_a_notebook_shows_a_sheet_and_a_table(predictor: Predictor, video: Path) -> None:
    results = predictor.collect(video)
    page = results._repr_html_()
    [data] = re.findall(r"data:image/png;base64,([^\"]+)", page)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert (picture == results.draw_sheet()[:, :, ::-1]).all()
    assert "<td>#1</td><td>left</td><td>0.0 s</td><td>1.0 s</td>" in page
    assert "&lt;b&gt;bright&lt;/b&gt;" in page and "<b>bright" not in page
    video.unlink()
    moved = results._repr_html_()
    assert "<img" not in moved and "ramp.mp4" in moved and "<td>left</td>" in moved
    assert "No action reaches" in results[2:3]._repr_html_()
    assert "<table" not in results[0:0]._repr_html_()
