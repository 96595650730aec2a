"""What a video that is broken, hangs or kills its reader costs: its own clips, or one sentence;
never a wait.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_det.data import loader as loader_module
from ava_det.data.clip_reader import ClipReader
from ava_det.data.dataset import ClipDataset
from ava_det.data.loader import ClipLoader
from ava_det.data.samplers import TrainBatchSampler, VideoBatchSampler
from ava_det.data.transforms import Augmentation
from ava_det.data.watch import LoadingError
from ava_det.inference.clip_scorer import GivenPicture
from ava_det.structures import Keyframe
from ava_det.video.reader import VideoError

VIDEOS = ("a", "b", "c", "d")
KEYFRAMES = [
    Keyframe(video, float(second), torch.rand(1, 4), torch.ones(1, 3), torch.ones(1))
    for video in VIDEOS
    for second in range(6)
]


class FakeReader:
    """Stands for a FrameReader: pictures tell video, second and process; "b" does as `trouble`
    says.
    """

    trouble: Callable[[float], None] | None = None
    notes: tuple[str, ...] = ()
    width = height = 32
    fps = 30.0

    def __init__(self, path: Path, start_second: float):
        self.path = path

    def require(self, timestamp: float) -> None:
        if self.path.stem == "b" and FakeReader.trouble is not None:
            FakeReader.trouble(timestamp)

    def pictures_nearest(self, seconds: np.ndarray) -> list[GivenPicture]:
        values = (ord(self.path.stem), int(seconds[2]), os.getpid() % 251)
        return [GivenPicture(0, np.full((32, 32, 3), values, np.uint8)) for _ in seconds]

    def release_buffers(self) -> None: ...
    def close(self) -> None: ...


def make_loader(
    num_workers: int, training: bool = True, batch_size: int = 8
) -> tuple[ClipLoader, list[str]]:
    clips = ClipReader(4, 2, 30.0, np.arange(4), None)
    videos = {video: Path(f"{video}.mp4") for video in VIDEOS}
    dataset = ClipDataset(KEYFRAMES, videos, 0.0, clips, lambda _: Augmentation(32), 0)
    sampler = (
        TrainBatchSampler(len(KEYFRAMES), batch_size, 0)
        if training
        else VideoBatchSampler(KEYFRAMES, batch_size)
    )
    said: list[str] = []
    return ClipLoader(dataset, sampler, num_workers, said.append), said


@pytest.fixture(autouse=True)
def fake_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ava_det.data.dataset.open_video", FakeReader)
    monkeypatch.setattr(FakeReader, "trouble", None)


def colors(loader: ClipLoader, epoch: int = 0) -> list[list[tuple[int, ...]]]:
    """(video, second, process) of every clip of every batch."""
    loader.set_epoch(epoch)
    return [
        [tuple(clip[:, 2, 0, 0].tolist()) for clip in batch.slow]
        for batch in loader
        if batch.slow is not None
    ]


def test_each_video_stays_with_one_process_over_epochs_and_batches_do_not_depend_on_them() -> None:
    alone, _ = make_loader(0)
    shared, _ = make_loader(2)
    owners: dict[int, set[int]] = {}
    for epoch in range(3):
        expected = colors(alone, epoch)
        received = colors(shared, epoch)
        assert [[clip[:2] for clip in batch] for batch in received] == [
            [clip[:2] for clip in b] for b in expected
        ]
        for batch in received:
            for video, _, process in batch:
                owners.setdefault(video, set()).add(process)
    assert all(len(processes) == 1 for processes in owners.values())
    assert len(set.union(*owners.values())) == 2


def test_processes_of_an_evaluation_share_the_videos_and_lose_nothing() -> None:
    loader, _ = make_loader(2, training=False, batch_size=4)
    for _ in range(2):
        clips = [clip for batch in colors(loader) for clip in batch]
        assert sorted(clip[:2] for clip in clips) == [
            (ord(k.video_id), int(k.timestamp)) for k in KEYFRAMES
        ]
        assert len({clip[::2] for clip in clips}) == len(VIDEOS)  # each video in one process


def fail(timestamp: float) -> None:
    if timestamp >= 3:
        raise VideoError("b.mp4: torn off at 3 s")


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("training", [True, False])
def test_a_corrupt_video_costs_its_own_clips_and_is_named_once(
    num_workers: int, training: bool
) -> None:
    FakeReader.trouble = fail
    loader, said = make_loader(num_workers, training)
    for epoch in range(2):
        seen = {clip[:2] for batch in colors(loader, epoch) for clip in batch}
        kept = {
            (ord(k.video_id), int(k.timestamp))
            for k in KEYFRAMES
            if k.video_id != "b" or k.timestamp < 3
        }
        assert seen == kept
    assert said == ["b.mp4: torn off at 3 s; clips of it that cannot be read are left out"]
    assert loader.count_lost() == {"b": (3, "b.mp4: torn off at 3 s")}


def test_a_training_batch_without_any_clip_has_no_person_and_evaluation_leaves_it_out() -> None:
    FakeReader.trouble = fail
    loader, _ = make_loader(0, batch_size=1)
    batches = list(loader)
    assert len(batches) == len(loader) == len(KEYFRAMES)
    blank = [batch for batch in batches if len(batch.rois) == 0]
    assert len(blank) == 3
    assert [batch.is_blank for batch in batches] == [len(batch.rois) == 0 for batch in batches]
    assert blank[0].labels is not None
    assert blank[0].labels.shape == (0, 3)
    assert blank[0].slow is not None
    assert blank[0].slow.shape == (1, 3, 4, 64, 64)
    assert len(list(make_loader(0, training=False, batch_size=1)[0])) == len(KEYFRAMES) - 3


def test_a_resumed_epoch_reads_on_without_reading_what_was() -> None:
    loader, _ = make_loader(2)
    whole = colors(loader, 1)
    loader.set_epoch(1, first_batch=2)
    rest = [
        [tuple(clip[:2, 2, 0, 0].tolist()) for clip in batch.slow]
        for batch in loader
        if batch.slow is not None
    ]
    assert rest == [[clip[:2] for clip in batch] for batch in whole[2:]]


def hang(timestamp: float) -> None:
    time.sleep(600)


def die(timestamp: float) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_hanging_reader_is_named_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "WAIT_SECONDS", 2.0)
    FakeReader.trouble = hang
    loader, _ = make_loader(2)
    start = time.monotonic()
    with pytest.raises(
        LoadingError, match=r"^a process .* nothing for 2 s, while it read b\.mp4 around \d s$"
    ):
        list(loader)
    assert time.monotonic() - start < 30


def read_slowly(loader: ClipLoader) -> None:
    """As training does: a process may die while this one is busy elsewhere."""
    with loader.failures_named():
        for _ in loader:
            time.sleep(0.01)


def test_a_killed_process_is_named() -> None:
    FakeReader.trouble = die
    loader, _ = make_loader(2)
    start = time.monotonic()
    sentence = (
        r"^a process that reads videos was killed while it read b\.mp4 around \d s \(pid \d+\); "
        "if memory"
    )
    with pytest.raises(LoadingError, match=sentence):
        read_slowly(loader)
    assert time.monotonic() - start < 30


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    def fault(timestamp: float) -> None:
        raise KeyError("a fault")

    FakeReader.trouble = fault
    with pytest.raises(KeyError, match="a fault"):
        list(make_loader(0)[0])


def test_a_split_of_which_nothing_can_be_read_is_refused_before_training() -> None:
    dataset = make_loader(0)[0].dataset
    FakeReader.trouble = fail
    dataset.require_a_readable_clip()
    only_bad = ClipDataset(
        [keyframe for keyframe in KEYFRAMES if keyframe.video_id == "b" and keyframe.timestamp > 3],
        {"b": Path("b.mp4")},
        0.0,
        ClipReader(4, 2, 30.0, np.arange(4), None),
        lambda _: Augmentation(32),
        0,
    )
    with pytest.raises(VideoError, match="torn off"):
        only_bad.require_a_readable_clip()
