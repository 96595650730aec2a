"""`demo --tubes`: what the persons of a video do becomes tubes while it is watched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.commands.demo import parse_arguments
from ava_det.demo.tubes_file import TubesFile
from ava_det.formats.tubes import read_tubes
from ava_det.structures import Detections, Keyframe

READER: Any = SimpleNamespace(
    path=Path("walk.mp4"), fps=25.0, width=200, height=100, start_second=900.0
)
NAMES = {3: "walk", 1: "run"}


def make_keyframe(seconds: float, scores: list[float], track: int = 1) -> Detections:
    boxes = torch.tensor([[0.1, 0.2, 0.3, 0.9]]) + torch.tensor([[seconds, 0, seconds, 0]]) / 10
    keyframe = Keyframe("walk", 900 + seconds, boxes, None, torch.ones(1), (200, 100))
    row = torch.zeros(1, 3)
    row[0, [0, 2]] = torch.tensor(scores)
    return Detections(boxes, row, torch.ones(1), torch.tensor([track]), keyframe)


def test_an_action_is_a_tube_with_a_box_on_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "walk.tubes.jsonl"
    with TubesFile(path, READER, NAMES, {1: 0.5, 3: 0.8}, every=1.0) as file:
        for seconds, walk in [(0, 0.1), (1, 0.9), (2, 0.9), (3, 0.1)]:
            file.write(make_keyframe(seconds, [0.6 if seconds < 2 else 0.0, walk]))
        assert not path.exists()
    run, walk_tube = sorted(read_tubes(path, ["run", "walk"]), key=lambda tube: tube.label)
    assert walk_tube.video == "walk"
    frames = walk_tube.frames
    assert np.diff(frames).tolist() == [1] * (len(frames) - 1)
    assert frames[0] < 26 < 51 < frames[-1]
    np.testing.assert_allclose(walk_tube.boxes[:, 0], 20 + (frames - 1) / 25 * 20, atol=1e-2)
    assert run.frames[0] == 1


def test_each_action_begins_and_ends_at_half_of_its_own_threshold(tmp_path: Path) -> None:
    path = tmp_path / "walk.tubes.jsonl"
    with TubesFile(path, READER, NAMES, {1: 0.2, 3: 0.8}, every=1.0) as file:
        for second in range(9):  # both rise to 0.8 and fall again, by 0.2 a second
            file.write(make_keyframe(second, [0.8 - 0.2 * abs(second - 4)] * 2))
    run, walk = sorted(read_tubes(path), key=lambda tube: tube.label)
    # 0.1 after half a second, 0.4 after two
    assert (run.frames[0], run.frames[-1]) == (14, 188)
    assert (walk.frames[0], walk.frames[-1]) == (51, 151)


def test_an_action_below_its_threshold_is_no_tube(tmp_path: Path) -> None:
    path = tmp_path / "walk.tubes.jsonl"
    with TubesFile(path, READER, NAMES, {1: 0.5, 3: 0.95}, every=0.5) as file:
        for step in range(5):
            file.write(make_keyframe(step / 2, [0.4, 0.9]))
    assert read_tubes(path) == []


def test_tubes_of_gone_persons_are_written_before_the_end_and_a_failure_leaves_no_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "walk.tubes.jsonl.gz"
    with TubesFile(path, READER, NAMES, {1: 0.5, 3: 0.5}, every=0.5) as file:
        for step in range(16):
            file.write(make_keyframe(step / 2, [0.9, 0.0], track=1 + step // 8))
    assert [tube.frames[0] for tube in read_tubes(path)] == [1, 101]
    with pytest.raises(RuntimeError), TubesFile(tmp_path / "x", READER, NAMES, {1: 0, 3: 0}, 1.0):
        raise RuntimeError
    assert not (tmp_path / "x").exists()


def test_tubes_alone_are_enough_for_the_command() -> None:
    args = parse_arguments(["--video", "walk.mp4", "--tubes", "walk.tubes.jsonl"])
    assert args.tubes == Path("walk.tubes.jsonl")
