"""Frames and the keyframes around them: each frame once, in order, with what a look at the whole
video would say.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.inference import video_run as inference
from ava_det.inference.smoothing import ScoreSmoother
from ava_det.inference.streaming import FrameQueue, ShownFrame
from ava_det.structures import Detections, Keyframe
from ava_det.tracking.linker import MAX_GAP_SECONDS, Timeline
from ava_det.video.folder import open_video
from ava_det.visualization.png import write_png
from tests.support.scripted_predictor import (
    FPS,
    HEIGHT,
    START,
    WIDTH,
    BrightnessModel,
    ScriptedDetector,
    make_predictor,
    write_ramp,
)

# Of a score, between batches of two sizes. The model's mean is a sum of 3 * 48 * 64 < 10 ** 4
# numbers of 0..1, which torch adds in four levels of ten each, in another order for another batch;
# then comes the sigmoid, whose slope is at most 1 / 4 and which ends within two units of 2 ** -24.
ROUNDING = 2 * (4 * 10 / 4 + 2) * 2.0**-24
EVERYWHERE = {
    second: [([8.0 + 4 * second, 12.0, 32.0 + 4 * second, 48.0], 0.9)] for second in range(6)
}


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """4 s whose brightness tells the time: gray 60 * second."""
    return write_ramp(tmp_path / "ramp.mp4", 4, 6)


def watch(path: Path, batch_size: int = 2, **options: Any) -> list[ShownFrame]:
    with open_video(path, START) as reader:
        return list(
            make_predictor(ScriptedDetector(EVERYWHERE), batch_size=batch_size).watch(
                reader, **options
            )
        )


@pytest.mark.parametrize(
    ("every", "batch_size"), [(1.0, 1), (1.0, 3), (0.1, 8), (0.5, 2), (3.0, 8)]
)
def test_watching_is_predicting_and_looking_up_every_frame(
    ramp: Path, every: float, batch_size: int
) -> None:
    keyframes = list(make_predictor(ScriptedDetector(EVERYWHERE))(ramp, every))
    timeline = Timeline(iter(keyframes))
    shown = watch(ramp, batch_size, every=every)
    assert [round((frame.seconds - START) * FPS, 6) for frame in shown] == list(range(4 * FPS))
    seen = [keyframe for frame in shown for keyframe in frame.keyframes]
    assert [one.keyframe.timestamp for one in seen] == [one.keyframe.timestamp for one in keyframes]
    for one, other in zip(seen, keyframes, strict=True):
        torch.testing.assert_close(one.action_scores, other.action_scores, atol=ROUNDING, rtol=0)
        assert torch.equal(one.boxes, other.boxes)
    for frame in shown:
        expected = timeline.at(frame.seconds)
        gray = frame.picture.rgb(None).mean()
        assert gray == pytest.approx(60 * (frame.seconds - START), abs=3)
        assert (expected is None) == (frame.detections is None)
        if expected is not None and frame.detections is not None:
            assert torch.allclose(expected.boxes, frame.detections.boxes, atol=1e-5)
            assert expected.track_ids.tolist() == frame.detections.track_ids.tolist()


def test_a_folder_of_pictures_streams_like_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    for number in range(1, 61):
        write_png(
            folder / f"cut_{number:06d}.png", np.full((HEIGHT, WIDTH, 3), 2 * number, np.uint8)
        )
    shown = watch(folder)
    assert [frame.picture.rgb(None)[0, 0, 0] for frame in shown] == [
        2 * number for number in range(1, 61)
    ]
    assert sum(len(frame.keyframes) for frame in shown) == 2


@pytest.mark.parametrize(("start", "end"), [(1.0, 3.0), (0.35, 0.5), (2.95, np.inf), (3.9, 9.0)])
def test_a_part_has_its_frames_and_the_clips_of_the_whole(
    ramp: Path, start: float, end: float
) -> None:
    shown = watch(ramp, start=start, end=end)
    expected = [
        index for index in range(4 * FPS) if start <= index / FPS + 1e-9 and index / FPS < end
    ]
    assert [round((frame.seconds - START) * FPS) for frame in shown] == expected
    keyframes = [keyframe for frame in shown for keyframe in frame.keyframes]
    assert keyframes[0].keyframe.timestamp == START + start
    alone = list(make_predictor(ScriptedDetector(EVERYWHERE))(ramp, 0.05))
    same = next(one for one in alone if abs(one.keyframe.timestamp - START - start) < 1e-6)
    torch.testing.assert_close(
        keyframes[0].action_scores, same.action_scores, atol=ROUNDING, rtol=0
    )


def test_a_start_after_the_end_is_a_sentence(ramp: Path) -> None:
    with pytest.raises(ValueError, match=r"start before its end at 4\.0 s, received 5"):
        watch(ramp, start=5.0)


def test_few_frames_wait_whatever_the_batch(ramp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for ten frames a batch of eight keyframes is cut short, and the result is the
    same.
    """
    frame_bytes = WIDTH * HEIGHT * 3 // 2
    monkeypatch.setattr(inference, "WAITING_BYTES", 10 * frame_bytes)
    most = 0
    real = FrameQueue.add_frame

    def add(self: FrameQueue, picture: object) -> None:
        nonlocal most
        real(self, picture)  # type: ignore[arg-type]
        most = max(most, self.num_bytes)

    monkeypatch.setattr(FrameQueue, "add_frame", add)
    model = BrightnessModel()
    with open_video(ramp, START) as reader:
        shown = list(
            make_predictor(ScriptedDetector(EVERYWHERE), model, batch_size=8).watch(reader)
        )
    assert len(shown) == 40
    assert max(model.batches) < 4
    assert most <= (MAX_GAP_SECONDS + 1) * FPS * frame_bytes


def test_stop_ends_the_stream_and_its_thread(ramp: Path) -> None:
    stop = threading.Event()
    before = threading.active_count()
    with open_video(ramp, START) as reader:
        frames = make_predictor(ScriptedDetector(EVERYWHERE)).watch(reader, stop=stop)
        next(frames)
        stop.set()
        assert len(list(frames)) < 40
    assert threading.active_count() == before


def detections(timestamp: float, scores: list[list[float]], tracks: list[int] | None) -> Detections:
    count = len(scores)
    keyframe = Keyframe("v", timestamp, torch.zeros(count, 4), None, torch.ones(count))
    ids = None if tracks is None else torch.tensor(tracks)
    return Detections(keyframe.boxes, torch.tensor(scores), keyframe.person_scores, ids, keyframe)


def test_smoothing_follows_tracks_and_forgets() -> None:
    smoother = ScoreSmoother(1.0)
    first = smoother.smooth(detections(0.0, [[1.0], [0.0]], [7, 8]))
    assert first.action_scores.tolist() == [[1.0], [0.0]]
    second = smoother.smooth(detections(1.0, [[0.0], [0.0]], [8, 7]))
    assert second.action_scores.tolist() == [[0.0], [pytest.approx(np.exp(-1), rel=1e-5)]]
    late = smoother.smooth(detections(20.0, [[0.5]], [7]))
    assert late.action_scores.tolist() == [[0.5]]
    assert ScoreSmoother(0.0).smooth(second) is second
    with pytest.raises(ValueError, match="track ids"):
        smoother.smooth(detections(21.0, [[0.5]], None))
