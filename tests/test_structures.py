from __future__ import annotations

import pytest
import torch

from ava_det.structures import Clip, ClipBatch, Detections, Keyframe


def make_keyframe(count: int = 2, **changes: object) -> Keyframe:
    values = {
        "boxes": torch.rand(count, 4),
        "labels": torch.zeros(count, 5),
        "person_scores": torch.ones(count),
    }
    return Keyframe("video", 902.0, **{**values, **changes})  # type: ignore[arg-type]


def test_a_keyframe_may_be_empty() -> None:
    assert len(make_keyframe(0).boxes) == 0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"boxes": torch.rand(2, 5)}, "boxes"),
        ({"boxes": torch.rand(2, 4).double()}, "float32"),
        ({"person_scores": torch.ones(3)}, "person_scores"),
        ({"labels": torch.zeros(3, 5)}, "labels"),
    ],
)
def test_a_keyframe_refuses_what_does_not_fit(changes: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        make_keyframe(**changes)  # type: ignore[arg-type]


def test_a_clip_needs_a_pathway_and_a_box_for_each_person() -> None:
    frames = torch.zeros(3, 4, 8, 8)
    with pytest.raises(ValueError, match="slow or a fast"):
        Clip(None, None, torch.zeros(2, 4), None, make_keyframe())
    with pytest.raises(ValueError, match=r"boxes \[2, 4\]"):
        Clip(frames, None, torch.zeros(1, 4), None, make_keyframe())
    with pytest.raises(ValueError, match=r"fast \[3, T, H, W\]"):
        Clip(None, frames[0], torch.zeros(2, 4), None, make_keyframe())
    flow = torch.zeros(2, 4, 8, 8, dtype=torch.uint8)
    assert Clip(None, None, torch.zeros(2, 4), None, make_keyframe(), flow).flow is flow
    with pytest.raises(ValueError, match=r"flow \[2, F, H, W\]"):
        Clip(frames, None, torch.zeros(2, 4), None, make_keyframe(), frames)


def test_a_batch_checks_rois_clips_and_labels() -> None:
    keyframes = [make_keyframe()]
    with pytest.raises(ValueError, match="rois"):
        ClipBatch(None, torch.zeros(1, 3, 4, 8, 8), torch.zeros(2, 4), None, keyframes)
    with pytest.raises(ValueError, match="slow"):
        ClipBatch(torch.zeros(2, 3, 4, 8, 8), None, torch.zeros(2, 5), None, keyframes)
    with pytest.raises(ValueError, match="labels"):
        ClipBatch(torch.zeros(1, 3, 4, 8, 8), None, torch.zeros(2, 5), torch.zeros(1, 5), keyframes)
    with pytest.raises(ValueError, match=r"flow \[1, C, T, H, W\]"):
        ClipBatch(None, None, torch.zeros(2, 5), None, keyframes, flow=torch.zeros(2, 4, 8, 8))


def test_a_network_is_called_with_what_there_is() -> None:
    slow, rois = torch.zeros(1, 3, 4, 8, 8), torch.zeros(2, 5)
    flow, bank = torch.zeros(1, 2, 4, 8, 8), torch.zeros(1, 6, 7)
    keyframes = [make_keyframe()]
    assert list(ClipBatch(slow, None, rois, None, keyframes).inputs) == ["slow", "fast", "rois"]
    inputs = ClipBatch(None, None, rois, None, keyframes, bank, flow=flow).inputs
    assert inputs["flow"] is flow
    assert inputs["long_term"] is bank


def test_detections_check_their_counts_and_print_shapes() -> None:
    good = Detections(torch.rand(2, 4), torch.rand(2, 5), torch.ones(2), None, make_keyframe())
    assert "action_scores=(2, 5) torch.float32" in repr(good)
    with pytest.raises(ValueError, match="action_scores"):
        Detections(torch.rand(2, 4), torch.rand(3, 5), torch.ones(2), None, make_keyframe())
    with pytest.raises(ValueError, match="track_ids"):
        Detections(
            torch.rand(2, 4), torch.rand(2, 5), torch.ones(2), torch.zeros(1), make_keyframe()
        )
