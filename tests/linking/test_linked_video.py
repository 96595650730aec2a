"""Detections of a video become tubes by each linker, dense or every n-th frame."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from ava_det.formats.tubes import Tube
from ava_det.formats.tubes.frame_table import VideoFrames
from ava_det.linking.track_tubes import TrackRule
from ava_det.linking.video import LinkingOptions, find_frames, find_stride, link_video
from ava_det.structures import Detections, Keyframe

VIDEO = VideoFrames("v1", "sport/v1", Fraction(25), 61, 200, 100)
COLUMNS = (1, 3)  # labels 0 and 1 of four columns
METHODS = ("tracks", "act", "mmaction2", "yowo")


def make_detections(every: int, score: float = 0.9) -> list[Detections]:
    """Two persons: the left one moves a pixel a frame and does label 0, the right one label 1."""
    detections = []
    for frame in range(1, VIDEO.num_frames + 1, every):
        left = [(20 + frame) / 200, 0.2, (50 + frame) / 200, 0.9]
        boxes = torch.tensor([left, [0.8, 0.1, 0.95, 0.9]])
        time = 900 + (frame - 1) / 25
        keyframe = Keyframe("v1", round(time, 6), boxes, None, torch.ones(2))
        scores = torch.tensor([[0.99, score, 0.0, 0.01], [0.99, 0.01, 0.0, score]])
        detections.append(Detections(boxes, scores, keyframe.person_scores, None, keyframe))
    return detections


def link(method: str, every: int, **changes: object) -> list[Tube]:
    options = LinkingOptions(method, COLUMNS, every, 900.0, last_score=0.3)
    options = LinkingOptions(**{**options.__dict__, **changes})
    return list(link_video(make_detections(every), VIDEO, options))


@pytest.mark.parametrize("every", [1, 3, 5])
@pytest.mark.parametrize("method", METHODS)
def test_every_linker_finds_both_persons_on_every_frame(method: str, every: int) -> None:
    tubes = link(method, every)
    best = [max((t for t in tubes if t.label == n), key=lambda t: t.score or 0) for n in (0, 1)]
    for label, tube in enumerate(best):
        last = 1 + 60 // every * every
        assert tube.frames.tolist() == list(range(1, last + 1))
        assert tube.video == "sport/v1"
        left = 20 + tube.frames if label == 0 else np.full(last, 160.0)
        np.testing.assert_allclose(tube.boxes[:, 0], left, atol=1e-4)
        assert tube.score == pytest.approx(0.3 if method == "mmaction2" else 0.9, abs=1e-6)


def test_no_tube_of_an_action_that_scores_nothing() -> None:
    assert {tube.label for tube in link("tracks", 1)} == {0, 1}
    assert len(link("tracks", 1)) == 2
    assert link("tracks", 1, rule=TrackRule(high=0.95)) == []


def test_tubes_shorter_than_the_least_are_left_out_at_any_stride() -> None:
    for method in ("tracks", "act", "mmaction2"):
        assert link(method, 3, min_frames=62) == []
        assert link(method, 3, min_frames=60)


def test_a_keyframe_between_the_others_is_named() -> None:
    detections = make_detections(2)
    options = LinkingOptions("act", COLUMNS, 3, 900.0)
    with pytest.raises(ValueError, match="keyframes of v1 3 frames apart, found one at frame 3"):
        list(link_video(detections, VIDEO, options))


def test_keyframes_that_are_not_of_the_video_are_named() -> None:
    detections = make_detections(5)
    assert find_frames(detections, VIDEO, 900) == list(range(1, 62, 5))
    assert find_frames(detections, VIDEO, 899)[-1] == 61 + 25  # rates are rounded, ends are cut
    for start_second in (0, 898.9, 900.1):
        with pytest.raises(ValueError, match=r"the 61 frames of v1, 25 a second"):
            find_frames(detections, VIDEO, start_second)
    twice = [detections[0], *detections]
    with pytest.raises(ValueError, match="those of v1 at 900 and 900 s, both on frame 1"):
        find_frames(twice, VIDEO, 900)


def test_the_stride_is_what_all_steps_have_in_common() -> None:
    assert find_stride([0, 6, 9]) == 3
    assert find_stride([0, 0]) == 1
    assert find_stride([4, 9]) == 5
