from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_det.own_classes import FeatureCache
from ava_det.own_classes.feature_cache import hash_weights
from ava_det.structures import Keyframe


def keyframe(timestamp: float, *boxes: list[float], action: int = 0) -> Keyframe:
    labels = torch.zeros(len(boxes), 3)
    labels[:, action] = 1
    return Keyframe("walk", timestamp, torch.tensor(boxes), labels, torch.ones(len(boxes)))


A = [0.1, 0.2, 0.3, 0.4]
B = [0.5, 0.2, 0.9, 0.8]
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "walk.mp4"
    path.write_bytes(b"frames")
    return path


def test_what_was_written_is_found_by_all_it_depends_on(tmp_path: Path, video: Path) -> None:
    keyframes = [keyframe(1, A, B), keyframe(2, A)]
    cache = FeatureCache(tmp_path / "features", {"weights": "w", "short_side": 256})
    assert cache.find(video, keyframes) is None
    cache.write(video, keyframes, ROWS)
    found = FeatureCache(tmp_path / "features", {"weights": "w", "short_side": 256}).find(
        video, keyframes
    )
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, ROWS)
    relabeled = [keyframe(1, A, B, action=2), keyframe(2, A, action=1)]
    assert cache.find(video, relabeled) is not None
    for other in (
        [keyframe(1, B, A), keyframe(2, A)],
        [keyframe(1, A, B), keyframe(3, A)],
        keyframes[:1],
    ):
        assert cache.find(video, other) is None
    for facts in ({"weights": "v", "short_side": 256}, {"weights": "w", "short_side": 224}):
        assert FeatureCache(tmp_path / "features", facts).find(video, keyframes) is None
    described = json.loads(next((tmp_path / "features").glob("walk-*.json")).read_text())
    assert described["short_side"] == 256
    os.utime(video, ns=(1, 1))
    assert cache.find(video, keyframes) is None


def test_a_folder_of_pictures_is_known_by_its_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(b"picture")
    cache = FeatureCache(tmp_path / "features", {})
    cache.write(folder, [keyframe(1, A)], ROWS[:1])
    assert cache.find(folder, [keyframe(1, A)]) is not None
    (folder / "1.jpg").write_bytes(b"another")
    os.utime(folder / "1.jpg", ns=(1, 1))
    assert cache.find(folder, [keyframe(1, A)]) is None


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_is_computed_again(tmp_path: Path, video: Path, content: bytes) -> None:
    cache = FeatureCache(tmp_path / "features", {})
    cache.write(video, [keyframe(1, A)], ROWS[:1])
    next((tmp_path / "features").glob("*.npy")).write_bytes(content)
    assert cache.find(video, [keyframe(1, A)]) is None


def test_weights_are_known_by_names_shapes_and_values() -> None:
    base = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    assert hash_weights(base) == hash_weights(dict(reversed(base.items())))
    changed = torch.zeros(2, 3)
    changed[1, 2] = 1e-30
    for other in (
        {**base, "a": changed},
        {**base, "a": torch.zeros(3, 2)},
        {"c": base["a"], "b": base["b"]},
    ):
        assert hash_weights(other) != hash_weights(base)
