"""Writes ground truth as UCF101v2-GT.pkl, JHMDB-GT.pkl and multisports_GT.pkl have it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.files import atomic_path
from ava_det.formats.tubes.structures import TubeTruth

PROTOCOL = 2  # which the public code, some of it Python 2's, reads


def write_truth(path: str | Path, truth: TubeTruth) -> None:
    """Writes the dict of `labels`, `train_videos`, `test_videos`, `nframes`, ... as a pickle.

    Tubes become float32 [n, 5]: frame from 1, x1, y1, x2, y2.

    Args:
        path: The file, which appears when it is whole.
        truth: The ground truth.
    """
    gttubes: dict[str, dict[int, list[np.ndarray]]] = {}
    for video in truth.num_frames:
        by_label = gttubes.setdefault(video, {})
        for tube in truth.tubes.get(video, ()):
            rows = np.concatenate([tube.frames[:, None], tube.boxes], axis=1).astype(np.float32)
            by_label.setdefault(tube.label, []).append(rows)
    content: dict[str, Any] = {
        "labels": list(truth.labels),
        "train_videos": [list(videos) for videos in truth.train_videos],
        "test_videos": [list(videos) for videos in truth.test_videos],
        "nframes": dict(truth.num_frames),
        "resolution": {video: tuple(size) for video, size in truth.resolution.items()},
        "gttubes": gttubes,
    }
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        pickle.dump(content, file, protocol=PROTOCOL)
