"""Video in, Detections out, with a detector and a model whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ava_det.structures import Detections, KeyframeKey, Persons
from ava_det.video.file import VideoReader
from ava_det.video.reader import VideoError
from ava_det.video.writer import VideoWriter
from tests.support.scripted_predictor import (
    FPS,
    HEIGHT,
    WIDTH,
    BrightnessModel,
    ScriptedDetector,
    make_predictor,
    write_ramp,
)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """4 s whose brightness tells the time: gray 60 * second."""
    return write_ramp(tmp_path / "ramp.mp4", 4, 6)


def logits(detections: Detections) -> Tensor:
    return detections.action_scores.logit()


def test_keyframes_come_in_order_with_boxes_as_fractions_and_scores_of_their_own_moment(
    video: Path,
) -> None:
    everywhere = {second: [([16.0, 12.0, 32.0, 48.0], 0.9)] for second in range(4)}
    detector = ScriptedDetector(everywhere)
    found = list(make_predictor(detector)(video))
    assert [detections.keyframe.timestamp for detections in found] == [900, 901, 902, 903]
    assert {detections.keyframe.video_id for detections in found} == {"ramp"}
    assert len(detector.samples) == 32
    for second, detections in enumerate(found):
        assert detections.boxes.tolist() == [pytest.approx([0.25, 0.25, 0.5, 1.0])]
        assert detections.person_scores.tolist() == [pytest.approx(0.9)]
        assert detections.track_ids.tolist() == [1]
        brightness, left, right = logits(detections)[0].tolist()
        # the middle of the clip is the keyframe
        assert brightness == pytest.approx(60 * second / 255, abs=0.02)
        assert left == pytest.approx(0.25, abs=1e-4)  # in pixels of a clip 32 x 24, divided by 32
        assert right == pytest.approx(0.5, abs=1e-4)


def test_unsure_persons_are_left_out_and_empty_keyframes_stay(video: Path) -> None:
    people = {
        0: [([0.0, 0.0, 10.0, 40.0], 0.4)],
        2: [([0.0, 0.0, 10.0, 40.0], 0.6), ([40.0, 0.0, 50.0, 40.0], 0.3)],
    }
    model = BrightnessModel()
    found = list(make_predictor(ScriptedDetector(people), model)(video))
    assert [len(detections.boxes) for detections in found] == [0, 0, 1, 0]
    assert [tuple(detections.action_scores.shape) for detections in found] == [
        (0, 3),
        (0, 3),
        (1, 3),
        (0, 3),
    ]
    assert model.batches == [1]  # a keyframe without a person never reaches the model


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_the_size_of_a_batch_changes_nothing(video: Path, batch_size: int) -> None:
    people = {second: [([16.0, 12.0, 32.0, 48.0], 0.9)] for second in (0, 1, 3)}
    expected = list(make_predictor(ScriptedDetector(people), batch_size=2)(video, every=0.5))
    found = list(make_predictor(ScriptedDetector(people), batch_size=batch_size)(video, every=0.5))
    assert len(found) == 8
    for one, other in zip(expected, found, strict=True):
        assert one.keyframe.timestamp == other.keyframe.timestamp
        assert torch.equal(one.action_scores, other.action_scores)


def test_boxes_of_a_file_bring_their_own_keyframes(video: Path) -> None:
    box = torch.tensor([[0.1, 0.1, 0.4, 0.9], [0.5, 0.1, 0.9, 0.9]])
    scores = torch.tensor([0.95, 0.2])
    boxes = {
        KeyframeKey("ramp", "902.500000"): Persons(box, scores),
        KeyframeKey("ramp", "901.000000"): Persons(box, scores),
        KeyframeKey("other", "901.000000"): Persons(box, scores),
        KeyframeKey("ramp", "970.000000"): Persons(box, scores),
    }
    found = list(make_predictor(boxes)(video))
    assert [detections.keyframe.timestamp for detections in found] == [901, 902.5]
    assert torch.equal(found[0].boxes, box[:1])


def test_a_box_file_that_does_not_fit_is_a_sentence(video: Path) -> None:
    nobody = Persons(torch.zeros(0, 4), torch.zeros(0))
    with pytest.raises(ValueError, match="no row of video id ramp"):
        list(make_predictor({KeyframeKey("other", "901.000000"): nobody})(video))
    with pytest.raises(
        ValueError, match=r"seconds 1\.\.2, expected 900\.\.904 .*data\.start_second"
    ):
        list(
            make_predictor(
                {KeyframeKey("ramp", "1.000000"): nobody, KeyframeKey("ramp", "2.000000"): nobody}
            )(video)
        )


def test_half_a_second_and_a_single_frame_have_a_keyframe(tmp_path: Path) -> None:
    for count in (1, 5):
        path = tmp_path / f"{count}.mp4"
        with VideoWriter(path, WIDTH, HEIGHT, FPS) as writer:
            for index in range(count):
                writer.write(np.zeros((HEIGHT, WIDTH, 3), np.uint8), index / FPS)
        people = {0: [([16.0, 12.0, 32.0, 48.0], 0.9)]}
        found = list(make_predictor(ScriptedDetector(people))(path))
        assert [(d.keyframe.timestamp, len(d.boxes)) for d in found] == [(900, 1)]


def test_prediction_is_lazy_and_reads_the_video_once(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeks: list[float] = []
    real = VideoReader._seek
    monkeypatch.setattr(
        VideoReader, "_seek", lambda self, moment: (seeks.append(moment), real(self, moment))
    )
    model = BrightnessModel()
    boxes = {
        KeyframeKey.at("ramp", 900 + second): Persons(
            torch.tensor([[0.1, 0.1, 0.4, 0.9]]), torch.ones(1)
        )
        for second in range(4)
    }
    iterator = make_predictor(boxes, model)(video)
    assert model.batches == []
    next(iterator)
    assert model.batches == [2]
    assert len(list(iterator)) == 3
    assert not seeks


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"nowhere\.mp4"):
        list(make_predictor(ScriptedDetector({}))(tmp_path / "nowhere.mp4"))
