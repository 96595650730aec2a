"""Networks of optical flow over whole videos: motion comes out as it went in, on every way."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ava_det.data.clip_reader import ClipReader, FlowOfClips
from ava_det.data.sampling import compute_flow_ticks
from ava_det.data.transforms import FlowScale, normalize_batch
from ava_det.flow import ComputedFlow, build_flow
from ava_det.inference.predictor import Predictor
from ava_det.structures import KeyframeKey, PersonBoxes, Persons
from ava_det.video.folder import open_video
from ava_det.video.writer import VideoWriter

FPS = 30
SECONDS = 4
PERSON = torch.tensor([[0.25, 0.25, 0.75, 0.75]])


class MeanFlow(nn.Module):
    """Logits: the mean u and v of the clip, in pixels, and the number of RGB frames."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: set[tuple[int, ...]] = set()

    def forward(
        self, slow: Tensor | None, fast: Tensor | None, rois: Tensor, flow: Tensor | None = None
    ) -> Tensor:
        assert flow is not None
        self.shapes.add(tuple(flow.shape[1:]))
        inner = flow[..., 8:-8, 8:-8]
        frames = torch.full((len(flow),), 0.0 if slow is None else float(slow.shape[2]))
        means = [inner[:, axis::2].mean(dim=(1, 2, 3, 4)) for axis in range(2)]
        return torch.stack((*means, frames), dim=1)[rois[:, 0].long()]


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth noise that moves a pixel a frame to the right."""
    path = tmp_path_factory.mktemp("videos") / "moving.mp4"
    noise = np.random.default_rng(0).normal(size=(64, 256, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    texture = np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)).astype(np.uint8)
    with VideoWriter(path, 96, 64, FPS) as writer:
        for index in range(SECONDS * FPS):
            frame = np.roll(texture, index, axis=1)[:, :96]
            writer.write(np.ascontiguousarray(frame), index / FPS)
    return path


def make_predictor(model: nn.Module, num_frames: int = 4, stack: int = 1) -> Predictor:
    ticks = compute_flow_ticks(4, 4, stack, 1)
    flow = FlowOfClips(ticks, 1, ComputedFlow(build_flow("dis"), 20.0))
    slow = np.arange(num_frames) if num_frames else None
    clips = ClipReader(num_frames, 4, 30.0, slow, None, flow=flow)
    to_device = partial(
        normalize_batch,
        mean=[0.0] * 3,
        std=[1.0] * 3,
        device=torch.device("cpu"),
        flow_scale=FlowScale(20.0, [0.0, 0.0], [1.0, 1.0], stack),
    )
    keys = [KeyframeKey.at("moving", second) for second in (1.0, 2.0, 3.0)]
    boxes: PersonBoxes = {key: Persons(PERSON, torch.ones(1)) for key in keys}
    return Predictor(model, boxes, clips, 64, to_device, 3, 0.5)


@pytest.mark.parametrize(("num_frames", "stack"), [(4, 1), (4, 3), (0, 1), (0, 4)])
def test_motion_reaches_the_network(moving: Path, num_frames: int, stack: int) -> None:
    model = MeanFlow()
    predictor = make_predictor(model, num_frames, stack)
    found = list(predictor(moving))
    assert [one.keyframe.timestamp for one in found] == [1, 2, 3]
    assert model.shapes == {(2 * stack, 4, 64, 96)}
    for one in found:
        u, v, frames = one.action_scores.logit()[0].tolist()
        assert (u, v) == pytest.approx((1, 0), abs=0.15)
        assert frames == pytest.approx(num_frames, abs=0.01)


@pytest.mark.parametrize("stack", [1, 10])
def test_a_clip_of_given_frames_scores_as_its_video(moving: Path, stack: int) -> None:
    predictor = make_predictor(MeanFlow(), stack=stack)
    (expected,) = (one for one in predictor(moving) if one.keyframe.timestamp == 2)
    ticks = np.arange(predictor.num_ticks) - predictor.num_ticks // 2
    with open_video(moving) as reader:
        frames = reader.read(2 + ticks / predictor.clip_fps)
    scores = predictor.predict_clip(frames, PERSON.numpy() * [96, 64, 96, 64])
    np.testing.assert_allclose(scores, expected.action_scores.numpy(), rtol=1e-6)
    assert predictor.num_ticks == (16 if stack == 1 else 26)  # ten from 5 before, to 5 after


def test_watching_gives_the_same_scores(moving: Path) -> None:
    predictor = make_predictor(MeanFlow())
    expected = [one.action_scores for one in predictor(moving)]
    with open_video(moving) as reader:
        shown = list(predictor.watch(reader))
    keyframes = [one.action_scores for frame in shown for one in frame.keyframes]
    assert len(shown) == SECONDS * FPS
    for scores, known in zip(keyframes, expected, strict=True):
        torch.testing.assert_close(scores, known, rtol=0, atol=1e-6)
