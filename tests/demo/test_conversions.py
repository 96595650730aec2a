"""Which frames the demo converts: those of clips, once each, and all to planes for an overlay."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.demo.options import DisplayOptions, Outputs, SamplingOptions
from ava_det.demo.video import process_video
from ava_det.structures import KeyframeKey, Persons
from ava_det.video.pictures import DecodedPicture, FrameConverter
from tests.support.scripted_predictor import FPS, START, make_predictor, write_ramp

NAMES = {1: "sit", 2: "stand", 3: "walk"}


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    return write_ramp(tmp_path / "ramp.mp4", 6, 4)


@pytest.mark.parametrize("with_overlay", [False, True])
def test_only_frames_that_are_seen_are_converted(
    ramp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_overlay: bool
) -> None:
    converted: list[int] = []
    drawn: list[int] = []
    real, real_planes = FrameConverter.__call__, DecodedPicture.planes

    def convert(self: FrameConverter, frame: Any, *rest: Any) -> np.ndarray:
        converted.append(round(frame.time * FPS))
        return real(self, frame, *rest)

    def planes(self: DecodedPicture, matrix: str) -> np.ndarray:
        drawn.append(round((self.seconds - START) * FPS))
        return real_planes(self, matrix)

    monkeypatch.setattr(FrameConverter, "__call__", convert)
    monkeypatch.setattr(DecodedPicture, "planes", planes)
    person = Persons(torch.tensor([[0.1, 0.2, 0.5, 0.9]]), torch.ones(1))
    keyframes = [1.0, 2.0, 4.0]
    boxes = {KeyframeKey.at("ramp", START + moment): person for moment in keyframes}
    outputs = Outputs(
        tmp_path / "out.mp4" if with_overlay else None, None, tmp_path / "out.jsonl", None
    )
    display = DisplayOptions(NAMES, dict.fromkeys(NAMES, 0.1), 3)
    summary = process_video(
        make_predictor(boxes),
        ramp,
        SamplingOptions(1.0, 0.0, np.inf, 0.0),
        outputs,
        display,
        Event(),
        quiet=True,
    )
    assert summary.num_keyframes == 3
    # four frames a clip, three ticks of a thirtieth apart: every frame of ten a second
    in_clips = {round(moment * FPS) + step for moment in keyframes for step in (-2, -1, 0, 1)}
    assert sorted(converted) == sorted(in_clips)
    assert drawn == (list(range(6 * FPS)) if with_overlay else [])
