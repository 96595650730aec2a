"""A detector and a model whose answers are known, and a Predictor of both."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ava_det.data.clip_reader import ClipReader
from ava_det.data.transforms import normalize_batch
from ava_det.inference.predictor import Predictor
from ava_det.structures import PersonBoxes
from ava_det.video.writer import VideoWriter

WIDTH = 64
HEIGHT = 48
FPS = 10
START = 900.0


def write_ramp(path: Path, seconds: int, levels: int) -> Path:
    """Writes a video whose gray level tells the time: so many levels more in each frame."""
    with VideoWriter(path, WIDTH, HEIGHT, FPS) as writer:
        for index in range(seconds * FPS):
            writer.write(np.full((HEIGHT, WIDTH, 3), levels * index, np.uint8), index / FPS)
    return path


class BrightnessModel(nn.Module):
    """Logits: the mean of the clip's middle frame, the box's left and right edge / 32."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.batches: list[int] = []

    def forward(self, slow: Tensor | None, fast: Tensor | None, rois: Tensor) -> Tensor:
        assert slow is not None
        assert not self.training
        self.batches.append(len(slow))
        brightness = slow[:, :, slow.shape[2] // 2].mean(dim=(1, 2, 3))
        return torch.stack((brightness[rois[:, 0].long()], rois[:, 1] / 32, rois[:, 3] / 32), dim=1)


class ScriptedDetector:
    """One person per list entry, chosen by the brightness of the frame; remembers what it was
    shown.
    """

    name = "scripted"

    def __init__(self, people: dict[int, list[tuple[list[float], float]]]) -> None:
        self.people = people
        self.samples: list[np.ndarray] = []

    def begin_video(self, samples: Sequence[np.ndarray]) -> None:
        self.samples = list(samples)

    def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        assert self.samples
        answers = []
        for frame in frames:
            found = self.people.get(round(float(frame.mean()) / 60), [])
            boxes = np.array([box for box, _ in found], np.float32).reshape(-1, 4)
            answers.append((boxes, np.array([score for _, score in found], np.float32)))
        return answers


def make_predictor(
    persons: ScriptedDetector | PersonBoxes, model: nn.Module | None = None, batch_size: int = 2
) -> Predictor:
    ticks = ClipReader(4, 3, 30.0, np.arange(4), None)
    to_device = partial(normalize_batch, mean=[0.0] * 3, std=[1.0] * 3, device=torch.device("cpu"))
    return Predictor(
        model or BrightnessModel(),
        persons,
        ticks,
        24,
        to_device,
        3,
        0.5,
        start_second=START,
        batch_size=batch_size,
    )
