"""Track ids on the true paths of synthetic figures, who turn and stop all the time: how often
somebody gets another.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ava_det.datasets.synthetic import scene
from ava_det.datasets.synthetic.room import draw_palette
from ava_det.structures import Detections, Keyframe
from ava_det.tracking.box_filter import BoxFilter
from ava_det.tracking.linker import TrackLinker

WIDTH = 192
HEIGHT = 144
SECONDS = 30


@pytest.fixture(scope="module")
def paths() -> list[np.ndarray]:
    """Per video the boxes [persons, frames, 4] around the joints of all figures, hidden or not,
    normalized.
    """
    videos = []
    for index in range(16):
        rng = np.random.default_rng(index)
        actors = scene.build_actors(rng, draw_palette(rng), 2 + index % 2, (WIDTH, HEIGHT), SECONDS)
        boxes = []
        for actor in actors:
            border = 0.05 * actor.role.appearance.height
            corners = actor.joints.min(axis=1) - border, actor.joints.max(axis=1) + border
            boxes.append(np.concatenate(corners, axis=1) / [WIDTH, HEIGHT, WIDTH, HEIGHT])
        videos.append(np.stack(boxes).clip(0, 1))
    return videos


def count_switches(paths: list[np.ndarray], step: int, missed: float) -> tuple[int, int]:
    """(How often a figure has another id than the time before, how often it could have had), `step`
    frames apart.

    Each edge of a box is off by 3 % of its side (standard deviation), and a share of the boxes is
    missed.
    """
    rng = np.random.default_rng(0)
    switches = total = 0
    for video in paths:
        linker = TrackLinker()
        last = {}
        for frame in range(0, min(video.shape[1], 150 * step), step):
            size = np.tile(video[:, frame, 2:] - video[:, frame, :2], 2)
            noisy = video[:, frame] + rng.normal(0, 0.03, size.shape) * size
            seen = np.flatnonzero(rng.random(len(noisy)) >= missed)
            boxes = torch.from_numpy(noisy[seen]).float()
            ones = torch.ones(len(seen))
            keyframe = Keyframe("v", frame / scene.FPS, boxes, None, ones)
            ids = linker.link(
                Detections(boxes, torch.zeros(len(seen), 1), ones, None, keyframe)
            ).track_ids
            assert ids is not None
            for person, track in zip(seen.tolist(), ids.tolist(), strict=True):
                total += person in last
                switches += last.get(person, track) != track
                last[person] = track
    return switches, total


@pytest.mark.parametrize(
    ("step", "missed", "most", "of_alone"), [(15, 0.1, 0.08, 1.1), (1, 0.1, 0.004, 0.9)]
)
def test_prediction_keeps_ids_at_dense_steps_and_costs_none_at_a_second(
    paths: list[np.ndarray],
    step: int,
    missed: float,
    most: float,
    of_alone: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    switches, total = count_switches(paths, step, missed)
    monkeypatch.setattr(BoxFilter, "advance", lambda self, seconds: None)
    monkeypatch.setattr(BoxFilter, "correct", BoxFilter.__init__)
    alone, _ = count_switches(paths, step, missed)
    assert switches / total < most
    assert switches <= of_alone * alone, (
        f"{switches} of {total} ids lost, {alone} without prediction"
    )
