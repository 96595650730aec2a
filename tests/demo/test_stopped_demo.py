"""The threads of the demo end before the file is closed that they read."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_det.demo import video as demo
from ava_det.demo.options import DisplayOptions, Outputs, SamplingOptions
from ava_det.structures import KeyframeKey, Persons
from ava_det.video.file import VideoReader
from ava_det.video.writer import VideoWriter
from tests.support.scripted_predictor import FPS, HEIGHT, START, WIDTH, make_predictor

SECONDS = 8


@pytest.fixture
def gray(tmp_path: Path) -> Path:
    path = tmp_path / "gray.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, FPS) as writer:
        for index in range(SECONDS * FPS):
            writer.write(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), index / FPS)
    return path


@pytest.mark.parametrize("group_bytes", [1, 20_000, 1 << 30])  # one frame, four, all
@pytest.mark.parametrize("how", ["to the end", "stopped", "a full disk"])
def test_no_thread_is_left_when_the_video_is_closed(
    gray: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, group_bytes: int
) -> None:
    before = threading.active_count()
    at_close: list[int] = []
    real, real_write = VideoReader.close, VideoWriter.write_planes
    written: list[float] = []
    stop = threading.Event()

    def close(self: VideoReader) -> None:
        at_close.append(threading.active_count())
        real(self)

    def write(self: VideoWriter, planes: np.ndarray, seconds: float) -> None:
        written.append(round(seconds * FPS))
        if len(written) == 10 and how == "stopped":
            stop.set()
        if len(written) == 10 and how == "a full disk":
            raise OSError("No space left on device")
        real_write(self, planes, seconds)

    monkeypatch.setattr(VideoReader, "close", close)
    monkeypatch.setattr(VideoWriter, "write_planes", write)
    monkeypatch.setattr(demo, "GROUP_BYTES", group_bytes)
    person = Persons(torch.tensor([[0.1, 0.2, 0.5, 0.9]]), torch.ones(1))
    boxes = {KeyframeKey.at("gray", START + second): person for second in range(1, SECONDS)}
    names = {1: "sit", 2: "stand", 3: "walk"}
    arguments = (
        make_predictor(boxes),
        gray,
        SamplingOptions(1.0, 0.0, np.inf, 0.0),
        Outputs(tmp_path / "out.mp4", None, None, None),
        DisplayOptions(names, dict.fromkeys(names, 0.1), 3),
        stop,
    )
    if how == "a full disk":
        with pytest.raises(OSError, match="No space"):
            demo.process_video(*arguments)
    else:
        demo.process_video(*arguments)
    assert at_close and set(at_close) == {before}
    assert written == list(range(len(written)))  # in order, none twice
    assert how != "to the end" or len(written) == SECONDS * FPS
    assert (tmp_path / "out.mp4").exists() == (how != "a full disk")
