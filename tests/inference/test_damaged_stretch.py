"""A video whose middle is damaged: what is before and after it is seen, at its own time, and the
stretch is named.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ava_det.video.file import VideoReader
from tests.support.damaged_video import FPS, SECONDS, write_damaged
from tests.support.numbered_video import draw_number, read_number, write_numbered_video
from tests.support.scripted_predictor import START, ScriptedDetector, make_predictor

EVERYWHERE = {level: [([16.0, 12.0, 32.0, 48.0], 0.9)] for level in range(-1, 6)}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_video_goes_on_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, batch_size: int
) -> None:
    path = write_damaged(tmp_path / f"video{suffix}")
    predictor = make_predictor(ScriptedDetector(EVERYWHERE), batch_size=batch_size)
    found = [one.keyframe.timestamp - START for one in predictor(path)]
    stderr = capsys.readouterr().err
    left_out = [float(second) for second in range(SECONDS) if second not in found]
    assert {0.0, 1.0, 2.0, SECONDS - 1.0} <= set(found)
    assert left_out == list(np.arange(left_out[0], left_out[-1] + 1))  # one stretch
    assert stderr.count("damaged from") == 1
    assert f"warning: {path}: damaged from" in stderr
    assert f"; {len(left_out)} keyframes there are left out" in stderr
    with VideoReader(path, START) as reader:
        shown = list(predictor.watch(reader))
        assert len(reader.lost) == 1
    assert capsys.readouterr().err == stderr
    seconds = [frame.seconds - START for frame in shown]
    assert seconds == sorted(set(seconds))
    numbers = [read_number(frame.picture.rgb(None)) for frame in shown]
    assert numbers == [round(FPS * moment) % 256 for moment in seconds]
    assert seconds[-1] == pytest.approx(SECONDS - 1 / FPS)
    assert len(shown) < FPS * SECONDS - 20
    assert [one.keyframe.timestamp - START for frame in shown for one in frame.keyframes] == found
    last = shown[-1].detections
    assert last is not None and len(last.boxes) == 1


def test_a_sound_video_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "video.mp4"
    # four seconds without a frame
    moments = [Fraction(index, FPS) for index in [*range(50), *range(150, 200)]]
    write_numbered_video(path, moments, options={"g": str(FPS), "bf": "0"}, rate=FPS)
    assert len(list(make_predictor(ScriptedDetector({}))(path))) == 8
    with VideoReader(path, START) as reader:
        assert len(list(make_predictor(ScriptedDetector({})).watch(reader))) == 100
    assert capsys.readouterr().err == ""


def test_a_sound_matroska_file_with_long_gaps_and_audio_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"bf": "0"})
        video.width = 64
        video.height = 48
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        # four seconds without a frame, and 64 kB of sound
        for index in [*range(25), *range(125, 150)]:
            frame = av.VideoFrame.from_ndarray(draw_number(index), format="rgb24")
            frame.pts = index
            frame.time_base = Fraction(1, FPS)
            container.mux(video.encode(frame))
            sound = av.AudioFrame.from_ndarray(
                np.zeros((1, 320), np.int16), format="s16", layout="mono"
            )
            for moment in range(320 * index, 320 * (125 if index == 24 else index + 1), 320):
                sound.rate = 8000
                sound.pts = moment
                container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())
    with VideoReader(path) as reader:
        assert len(list(reader.frames())) == 50
        assert reader.lost == ()
        assert read_number(reader.read([3.5])[0]) == 125
