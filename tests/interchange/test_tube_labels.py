"""Ground truth of tubes: which boxes are persons on keyframes, and what is left out or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ava_det.formats.tubes import Tube, TubeTruth
from ava_det.formats.tubes.ground_truth import load_tube_truth
from ava_det.interchange.labeled import LabeledBox
from ava_det.interchange.tube_labels import boxes_from_tubes
from ava_det.video.reader import VideoError
from tests.support.tube_cases import make_truth, still
from tests.support.tube_files import plain_truth, save
from tests.support.video_clocks import TenSeconds

BOX = (64, 36, 144, 276)
CORNERS = (0.1, 0.1, 0.225, 276 / 360)


class Present(TenSeconds):
    """Has only the videos that it is told."""

    def has(self, video_id: str) -> bool:
        return video_id in self.names


def truth_of(tubes: Sequence[Tube]) -> TubeTruth:
    truth = make_truth(tubes)
    return replace(
        truth,
        num_frames=dict.fromkeys(truth.num_frames, 300),
        resolution=dict.fromkeys(truth.resolution, (360, 640)),
        path="GT.pkl",
    )


def read(
    truth: TubeTruth, *videos: str, every: float = 1.0
) -> tuple[list[LabeledBox], Counter[str], list[str]]:
    left_out: Counter[str] = Counter()
    notes: list[str] = []
    boxes = boxes_from_tubes(truth, Present(*(videos or ("walk",))), every, left_out, notes)
    return boxes, left_out, notes


def test_frames_count_from_1_and_equal_boxes_are_one_person(tmp_path: Path) -> None:
    tubes = [
        still("sport/walk", 0, 31, 61, BOX),  # frames 30..90 from 0, so seconds 1..3
        still("sport/walk", 1, 61, 31, BOX),
        still("sport/walk", 1, 61, 1, (320, 36, 400, 276)),
    ]
    path = save(tmp_path / "GT.pkl", plain_truth(truth_of(tubes)))
    boxes, left_out, notes = read(load_tube_truth(path))
    found = [(box.video_id, box.timestamp, box.person_id, box.actions) for box in boxes]
    assert found == [
        ("walk", 1.0, 0, ("jump",)),
        ("walk", 2.0, 0, ("jump", "wave")),
        ("walk", 3.0, 0, ("jump", "wave")),
        ("walk", 2.0, 2, ("wave",)),
    ]
    assert boxes[0].corners == pytest.approx(CORNERS)
    assert (+left_out, notes) == (Counter(), [])
    assert len(read(load_tube_truth(path), every=0.5)[0]) == 5 + 1


def test_what_is_no_box_of_the_video_is_counted() -> None:
    beyond = still("walk", 0, 299, 5, BOX)
    outside = still("walk", 0, 31, 1, (700, 36, 800, 276))
    wide = still("walk", 0, 61, 1, (-64, -3, 704, 363))
    boxes, left_out, _ = read(truth_of([beyond, outside, wide]))
    assert [box.corners for box in boxes] == [(0, 0, 1, 1)]
    assert left_out == {
        "box on a frame that its video lacks": 3,
        "box without an area within the frame": 1,
    }


def test_missing_videos_and_other_frames_are_said() -> None:
    truth = truth_of([still("a/walk", 0, 1, 1, BOX), still("b/run", 0, 1, 1, BOX)])
    boxes, _, notes = read(truth)
    assert {box.video_id for box in boxes} == {"walk"}
    assert notes == ["GT.pkl: 1 video missing, such as run"]
    short = replace(truth, num_frames=dict.fromkeys(truth.num_frames, 290))
    _, _, notes = read(short, "walk", "run")
    assert notes[0].startswith("GT.pkl: another number of frames in 2 videos")
    assert notes[0].endswith("run.mp4 has 300, expected 290")
    near = replace(truth, num_frames=dict.fromkeys(truth.num_frames, 296))
    assert read(near, "walk", "run")[2] == []


def test_a_truth_of_other_videos_is_refused() -> None:
    truth = truth_of([still("a/walk", 0, 1, 1, BOX), still("b/walk", 0, 1, 1, BOX)])
    with pytest.raises(ValueError, match=r"found a/walk and b/walk, both video walk"):
        read(truth)
    truth = truth_of([still("a/walk", 0, 1, 1, BOX)])
    with pytest.raises(VideoError, match=r"GT\.pkl: expected videos of it, such as walk, found"):
        read(truth, "run")
    turned = replace(truth, resolution={"a/walk": (640, 360)})
    with pytest.raises(ValueError, match=r"GT\.pkl: a/walk: expected a video of the shape"):
        read(turned)
    unknown = replace(truth, num_frames={}, resolution={})
    with pytest.raises(ValueError, match=r"GT\.pkl: expected an entry of nframes for 'a/walk'"):
        read(unknown)


def test_boxes_keep_their_precision() -> None:
    tube = Tube("walk", 0, np.array([1]), np.array([[64.25, 36.5, 144.125, 276.75]]))
    [box] = read(truth_of([tube]))[0]
    assert box.corners == pytest.approx((64.25 / 640, 36.5 / 360, 144.125 / 640, 276.75 / 360))
