"""The optical flow of clips: which pairs, each once for all clips, computed or from folders."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from ava_det.data.clip_reader import ClipReader, FlowOfClips
from ava_det.data.dataset import ClipDataset
from ava_det.data.loader import ClipLoader
from ava_det.data.samplers import TrainBatchSampler
from ava_det.data.sampling import compute_flow_ticks
from ava_det.data.transforms import Augmentation
from ava_det.flow import (
    ComputedFlow,
    FlowAlgorithm,
    StoredFlow,
    build_flow,
    video_flow,
    write_flow_folder,
)
from ava_det.flow.coding import REST, decode_flow
from ava_det.flow.raft import Raft
from ava_det.structures import Keyframe
from ava_det.video.folder import open_video
from ava_det.video.reader import VideoError
from ava_det.video.writer import VideoWriter
from tests.support.numbered_video import read_number, write_numbered_video, write_pictures

RANGE = 20.0
FPS = 30
SECONDS = 5


class Counting:
    """Answers which frames it was given, and remembers them: u is the number of the first, v that
    of the second, modulo 16.
    """

    name = "counting"

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []
        self.fields: list[weakref.ref[np.ndarray]] = []

    def compute(self, previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        pair = read_number(previous), read_number(following)
        self.pairs.append(pair)
        height, width = previous.shape[:2]
        values = np.array(pair, np.float32)[:, None, None] % 16
        return np.broadcast_to(values, (2, height, width)).copy()


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "numbered.mp4"
    write_numbered_video(path, [Fraction(k, FPS) for k in range(SECONDS * FPS)])
    return path


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth noise that moves 2 pixels a frame to the right and 1 down."""
    path = tmp_path_factory.mktemp("videos") / "moving.mp4"
    noise = np.random.default_rng(0).normal(size=(256, 448, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    texture = np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)).astype(np.uint8)
    with VideoWriter(path, 96, 64, FPS) as writer:
        for index in range(SECONDS * FPS):
            frame = np.roll(texture, (index, 2 * index), (0, 1))[:64, :96]
            writer.write(np.ascontiguousarray(frame), index / FPS)
    return path


def make_reader(
    algorithm: FlowAlgorithm,
    shape: tuple[int, int, int, int] = (8, 2, 1, 1),
    grid: str = "seconds",
    short_side: int | None = None,
) -> ClipReader:
    """shape: frames, stride, stack and gap; RGB has the same frames."""
    source = ComputedFlow(algorithm, RANGE, short_side)
    flow = FlowOfClips(compute_flow_ticks(*shape), shape[3], source)
    frames = np.arange(shape[0])
    return ClipReader(shape[0], shape[1], 30.0, frames, None, grid, 0.0, flow=flow)


def test_a_field_begins_at_its_frame_and_a_stack_lies_around_it() -> None:
    assert compute_flow_ticks(4, 2, 1, 1).tolist() == [-4, -2, 0, 2]
    assert compute_flow_ticks(1, 1, 10, 1).tolist() == list(range(-5, 5))  # frames -5 to 5
    assert compute_flow_ticks(2, 8, 3, 2).tolist() == [-10, -8, -6, -2, 0, 2]


@pytest.mark.parametrize("shape", [(8, 2, 1, 1), (8, 2, 1, 3), (2, 8, 4, 1)])
def test_a_field_is_of_the_frames_at_its_tick_and_a_gap_later(
    numbered: Path, shape: tuple[int, int, int, int]
) -> None:
    algorithm = Counting()
    with open_video(numbered) as reader:
        pixels = make_reader(algorithm, shape).read(reader, 2.0, 24)
    ticks = compute_flow_ticks(*shape) + 60
    assert sorted(algorithm.pairs) == [(k, k + shape[3]) for k in sorted(set(ticks.tolist()))]
    assert pixels.frames is not None
    assert pixels.flow is not None
    assert pixels.flow.shape == (2, len(ticks), 24, 32)
    decoded = decode_flow(pixels.flow[:, :, 0, 0], RANGE)
    np.testing.assert_allclose(decoded[0], ticks % 16, atol=0.08)
    np.testing.assert_allclose(decoded[1], (ticks + shape[3]) % 16, atol=0.08)
    assert [read_number(frame) for frame in pixels.frames] == list(
        range(60 - shape[0] * shape[1] // 2, 60 + shape[0] * shape[1] // 2, shape[1])
    )


@pytest.mark.parametrize("name", ["dis", "farneback"])
@pytest.mark.parametrize("shape", [(8, 2, 1, 1), (4, 4, 3, 2)])
@pytest.mark.parametrize("every", [0.2, 0.37])
def test_shared_pairs_are_bit_for_bit_those_of_each_clip_alone(
    moving: Path, name: str, shape: tuple[int, int, int, int], every: float
) -> None:
    moments = np.arange(0, 2.5, every).tolist()
    shared = make_reader(build_flow(name), shape)
    with open_video(moving) as reader:
        together = [shared.read(reader, moment, 48) for moment in moments]
    for moment, clip in zip(moments, together, strict=True):
        with open_video(moving) as reader:
            alone = make_reader(build_flow(name), shape).read(reader, moment, 48)
        np.testing.assert_array_equal(clip.flow, alone.flow, strict=True)
        np.testing.assert_array_equal(clip.frames, alone.frames, strict=True)


@pytest.mark.parametrize(
    ("shape", "every", "ratio"),
    [((32, 2, 1, 1), 1.0, 32 / 15), ((32, 2, 10, 1), 1.0, 320 / 30), ((32, 2, 1, 1), 0.2, 32 / 3)],
)
def test_each_pair_is_computed_once_for_all_clips(
    numbered: Path, shape: tuple[int, int, int, int], every: float, ratio: float
) -> None:
    """The ratio is that of the fields of a clip to the pairs that begin between two keyframes."""
    algorithm = Counting()
    clips = make_reader(algorithm, shape)
    with open_video(numbered) as reader:
        counts = []
        for moment in np.arange(1.4, 3.5, every):
            clips.read(reader, moment, 24)
            counts.append(len(algorithm.pairs))
    assert len(algorithm.pairs) == len(set(algorithm.pairs))
    assert np.diff(counts) == pytest.approx(shape[0] * shape[2] / ratio)


def test_what_is_kept_goes_with_the_frames(numbered: Path) -> None:
    clips = make_reader(Counting())
    kept: list[weakref.ref[np.ndarray]] = []
    with open_video(numbered) as reader:
        for second in range(1, 4):
            clips.read(reader, float(second), 24)
            pictures = reader.pictures_nearest([second + k / FPS for k in range(-8, 8)])
            kept += [weakref.ref(field) for one in pictures for field in one.derived.values()]
            del pictures
        gc.collect()
        alive = [one() for one in kept if one() is not None]
        assert len(kept) == 3 * 8
        assert len(alive) == 8  # of the last clip
        del alive
        reader.release_buffers()
        gc.collect()
        assert not [one for one in kept if one() is not None]


def test_a_frame_twice_has_no_motion(numbered: Path) -> None:
    algorithm = Counting()
    with open_video(numbered) as reader:
        pixels = make_reader(algorithm).read(reader, 0.0, 24)  # half of it before the first frame
    assert sorted(algorithm.pairs) == [(k, k + 1) for k in (0, 2, 4, 6)]
    assert pixels.flow is not None
    assert (pixels.flow[:, :4] == REST).all()


@pytest.mark.parametrize("grid", ["seconds", "pyslowfast"])
def test_a_folder_of_pictures_has_flow_too(tmp_path: Path, grid: str) -> None:
    algorithm = Counting()
    clips = make_reader(algorithm, grid=grid)
    with open_video(write_pictures(tmp_path / "movie", 90)) as reader:
        clips.read(reader, 1.0, 24)
        clips.read(reader, 1.2, 24)
    assert algorithm.pairs == [(k, k + 1) for k in range(22, 44, 2)]


def test_flow_computed_on_smaller_frames_grows_with_them(moving: Path) -> None:
    with open_video(moving) as reader:
        whole = make_reader(build_flow("dis")).read(reader, 2.0, 64)
        small = make_reader(build_flow("dis"), short_side=32).read(reader, 2.0, 64)
    assert whole.flow is not None
    assert small.flow is not None
    assert small.flow.shape == whole.flow.shape
    for pixels in (whole, small):
        middle = decode_flow(pixels.flow[:, :, 12:-12, 12:-12], RANGE)
        # coded twice: half a level of 0.16, doubled with the field, and half a level again
        np.testing.assert_allclose(np.median(middle, axis=(1, 2, 3)), [2, 1], atol=0.3)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, moving: Path) -> Path:
    """The flow of the moving video, as `ava-det flow --fps 30 --short-side 48` writes it."""
    root = tmp_path_factory.mktemp("flow")
    facts = {"algorithm": "dis", "flow_range": RANGE, "fps": FPS}
    with open_video(moving) as reader:
        fields = video_flow(reader, build_flow("dis"), 48, FPS)
        write_flow_folder(root / moving.stem, fields, facts)
    return root


def make_stored_reader(root: Path, **settings: Any) -> ClipReader:
    chosen = {"algorithm": "dis", "flow_range": RANGE, "step": 1 / FPS, **settings}
    flow = FlowOfClips(compute_flow_ticks(8, 2, 1, 1), 1, StoredFlow(root, **chosen))
    return ClipReader(0, 1, 30.0, None, None, flow=flow)


def read_stored(
    root: Path, video: Path, moment: float, start_second: float = 0.0, **settings: Any
) -> np.ndarray:
    with open_video(video, start_second) as reader:
        pixels = make_stored_reader(root, **settings).read(reader, moment, 48)
    assert pixels.frames is None
    assert pixels.flow is not None
    return pixels.flow


@pytest.mark.parametrize("start", [0.0, 900.0])
@pytest.mark.parametrize("moment", [0.1, 2.0, 4.9])
def test_a_folder_gives_what_is_computed_but_for_its_jpegs(
    stored: Path, moving: Path, moment: float, start: float
) -> None:
    with open_video(moving) as reader:
        computed = make_reader(build_flow("dis")).read(reader, moment, 48).flow
    assert computed is not None
    found = read_stored(stored, moving, start + moment, start)
    assert found.shape == computed.shape
    differences = np.abs(found.astype(int) - computed)
    assert differences.mean() < 0.5
    at_rest = (computed == REST).all(axis=(0, 2, 3))
    assert ((found == REST).all(axis=(0, 2, 3)) == at_rest).all()


def test_flow_of_a_folder_is_resized_to_the_clip(stored: Path) -> None:
    source = StoredFlow(stored, "dis", RANGE, 1 / FPS)
    fields = source.read("moving", np.array([1.0, 2.0]), (144, 96))
    middle = decode_flow(fields[:, :, 20:-20, 20:-20], RANGE)
    assert fields.shape == (2, 2, 96, 144)
    expected = np.array([[3, 3], [1.5, 1.5]])  # 1.5 times the size it was stored in
    np.testing.assert_allclose(np.median(middle, axis=(2, 3)), expected, atol=0.2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "tvl1"}, r"moving.flow.json: its flow was computed by dis, expected data.f"),
        ({"step": 0.04}, r"its flow is between frames 0.0333\d* s apart, expected 0.04 .*--fps 25"),
        ({"short_side": 64}, r"its flow has a short side of 48 pixels, expected data.flow_short_s"),
        ({"flow_range": 10.0}, r"moving.flow.json: its flow has the range 20, expected 10"),
    ],
)
def test_another_flow_is_refused(
    stored: Path, moving: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(VideoError, match=message):
        read_stored(stored, moving, 2.0, **settings)


def test_a_video_without_a_folder_is_named(tmp_path: Path, moving: Path) -> None:
    with pytest.raises(VideoError, match=r"moving: no such folder of optical flow"):
        read_stored(tmp_path, moving, 2.0)


def test_a_folder_of_another_tool_has_the_times_of_the_config(
    tmp_path: Path, stored: Path, moving: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """dense_flow writes the same pictures and no flow.json."""
    shutil.copytree(stored, tmp_path, dirs_exist_ok=True)
    (tmp_path / "moving" / "flow.json").unlink()
    for moment in (0.1, 2.0, 4.9):
        expected = read_stored(stored, moving, moment)
        np.testing.assert_array_equal(read_stored(tmp_path, moving, moment), expected)
    assert caplog.text.count("folders without flow.json, as other tools write them") == 1
    assert "pairs 0.03333 s apart" in caplog.text


@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_is_taken_of_another_tool_is_said_once_in_a_training(
    num_workers: int,
    tmp_path: Path,
    stored: Path,
    moving: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(stored, tmp_path, dirs_exist_ok=True)
    (tmp_path / "moving" / "flow.json").unlink()
    keyframes = [
        Keyframe("moving", second, torch.rand(1, 4), None, torch.ones(1))
        for second in (1.0, 2.0, 3.0, 4.0)
    ]
    for _ in ("train", "val"):
        clips = make_stored_reader(tmp_path)
        dataset = ClipDataset(
            keyframes, {"moving": moving}, 0.0, clips, lambda _: Augmentation(48), 0
        )
        dataset.require_a_readable_clip()
        assert len(list(ClipLoader(dataset, TrainBatchSampler(4, 2, 0), num_workers))) == 2
    assert capfd.readouterr().err.count("folders without flow.json") == 1


def test_times_of_another_number_of_pairs_are_refused(
    tmp_path: Path, stored: Path, moving: Path
) -> None:
    shutil.copytree(stored, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "moving" / "flow.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "seconds": facts["seconds"][1:]}))
    with pytest.raises(VideoError, match=r"flow.json: expected the times of \d+ pairs"):
        read_stored(tmp_path, moving, 2.0)


def test_frames_too_small_for_the_algorithm_are_named(numbered: Path) -> None:
    clips = make_reader(build_flow("dis"))
    with (
        open_video(numbered) as reader,
        pytest.raises(VideoError, match=r"numbered.mp4: optical flow by dis: expected frames of"),
    ):
        clips.read(reader, 1.0, 24)


def test_a_video_of_fewer_frames_than_pairs_is_named(tmp_path: Path) -> None:
    """At 10 frames a second most pairs that last a thirtieth of a second are one frame twice."""
    path = tmp_path / "slow.mp4"
    write_numbered_video(path, [Fraction(k, 10) for k in range(30)], rate=10)
    algorithm = Counting()
    clips = make_reader(algorithm)
    with open_video(path) as reader:
        pixels = clips.read(reader, 1.0, 24)
        (note,) = clips.describe_pace(reader.fps)
    assert note.startswith("it has 10 frames a second, and pairs of optical flow last 1/30 s")
    assert pixels.flow is not None
    at_rest = (pixels.flow == REST).all(axis=(0, 2, 3))  # of ticks 22, 24, ... 36
    assert at_rest.tolist() == [False, True, True] * 2 + [False, True]
    assert algorithm.pairs == [(7, 8), (9, 10), (11, 12)]
    assert clips.describe_pace(30000 / 1001) == ()
    assert make_reader(algorithm, (8, 2, 1, 3)).describe_pace(10.0) == ()
    assert ClipReader(8, 2, 30.0, np.arange(8), None).describe_pace(15.0) == ()


def test_raft_on_a_cpu_cannot_follow_a_live_source() -> None:
    with pytest.raises(ValueError, match=r"optical flow by raft takes seconds a pair on a CPU"):
        make_reader(Raft(nn.Identity(), "cpu")).require_live_pace()
    make_reader(Counting()).require_live_pace()
    ClipReader(8, 2, 30.0, np.arange(8), None).require_live_pace()


def test_worker_processes_read_the_same_flow(moving: Path, tmp_path: Path) -> None:
    keyframes = [
        Keyframe(name, second, torch.rand(1, 4), None, torch.ones(1))
        for name in ("moving", "absent")
        for second in (1.0, 2.0, 3.0)
    ]
    videos = {"moving": moving, "absent": tmp_path / "absent.mp4"}
    batches = []
    for num_workers in (0, 2):
        clips = make_reader(build_flow("dis"))
        dataset = ClipDataset(
            keyframes, videos, 0.0, clips, lambda _: Augmentation(48, 32, flip=True), 0
        )
        loader = ClipLoader(
            dataset, TrainBatchSampler(6, 6, 0), num_workers, warn=lambda sentence: None
        )
        batches += list(loader)
    alone, shared = batches
    assert alone.flow is not None
    assert alone.flow.shape == (3, 2, 8, 32, 32)  # those of the absent video are left out
    assert shared.flow is not None
    assert torch.equal(alone.flow, shared.flow)
    u = decode_flow(alone.flow[:, 0].numpy(), RANGE)
    assert np.median(u) == pytest.approx(-1.5, abs=0.2)  # 2 pixels of 64, mirrored
