"""One Predictor for several videos at once, and the times it can be asked for."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ava_det.commands.demo import parse_arguments as parse_demo
from ava_det.commands.detect import parse_arguments
from ava_det.detectors import MotionDetector
from ava_det.inference.predictor import Predictor
from ava_det.structures import Detections
from ava_det.video.folder import open_video
from ava_det.video.writer import VideoWriter
from tests.support.scripted_predictor import ScriptedDetector, make_predictor

Boxes = list[list[list[float]]]


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    """Two scenes of one size and other backgrounds; a red box walks through each."""
    paths = []
    for gray, step in ((60, 4), (170, 7)):
        paths.append(tmp_path / f"gray{gray}.mp4")
        with VideoWriter(paths[-1], 128, 96, 5) as writer:
            for index in range(30):
                frame = np.full((96, 128, 3), gray, np.uint8)
                left = index * step % 110
                frame[20:80, left : left + 18] = (220, 30, 30)
                writer.write(frame, index / 5)
    return paths


def boxes_of(found: Detections | None) -> list[list[float]]:
    assert found is not None
    return [[round(value, 4) for value in box] for box in found.boxes.tolist()]


def watch_one(predictor: Predictor, video: Path) -> Boxes:
    return [boxes_of(found) for found in predictor(video)]


@pytest.fixture
def predictor() -> Predictor:
    predictor = make_predictor(MotionDetector())  # type: ignore[arg-type]
    predictor._min_person_score = 0.05
    return predictor


def test_videos_in_turns_are_as_one_after_the_other(
    predictor: Predictor, videos: list[Path]
) -> None:
    alone = [watch_one(predictor, video) for video in videos]
    assert all(len(boxes) == 1 for video in alone for boxes in video)
    pairs = list(zip_longest(*(predictor(video) for video in videos)))
    assert [boxes_of(first) for first, _ in pairs] == alone[0]
    assert [boxes_of(second) for _, second in pairs] == alone[1]


def test_threads_and_processes_share_a_predictor(predictor: Predictor, videos: list[Path]) -> None:
    alone = [watch_one(predictor, video) for video in videos]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda video: watch_one(predictor, video), [*videos, videos[0]]))
    assert found == [*alone, alone[0]]
    copied: Predictor = pickle.loads(pickle.dumps(predictor))  # as another process gets it
    assert watch_one(copied, videos[1]) == alone[1]


def test_watching_and_predicting_at_once(predictor: Predictor, videos: list[Path]) -> None:
    alone = watch_one(predictor, videos[0])
    with open_video(videos[0], predictor.start_second) as reader:
        watched = []
        others = predictor(videos[1])
        for frame in predictor.watch(reader):
            next(others, None)
            watched += [boxes_of(keyframe) for keyframe in frame.keyframes]
    assert watched == alone


def test_a_detector_that_remembers_one_video_is_refused_not_wrong(videos: list[Path]) -> None:
    everywhere = {second: [([16.0, 12.0, 32.0, 48.0], 0.9)] for second in range(9)}
    predictor = make_predictor(ScriptedDetector(everywhere))
    assert len(list(predictor(videos[0]))) == len(list(predictor(videos[0]))) == 6
    with pytest.raises(ValueError, match="remembers one video at a time"):
        list(zip(predictor(videos[0]), predictor(videos[1]), strict=True))


TIMES: list[tuple[dict[str, float], str]] = [
    ({"every": 0}, "expected a positive number of seconds, 0.001 or more, received"),
    ({"every": -1}, "expected a positive number of seconds, 0.001 or more, received"),
    ({"every": np.nan}, "expected a positive number of seconds, 0.001 or more, received"),
    ({"every": np.inf}, "expected a positive number of seconds, 0.001 or more, received"),
    ({"start": -5}, "expected a number of seconds, 0 or more, received"),
    ({"start": np.nan}, "expected a number of seconds, 0 or more, received"),
    ({"smooth": -1}, "expected a number of seconds, 0 or more, received"),
    ({"start": 3, "end": 2}, "expected more than"),
    ({"end": 0}, "expected more than"),
]


@pytest.mark.parametrize(("times", "sentence"), TIMES, ids=str)
def test_times_that_cannot_be_meant_are_sentences_at_once(
    predictor: Predictor, videos: list[Path], times: dict[str, Any], sentence: str
) -> None:
    name = list(times)[-1]
    no_video: Any = None
    calls: list[Callable[[], Any]] = [lambda: predictor.watch(no_video, **times)]
    if "smooth" not in times:
        calls.append(lambda: predictor(videos[0], **times))
    for call in calls:
        with pytest.raises(ValueError, match=f"^{name}: {sentence}"):
            call()


@pytest.mark.parametrize(("times", "sentence"), TIMES, ids=str)
def test_the_command_line_says_the_same(
    times: dict[str, Any], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--{name}={value}" for name, value in times.items()]
    with pytest.raises(SystemExit):
        parse_demo(["--video", "v.mp4", "--csv", "c.csv", *options])
    assert sentence in capsys.readouterr().err
    if "every" in times:
        with pytest.raises(SystemExit):
            parse_arguments(["--videos", "v.mp4", "--output", "b.csv", *options])
        assert sentence in capsys.readouterr().err
