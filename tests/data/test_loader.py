from __future__ import annotations

import gc
import os
import pickle
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_det.data.clip_reader import ClipReader
from ava_det.data.dataset import ClipDataset
from ava_det.data.loader import ClipLoader, collate
from ava_det.data.samplers import TrainBatchSampler
from ava_det.data.transforms import (
    Augmentation,
    draw_training_augmentation,
    evaluation_augmentation,
)
from ava_det.formats.annotations import keyframes_from_annotations, load_annotations
from ava_det.structures import Clip, Keyframe
from ava_det.video.reader import VideoError
from ava_det.video.sources import find_videos


def make_clip(count: int, width: int, labeled: bool = True) -> Clip:
    labels = torch.ones(count, 3) if labeled else None
    keyframe = Keyframe("video", 1.0, torch.rand(count, 4), labels, torch.ones(count))
    frames = torch.randint(0, 256, (3, 4, 8, width), dtype=torch.uint8)
    return Clip(frames[:, ::4], frames, torch.rand(count, 4), labels, keyframe)


def test_collate_keeps_persons_and_pads_to_the_right() -> None:
    clips = [make_clip(2, 8), make_clip(0, 10), make_clip(1, 6)]
    batch = collate(clips)
    assert batch.rois[:, 0].tolist() == [0, 0, 2]
    torch.testing.assert_close(batch.rois[2, 1:], clips[2].boxes[0])
    assert batch.labels is not None
    assert batch.labels.shape == (3, 3)
    assert batch.fast is not None
    assert batch.fast.shape == (3, 3, 4, 8, 10)
    assert bool((batch.fast[2, :, :, :, :6] == clips[2].fast).all())
    assert bool((batch.fast[2, :, :, :, 6:] == 115).all())


@pytest.mark.gpu
def test_frames_wait_in_pinned_memory_where_there_is_a_gpu() -> None:
    """A copy from it leaves the host free; without one the test of steps that wait for nothing is
    in tests/training.
    """
    batch = collate([make_clip(2, 8), make_clip(1, 8)])
    for frames in (batch.slow, batch.fast):
        assert frames is not None
        assert frames.is_pinned()
        assert frames.dtype == torch.uint8


def test_one_unlabeled_clip_makes_the_batch_unlabeled() -> None:
    assert collate([make_clip(1, 8), make_clip(1, 8, labeled=False)]).labels is None


def make_dataset(synthetic: Path, cache_side: int | None = None) -> ClipDataset:
    keyframes = keyframes_from_annotations(load_annotations(synthetic / "train.csv"), 80)

    def augmentation_for(generator: torch.Generator) -> Augmentation:
        return draw_training_augmentation((32, 40), 32, True, (0.1, 0.1, 0.1, 0.1), generator)

    reader = ClipReader(16, 4, 30.0, np.arange(0, 16, 4), np.arange(16))
    return ClipDataset(
        keyframes, find_videos(synthetic / "videos"), 900.0, reader, augmentation_for, 0, cache_side
    )


def test_a_clip_has_its_frames_boxes_and_labels(synthetic: Path) -> None:
    clip = make_dataset(synthetic)[0]
    assert clip.slow is not None
    assert clip.fast is not None
    assert clip.slow.shape == (3, 4, 32, 32)
    assert clip.fast.shape == (3, 16, 32, 32)
    assert bool((clip.slow == clip.fast[:, ::4]).all())
    assert clip.boxes.shape == (len(clip.keyframe.boxes), 4)
    assert clip.labels is not None
    assert bool(clip.labels.any(dim=1).all())


def test_a_sample_depends_on_seed_epoch_and_index_alone(synthetic: Path) -> None:
    first = make_dataset(synthetic)
    second = make_dataset(synthetic)
    second[7]  # another reading order
    torch.testing.assert_close(first[3].fast, second[3].fast)
    torch.testing.assert_close(first[3].boxes, second[3].boxes)
    second.epoch = 1
    assert not torch.equal(first[3].boxes, second[3].boxes)


def test_workers_and_this_process_give_the_same_batches(synthetic: Path) -> None:
    def batches(num_workers: int) -> list[torch.Tensor]:
        dataset = make_dataset(synthetic)
        loader = ClipLoader(dataset, TrainBatchSampler(len(dataset), 4, 0), num_workers)
        loader.set_epoch(2)
        return [batch.fast for batch in loader if batch.fast is not None]

    for here, there in zip(batches(0), batches(2), strict=True):
        torch.testing.assert_close(here, there)


def test_processes_end_with_their_loader_and_nobody_waits_for_them(synthetic: Path) -> None:
    dataset = make_dataset(synthetic)
    loader = ClipLoader(dataset, TrainBatchSampler(len(dataset), 4, 0), 2)
    assert len(list(loader)) > 0
    assert loader._loader is not None
    freed = weakref.ref(loader._loader)
    gc.disable()  # without a cycle of references there is nothing to collect
    try:
        del loader
        assert freed() is None
    finally:
        gc.enable()


def test_the_cache_changes_nothing_at_its_own_size(synthetic: Path) -> None:
    plain = make_dataset(synthetic)
    cached = make_dataset(synthetic, cache_side=40)
    cached.fill_cache(lambda indices: indices)
    for dataset in (plain, cached):
        dataset._view_for = lambda _: Augmentation(40)
    for index in (0, 5, 11):
        torch.testing.assert_close(plain[index].fast, cached[index].fast)


def test_a_dataset_travels_to_workers_that_share_no_memory(synthetic: Path) -> None:
    dataset = make_dataset(synthetic)
    dataset._view_for = partial(evaluation_augmentation, short_side=32)
    first = dataset[0].fast  # a decoder is open now, and stays here
    torch.testing.assert_close(pickle.loads(pickle.dumps(dataset))[0].fast, first)


def test_a_missing_video_is_named(synthetic: Path) -> None:
    keyframes = [Keyframe("elsewhere", 1.0, torch.rand(1, 4), None, torch.ones(1))]
    reader = ClipReader(4, 4, 30.0, np.arange(4), None)
    with pytest.raises(VideoError, match="no video file for video id elsewhere"):
        ClipDataset(
            keyframes, find_videos(synthetic / "videos"), 0.0, reader, lambda _: Augmentation(32), 0
        )


def test_a_forked_process_reads_with_files_of_its_own(
    synthetic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file opened before a fork has one place that both processes move: each would read on where
    the other was.
    """
    dataset = make_dataset(synthetic)
    dataset.read(0, epoch=0)
    parents = set(dataset._open.values())
    assert dataset._reader(dataset.keyframes[0].video_id) in parents
    monkeypatch.setattr(os, "getpid", lambda: 1)
    child = dataset._reader(dataset.keyframes[0].video_id)
    assert child not in parents
    assert dataset._reader(dataset.keyframes[0].video_id) is child
