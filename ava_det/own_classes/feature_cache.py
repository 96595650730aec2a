"""Keeps features of boxes on disk, so that they are computed once.

A folder holds two files a video: `VIDEO-KEY.npy`, float32 [N, D], which is read memory-mapped, and
`VIDEO-KEY.json`, which says what its rows are. KEY is a hash of everything the features depend on:
the weights and their settings, the video file (its size and when it was changed), the keyframes and
their boxes. Labels are not part of it: after relabeling nothing is computed again; after a change
of a box, only the features of that video are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ava_det.files import atomic_path, write_json
from ava_det.structures import Keyframe

FORMAT = 1  # raise it when the same weights and clips give other features


def hash_weights(tensors: Mapping[str, Tensor]) -> str:
    """Hashes names, shapes and values of weights, whatever file they came from.

    Returns:
        SHA-256 as hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {list(tensor.shape)} {tensor.dtype} ".encode())
        digest.update(
            tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()


class FeatureCache:
    """Finds and writes features of boxes in a folder.

    Args:
        folder: Where the features lie; it is made when the first are written.
        facts: What features depend on beside the clips, as JSON values: the hash of the weights,
            sizes, frame grid.
    """

    def __init__(self, folder: str | Path, facts: Mapping[str, object]):
        self.folder = Path(folder)
        self._facts = {"format": FORMAT, **facts}

    def find(self, video: Path, keyframes: Sequence[Keyframe]) -> np.ndarray | None:
        """Finds the features of a video's boxes.

        Args:
            video: The video file, or folder of pictures.
            keyframes: The video's keyframes with their boxes.

        Returns:
            float32 [N, D], memory-mapped, one row for each box of `keyframes` in order, NaN where
            the clip could not be read; None if there are no features yet.
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
        """Writes the features of a video's boxes.

        Args:
            video: The video file, or folder of pictures.
            keyframes: The video's keyframes with their boxes.
            rows: Float [N, D], as `find` returns them.
        """
        path = self._path(video, keyframes)
        write_json(path.with_suffix(".json"), self._describe(video, keyframes))
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.save(file, rows.astype(np.float32, copy=False), allow_pickle=False)

    def _path(self, video: Path, keyframes: Sequence[Keyframe]) -> Path:
        key = hashlib.sha256(
            json.dumps(self._describe(video, keyframes), sort_keys=True).encode()
        ).hexdigest()
        return self.folder / f"{video.stem}-{key[:16]}.npy"

    def _describe(self, video: Path, keyframes: Sequence[Keyframe]) -> dict[str, object]:
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
