"""A live source: a file that a web server hands out, read at its own pace, watched by slow and by
fast networks.
"""

from __future__ import annotations

import functools
import http.server
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any, cast

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from ava_det.inference.live import LiveWatcher
from ava_det.structures import Detections, Keyframe, KeyframeKey, Persons
from ava_det.video.live import LiveSource
from ava_det.video.reader import VideoError
from ava_det.video.writer import VideoWriter
from tests.support.quiet_server import QuietHandler
from tests.support.scripted_predictor import (
    FPS,
    HEIGHT,
    WIDTH,
    BrightnessModel,
    ScriptedDetector,
    make_predictor,
)

RunTool = Callable[..., tuple[int, str, str]]
SECONDS = 4


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[str]:
    """A URL whose picture tells the time: gray 60 * second."""
    with VideoWriter(tmp_path / "ramp.mp4", WIDTH, HEIGHT, FPS) as writer:
        for index in range(SECONDS * FPS):
            writer.write(np.full((HEIGHT, WIDTH, 3), 6 * index, np.uint8), index / FPS)
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/ramp.mp4"
        server.shutdown()
        thread.join()


class SlowModel(BrightnessModel):
    def forward(self, slow: Tensor | None, fast: Tensor | None, rois: Tensor) -> Tensor:
        time.sleep(1.2)
        return super().forward(slow, fast, rois)


def test_it_runs_at_its_own_pace_and_shows_the_last_state_meanwhile(camera: str) -> None:
    """A network that takes 1.2 s looks at every third keyframe or so; frames go on all the same."""
    everywhere = {second: [([16.0, 12.0, 32.0, 48.0], 0.9)] for second in range(-1, 6)}
    predictor = make_predictor(ScriptedDetector(everywhere), SlowModel())
    began = time.monotonic()
    with LiveSource(camera, predictor.live_seconds) as source:
        shown = list(predictor.watch_live(source, every=0.3).frames())
    took = time.monotonic() - began
    assert SECONDS - 1 < took < SECONDS + 6  # and not as fast as the server
    seconds = [frame.seconds for frame in shown]
    assert seconds == sorted(set(seconds))
    assert len(shown) > 0.5 * SECONDS * FPS
    keyframes = [keyframe for frame in shown for keyframe in frame.keyframes]
    assert 1 <= len(keyframes) <= 4
    for keyframe in keyframes:
        assert keyframe.track_ids.tolist() == [1]
        brightness = float(keyframe.action_scores.logit()[0, 0])
        assert brightness == pytest.approx(60 * keyframe.keyframe.timestamp / 255, abs=0.06)
    first = next(index for index, frame in enumerate(shown) if frame.keyframes)
    assert all(frame.detections is None for frame in shown[:first])
    assert all(frame.detections is not None for frame in shown[first:])


def test_who_draws_slowly_drops_frames_and_does_not_lag(camera: str) -> None:
    predictor = make_predictor(ScriptedDetector({}))
    with LiveSource(camera, predictor.live_seconds) as source:
        watcher = predictor.watch_live(source)
        lags = []
        for frame in watcher.frames():
            lags.append(source.make_window().find_end() - frame.seconds)
            time.sleep(0.35)
        assert watcher.num_dropped > 1.5 * FPS
    assert max(lags) <= 0.35


def test_stop_and_mistakes(camera: str) -> None:
    stop = Event()
    before = threading.active_count()
    predictor = make_predictor(ScriptedDetector({}))
    with LiveSource(camera, predictor.live_seconds) as source:
        frames = predictor.watch_live(source, stop=stop).frames()
        next(frames)
        stop.set()
        list(frames)
        boxes = {KeyframeKey("ramp", "0.000000"): Persons(torch.zeros(0, 4), torch.zeros(0))}
        with pytest.raises(ValueError, match="box file"):
            make_predictor(boxes).watch_live(source)
    with pytest.raises(VideoError, match="cannot be opened"):
        LiveSource(camera.replace("ramp", "nothing"), 1.0)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)  # the server's own
    assert threading.active_count() <= before


def test_what_is_changed_to_read_a_source_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream whose clock starts again, and whose pictures have another size from then on."""
    parts = b""
    for width, height in ((64, 48), (96, 48)):
        with av.open(str(tmp_path / "part.ts"), "w") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width = width
            stream.height = height
            stream.pix_fmt = "yuv420p"
            for _ in range(18):
                gray = np.full((height, width, 3), 90, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="rgb24")))
            container.mux(stream.encode())
        parts += (tmp_path / "part.ts").read_bytes()
    (tmp_path / "camera.ts").write_bytes(parts)
    with LiveSource(str(tmp_path / "camera.ts"), 1.0) as source:
        seconds = -1.0
        while (picture := source.wait(seconds, lambda: False)) is not None:
            seconds = picture.seconds
    assert len([one for one in caplog.messages if "its clock starts again or jumps" in one]) == 1
    (said,) = (one for one in caplog.messages if "its pictures change" in one)
    assert "camera.ts: its pictures change from 64x48 to 96x48" in said


class Moment:
    """A picture that shows its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def rgb(self, short_side: int | None) -> np.ndarray:
        return np.full((2, 2, 3), self.seconds, np.uint8)


class QuickSource:
    """A source with a picture a second, as soon as it is asked for, up to second 200."""

    start_second = 0.0

    def __init__(self) -> None:
        self.pictures: list[weakref.ref[Moment]] = []
        self.watched = Event()

    def wait(self, seconds: float, stop: Callable[[], bool]) -> Moment | None:
        if seconds >= 200:
            self.watched.wait(20)
            return None
        picture = Moment(max(np.floor(seconds), -1.0) + 1)
        self.pictures.append(weakref.ref(picture))
        return picture


def test_the_last_minute_is_held_as_arrays_and_its_pictures_are_let_go() -> None:
    source = QuickSource()
    samples: list[list[int]] = []
    held: list[int] = []

    def detect(_: object, timestamp: float, frames: list[np.ndarray]) -> Detections:
        samples.append([int(frame[0, 0, 0]) for frame in frames])
        held.append(sum(picture() is not None for picture in source.pictures))
        if timestamp > 150:
            source.watched.set()
        none = torch.zeros(0)
        keyframe = Keyframe("v", timestamp, torch.zeros(0, 4), None, none)
        return Detections(keyframe.boxes, torch.zeros(0, 3), none, None, keyframe)

    for _ in LiveWatcher(cast(Any, source), detect, 0.0, 1.0, Event()).frames():
        pass
    assert source.watched.is_set()
    newest = samples[140][-1]
    assert samples[140] == list(range(newest - 62, newest + 1, 2))
    assert max(held) < 6  # those in the hands of the two threads
