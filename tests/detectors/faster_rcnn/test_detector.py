"""The built-in detector: frames of any kind, weights of any kind, in halves and on a GPU."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_det.checkpoint import WeightsError
from ava_det.detectors import PersonDetector
from ava_det.detectors.faster_rcnn import (
    FasterRCNN,
    FasterRCNNDetector,
    InputRule,
    load_faster_rcnn,
    save_faster_rcnn,
)
from ava_det.detectors.faster_rcnn.resize import compute_size, resize_frame
from tests.support import seeded_weights
from tests.support.golden_cases import CASES, build_ours, make_frame

NARROW = CASES["narrow_r50"].architecture


@pytest.fixture(scope="module")
def ours() -> FasterRCNNDetector:
    return build_ours(CASES["narrow_r50"])


def assert_valid(result: tuple[np.ndarray, np.ndarray], frame: np.ndarray) -> None:
    boxes, scores = result
    assert boxes.dtype == scores.dtype == np.float32
    assert boxes.shape == (len(scores), 4)
    assert (np.diff(scores) <= 0).all()
    assert (boxes >= 0).all() and (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes[:, [0, 2]] <= frame.shape[1]).all() and (boxes[:, [1, 3]] <= frame.shape[0]).all()


def test_it_follows_the_protocol(ours: FasterRCNNDetector) -> None:
    assert isinstance(ours, PersonDetector)
    assert ours.name == "faster_rcnn"
    ours.begin_video([])
    assert ours([]) == []


@pytest.mark.parametrize("size", [(480, 640), (33, 47), (300, 20), (1, 1), (2, 900)])
def test_frames_of_any_size(ours: FasterRCNNDetector, size: tuple[int, int]) -> None:
    frame = make_frame(*size, seed=5)
    [result] = ours([frame])
    assert_valid(result, frame)


def test_mixed_sizes_in_one_batch_have_boxes_in_their_own_pixels(ours: FasterRCNNDetector) -> None:
    frames = [make_frame(480, 640, 1), make_frame(100, 50, 2), make_frame(120, 160, 3)]
    results = ours(frames)
    for frame, result in zip(frames, results, strict=True):
        assert_valid(result, frame)
        assert len(result[0])
        assert result[0][:, 2:].max(axis=0) == pytest.approx(
            [frame.shape[1], frame.shape[0]], rel=0.2
        )


def test_the_same_picture_twice_as_large_has_boxes_twice_as_large(ours: FasterRCNNDetector) -> None:
    # both are shrunk to 160 lines; blocks of 12 and 24 pixels average out equally
    small = make_frame(240, 320, 4)
    large = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    [(boxes, scores)] = ours([small])
    [(double, double_scores)] = ours([large])
    assert len(boxes) > 20
    np.testing.assert_allclose(double_scores[:5], scores[:5], atol=0.05)
    best = np.abs(double[0] / 2 - boxes).max(axis=1).min()
    assert best < 5


def test_gray_frames_and_nobody(ours: FasterRCNNDetector) -> None:
    gray = np.repeat(make_frame(90, 120, 6)[:, :, :1], 3, axis=2)
    flat = np.full((90, 120, 3), 128, np.uint8)
    for frame, result in zip((gray, flat), ours([gray, flat]), strict=True):
        assert_valid(result, frame)
    nobody = build_ours(CASES["narrow_r50"], min_score=1.0)
    [(boxes, scores)] = nobody([gray])
    assert boxes.shape == (0, 4) and scores.shape == (0,)
    assert boxes.dtype == scores.dtype == np.float32


@pytest.mark.slow
def test_a_4k_frame() -> None:
    model = FasterRCNN(**NARROW)
    seeded_weights.fill(model)
    # finer noise has no persons at this size
    frame = np.kron(make_frame(540, 960, 7), np.ones((4, 4, 1), np.uint8))
    [result] = FasterRCNNDetector(model)([frame])
    assert_valid(result, frame)
    assert len(result[0]) > 50
    assert result[0].max() > 2160


def test_another_class_can_be_the_person(ours: FasterRCNNDetector) -> None:
    frame = make_frame(120, 160, 3)
    with torch.inference_mode():
        [(_, scores, classes)] = ours.model.detect([ours._prepare(frame)])
    other = next(int(label) for label in classes if label != 0)
    chosen = FasterRCNNDetector(ours.model, short_side=160, long_side=300, person_class=other)
    np.testing.assert_array_equal(chosen([frame])[0][1], scores[classes == other].numpy())
    with pytest.raises(ValueError, match=r"person_class: expected 0\.\.79, received 80"):
        FasterRCNNDetector(ours.model, person_class=80)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_halves_give_float_results_near_the_exact_ones(
    ours: FasterRCNNDetector, precision: str
) -> None:
    halves = FasterRCNNDetector(ours.model, short_side=160, long_side=300, precision=precision)
    frame = make_frame(120, 160, 3)
    assert_valid(halves([frame])[0], frame)
    assert halves([frame])[0][1][0] == pytest.approx(ours([frame])[0][1][0], abs=0.05)
    with pytest.raises(ValueError, match="precision: expected one of fp32, bf16, fp16"):
        FasterRCNNDetector(ours.model, precision="int8")([frame])


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_finds_the_same(ours: FasterRCNNDetector, precision: str) -> None:
    frames = [make_frame(120, 160, 3), make_frame(200, 90, 4)]
    wanted = ours(frames)
    other = build_ours(CASES["narrow_r50"])
    gpu = FasterRCNNDetector(other.model, "cuda", 160, 300, precision=precision)
    for frame, result, (_, scores) in zip(frames, gpu(frames), wanted, strict=True):
        assert_valid(result, frame)
        assert result[1][0] == pytest.approx(scores[0], abs=1e-3 if precision == "fp32" else 0.05)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(16, 1000), st.integers(16, 1500))
def test_sizes_keep_their_shape_and_limits(
    height: int, width: int, short_side: int, long_side: int
) -> None:
    new_height, new_width = compute_size(height, width, short_side, long_side)
    assert 1 <= min(new_height, new_width) <= short_side and max(new_height, new_width) <= max(
        long_side, short_side
    )
    assert min(new_height, new_width) == short_side or max(new_height, new_width) == long_side
    assert abs(new_height * width - new_width * height) <= 1.1 * max(height, width)


def test_sizes_of_the_published_detectors() -> None:
    assert compute_size(480, 640, 800, 1333) == (800, 1067)
    assert compute_size(1080, 1920, 800, 1333) == (750, 1333)
    assert compute_size(1920, 1080, 800, 1333) == (1333, 750)
    assert compute_size(2160, 3840, 800, 1333) == (750, 1333)
    frame = make_frame(40, 60, 0)
    np.testing.assert_array_equal(resize_frame(frame, 40, 60), frame)


def as_zoo_file(model: FasterRCNN, path: Path) -> None:
    """As Detectron2 publishes weights: a pickle of NumPy arrays, with constants it no longer reads
    among them.
    """
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    arrays["pixel_mean"] = np.zeros((3, 1, 1), np.float32)
    arrays["proposal_generator.anchor_generator.cell_anchors.0"] = np.zeros((3, 4), np.float32)
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "someone"}, protocol=2))


@pytest.mark.parametrize("name", ["narrow_r50", "narrow_x50"])
@pytest.mark.parametrize("form", ["pkl", "pth"])
def test_detectron2_s_files_are_recognized_by_content(tmp_path: Path, name: str, form: str) -> None:
    ours = build_ours(CASES[name])
    path = tmp_path / f"model.{form}"
    if form == "pkl":
        as_zoo_file(ours.model, path)
    else:
        torch.save(
            {"model": ours.model.state_dict(), "iteration": 3, "optimizer": {"lr": 0.1}}, path
        )
    model, rule = load_faster_rcnn(path)
    assert rule == InputRule(800, 1333, "BGR")
    again = FasterRCNNDetector(model, short_side=160, long_side=300)
    frame = make_frame(120, 160, 3)
    for wanted, found in zip(ours([frame])[0], again([frame])[0], strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_our_own_files_say_what_they_are(tmp_path: Path) -> None:
    model = FasterRCNN(
        **(
            NARROW
            | {"depth": 18, "norm": "gn", "num_classes": 1, "anchor_sizes": [8, 16, 32, 64, 128]}
        )
    )
    rule = InputRule(192, 256, "RGB")
    save_faster_rcnn(tmp_path / "last.pt", model, rule, epoch=3)
    again, read = load_faster_rcnn(tmp_path / "last.pt")
    assert read == rule
    assert again.architecture == model.architecture
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True)
    )


class Hostile:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.victim),)


def assert_refused(path: Path, *parts: str) -> None:
    with pytest.raises(WeightsError) as caught:
        load_faster_rcnn(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in (path.name, *parts):
        assert part in message


def test_files_that_do_not_fit_are_one_sentence(tmp_path: Path) -> None:
    model = build_ours(CASES["narrow_r50"]).model
    state = model.state_dict()
    path = tmp_path / "w.pth"

    torch.save({"model": {"conv1.weight": torch.zeros(3, 3)}}, path)
    assert_refused(path, "expected a Faster R-CNN with a feature pyramid", "stem.conv1.weight")
    torch.save({"model": state | {"roi_heads.mask_head.predictor.weight": torch.zeros(1)}}, path)
    assert_refused(path, "in the file but not in the model", "roi_heads.mask_head.predictor.weight")
    torch.save(
        {
            "model": {
                name: value for name, value in state.items() if "res5.0.conv2.norm.bias" not in name
            }
        },
        path,
    )
    assert_refused(path, "missing from the file", "res5.0.conv2.norm.bias")
    torch.save(
        {"model": {name: value for name, value in state.items() if ".res4.5" not in name}}, path
    )
    assert_refused(path, "found stages of (3, 4, 5, 3) blocks")
    torch.save({"blobs": {"conv1_w": np.zeros(3, np.float32)}}, path)
    assert_refused(path, "expected a Faster R-CNN with a feature pyramid")
    for facts in (
        {"architecture": {"depth": 50}},
        {"architecture": {"deep": 50}, "input": {}},
        "R50",
    ):
        torch.save({"model": state, "detector": facts}, path)
        assert_refused(path, "its description of the detector is not one of ours")


def test_a_truncated_file_and_one_with_code_in_it_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "w.pkl"
    as_zoo_file(build_ours(CASES["narrow_r50"]).model, path)
    path.write_bytes(path.read_bytes()[:-1000])
    assert_refused(path, "truncated or damaged")
    path.write_bytes(pickle.dumps({"model": {"x": Hostile(tmp_path / "victim")}}, protocol=2))
    assert_refused(path, "nothing in it was run")
    assert not (tmp_path / "victim").exists()
