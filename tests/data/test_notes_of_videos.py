"""What was changed to read a video is said once in training too, whoever read it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_det.data.clip_reader import ClipReader
from ava_det.data.dataset import ClipDataset
from ava_det.data.loader import ClipLoader
from ava_det.data.samplers import TrainBatchSampler
from ava_det.data.transforms import Augmentation
from ava_det.structures import Keyframe
from ava_det.video.sources import find_videos
from tests.support.numbered_video import write_numbered_video

MOMENTS = [Fraction(number, 25) for number in range(50)]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_joined_recording_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, num_workers: int
) -> None:
    write_numbered_video(tmp_path / "whole.mp4", MOMENTS, rate=25)
    part = tmp_path / "part.ts"
    write_numbered_video(part, MOMENTS, options={"g": "25"}, rate=25)
    (tmp_path / "joined.ts").write_bytes(part.read_bytes() * 2)
    part.unlink()
    keyframes = [
        Keyframe(video, second, torch.rand(1, 4), torch.ones(1, 3), torch.ones(1))
        for video in ("joined", "whole")
        for second in (0.5, 1.0, 1.5)
    ]
    clips = ClipReader(1, 1, 30.0, np.arange(1), None)
    videos = find_videos(tmp_path)
    dataset = ClipDataset(keyframes, videos, 0.0, clips, lambda _: Augmentation(48), 0)
    loader = ClipLoader(dataset, TrainBatchSampler(len(keyframes), 2, 0, 0, 1), num_workers)
    for epoch in range(2):
        loader.set_epoch(epoch)
        assert len(list(loader)) == 3
    (said,) = caplog.messages
    assert "joined.ts: its clock starts again or jumps at 2.0 s" in said
