"""Reads and writes folders of optical flow in the form of dense_flow, TSN and MMAction2.

A folder holds flow_x_00001.jpg and flow_y_00001.jpg, ...: u and v of the pair of the first and the
second frame, coded (coding.py) and gray. Ours has the facts of its flow beside them, in flow.json.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ava_det.files import write_json
from ava_det.files.atomic import name_temporary, remove_begun
from ava_det.flow.coding import decode_flow, encode_flow

FACTS = "flow.json"
JPEG_QUALITY = 95  # OpenCV's default, with which dense_flow writes
COMPONENT = re.compile(r"flow_([xy])_(\d+)\.jpe?g", re.IGNORECASE)


class FlowFolder:
    """Reads the coded optical flow of one video.

    Args:
        folder: The folder. Other files in it, such as img_00001.jpg, are passed over.
        flow_range: The range of the coding, pixels a step; None takes that of flow.json, which only
            folders of `ava-det flow` have.

    Attributes:
        facts: What flow.json says, empty without one.
        flow_range: The range of the coding, pixels a step.

    Raises:
        ValueError: The folder holds no flow, a field is missing, or its range is unknown or another
            one.
    """

    def __init__(self, folder: str | Path, flow_range: float | None = None) -> None:
        self.path = Path(folder)
        self._names = _find_components(self.path)
        self.facts = _read_facts(self.path)
        coded: float | None = self.facts.get("flow_range")
        known = coded if flow_range is None else flow_range
        if known is None:
            raise ValueError(
                f"{self.path}: expected {FACTS} with the range of its flow, or the range to be "
                "given, such as 20 for folders of dense_flow -b 20"
            )
        if coded is not None and known != coded:
            raise ValueError(
                f"{self.path / FACTS}: its flow has the range {coded:g}, expected {known:g}"
            )
        self.flow_range = float(known)

    def __len__(self) -> int:
        return len(self._names)

    def read_coded(self, indices: Sequence[int]) -> np.ndarray:
        """Reads fields as they are coded.

        Args:
            indices: [T], pairs counted from 0.

        Returns:
            uint8 [2, T, H, W].

        Raises:
            ValueError: A picture cannot be read.
        """
        fields = [[self._load(name) for name in self._names[index]] for index in indices]
        return np.stack([np.stack(component) for component in zip(*fields, strict=True)])

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Reads fields as float32 [2, T, H, W], pixels a step; see `read_coded`."""
        return decode_flow(self.read_coded(indices), self.flow_range)

    def _load(self, name: str) -> np.ndarray:
        content = np.fromfile(self.path / name, dtype=np.uint8)
        picture: np.ndarray | None = (
            cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if len(content) else None
        )
        if picture is None:
            raise ValueError(f"{self.path / name}: expected a whole JPEG picture")
        return picture


def is_flow_folder(folder: Path) -> bool:
    """Returns whether a folder was written whole by `write_flow_folder`."""
    return (folder / FACTS).is_file()


def write_flow_folder(
    folder: Path, fields: Iterable[tuple[float, np.ndarray]], facts: Mapping[str, Any]
) -> None:
    """Writes the flow of a video, whole or not at all.

    Args:
        folder: The folder to write.
        fields: Of each pair the time of its first frame, in seconds, and float32 [2, H, W], pixels
            a step.
        facts: How the flow was computed; `flow_range` is the range it is coded with. Width, height
            and the times are added.

    Raises:
        ValueError: `folder` exists and holds something else, or there is no pair.
    """
    if folder.exists():
        raise ValueError(
            f"{folder}: is there already, and no flow of this command (it has no {FACTS}): remove "
            "it or choose another --output"
        )
    seconds: list[float] = []
    with _whole_folder(folder) as partial:
        height = width = 0
        for number, (moment, flow) in enumerate(fields, 1):
            height, width = flow.shape[1:]
            for axis, picture in zip("xy", encode_pictures(flow, facts["flow_range"]), strict=True):
                (partial / f"flow_{axis}_{number:05d}.jpg").write_bytes(picture)
            seconds.append(round(moment, 6))
        if not seconds:
            raise ValueError(f"{folder.name}: expected two frames or more, found fewer")
        write_json(partial / FACTS, {**facts, "width": width, "height": height, "seconds": seconds})


def encode_pictures(flow: np.ndarray, flow_range: float) -> tuple[bytes, bytes]:
    """Codes a field, float32 [2, H, W], as two gray JPEG pictures, u and v."""
    u, v = (
        cv2.imencode(".jpg", component, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
        for component in encode_flow(flow, flow_range)
    )
    return u, v


@contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """Yields a hidden folder beside `folder`, which takes its name if the block ends without error.

    Those that killed processes left are removed first.
    """
    remove_begun(folder)
    partial = name_temporary(folder)
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in partial.iterdir():  # on disk before the name changes, see `atomic_path`
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        facts = None
    coded = facts.get("flow_range") if isinstance(facts, dict) else None
    if not isinstance(facts, dict) or not isinstance(coded, int | float) or coded <= 0:
        raise ValueError(f"{path}: expected the facts of optical flow, with its flow_range")
    return facts


def _find_components(folder: Path) -> list[tuple[str, str]]:
    """Returns the file names of u and v of each pair, by their numbers, which begin at 0 or 1."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder of optical flow")
    names: dict[str, dict[int, str]] = {"x": {}, "y": {}}
    for match in map(COMPONENT.fullmatch, os.listdir(folder)):
        if match:
            names[match[1].lower()][int(match[2])] = match[0]
    numbers = sorted({*names["x"], *names["y"]})
    if not numbers:
        raise ValueError(f"{folder}: expected flow_x_00001.jpg, flow_y_00001.jpg, ... in it")
    first = min(numbers[0], 1)
    for number in range(first, numbers[-1] + 1):
        for axis, found in names.items():
            if number not in found:
                raise ValueError(f"{folder}: flow_{axis}_{number:05d}.jpg is missing")
    return [(names["x"][number], names["y"][number]) for number in numbers]
