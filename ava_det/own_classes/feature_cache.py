"""Features of boxes, computed once and found again by all they depend on.

A folder holds two files a video: `VIDEO-KEY.npy`, float32 [N, D], which is read memory-mapped, and
`VIDEO-KEY.json`, which says what its rows are. KEY is a hash of the weights and their settings, of
the video file (its size and when it was changed), of the keyframes and of their boxes. Labels are
not part of it: relabeling computes nothing anew, and another box in a video computes that video
anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ava_det.files import atomic_path, write_json
from ava_det.structures import Keyframe

FORMAT = 1  # raise it when the same weights and clips give other features


def hash_weights(tensors: Mapping[str, Tensor]) -> str:
    """Of names, shapes and values, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {list(tensor.shape)} {tensor.dtype} ".encode())
        digest.update(
            tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()


class FeatureCache:
    """facts: what features depend on beside the clips, as JSON values: the hash of the weights,
    sizes, frame grid.
    """

    def __init__(self, folder: str | Path, facts: Mapping[str, Any]):
        self.folder = Path(folder)
        self._facts = {"format": FORMAT, **facts}

    def find(self, video: Path, keyframes: Sequence[Keyframe]) -> np.ndarray | None:
        """float32 [N, D], memory-mapped, a row for each box of `keyframes` in order; None where
        there are none yet.

        A row of NaN is a box whose clip could not be read.
        """
        path = self._path(video, keyframes)
        try:
            rows = np.load(path, mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError):
            return None
        whole = (
            rows.ndim == 2
            and rows.dtype == np.float32
            and len(rows) == sum(len(k.boxes) for k in keyframes)
        )
        return rows if whole else None

    def write(self, video: Path, keyframes: Sequence[Keyframe], rows: np.ndarray) -> None:
        """Keeps the features of a video's boxes, as `find` returns them."""
        path = self._path(video, keyframes)
        write_json(path.with_suffix(".json"), self._describe(video, keyframes))
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.save(file, rows.astype(np.float32, copy=False), allow_pickle=False)

    def _path(self, video: Path, keyframes: Sequence[Keyframe]) -> Path:
        key = hashlib.sha256(
            json.dumps(self._describe(video, keyframes), sort_keys=True).encode()
        ).hexdigest()
        return self.folder / f"{video.stem}-{key[:16]}.npy"

    def _describe(self, video: Path, keyframes: Sequence[Keyframe]) -> dict[str, Any]:
        files = sorted(video.iterdir()) if video.is_dir() else [video]
        states = [(file.name, *_size_and_change(file)) for file in files]
        identity = (
            states[0]
            if len(states) == 1
            else hashlib.sha256(json.dumps(states).encode()).hexdigest()
        )
        boxes = [
            [keyframe.timestamp, [[round(v, 6) for v in box] for box in keyframe.boxes.tolist()]]
            for keyframe in keyframes
        ]
        return {**self._facts, "video": identity, "keyframes": boxes}


def _size_and_change(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_size, state.st_mtime_ns
