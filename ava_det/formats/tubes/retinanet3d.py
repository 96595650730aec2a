"""Reads the forms of 3D-RetinaNet: its ground truth of UCF101-24, and the tubes it detected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.formats.tubes.structures import Tube, TubeTruth

_UCF24_SIZE = (240, 320)  # height and width of all of its videos


def is_retinanet3d_truth(content: Any) -> bool:
    """Returns whether the content of a pickle is 3D-RetinaNet's ground truth of UCF101-24."""
    return isinstance(content, dict) and {"classes", "trainvideos", "db"} <= set(content)


def truth_of_retinanet3d(path: str | Path, content: dict[str, Any]) -> TubeTruth:
    """Reads `classes`, `trainvideos` and `db` into ground truth.

    A tube has `sf` and `ef`, of which the frames sf + 1 .. ef are labeled, and `boxes` in pixels.

    Raises:
        ValueError: A tube is of another form.
    """
    tubes = {}
    for video, entry in content["db"].items():
        found = []
        for number, tube in enumerate(entry["annotations"]):
            boxes = np.asarray(tube["boxes"])
            frames = np.arange(int(tube["sf"]) + 1, int(tube["ef"]) + 1)
            if boxes.shape != (len(frames), 4):
                raise ValueError(
                    f"{path}: db[{video!r}]: annotation {number}: expected {len(frames)} boxes for "
                    f"sf {tube['sf']} and ef {tube['ef']}, found {list(boxes.shape)}"
                )
            kind = np.float32 if boxes.dtype == np.float32 else np.float64
            found.append(Tube(str(video), int(tube["label"]), frames, boxes.astype(kind)))
        tubes[str(video)] = tuple(found)
    train = {str(video) for video in content["trainvideos"]}
    counts = {
        video: int(content["db"][video].get("numf", _last_frame(found)))
        for video, found in tubes.items()
    }
    return TubeTruth(
        tuple(str(name) for name in content["classes"]),
        (tuple(video for video in tubes if video in train),),
        (tuple(video for video in tubes if video not in train),),
        counts,
        dict.fromkeys(tubes, _UCF24_SIZE),
        tubes,
        str(path),
    )


def _last_frame(tubes: tuple[Tube, ...] | list[Tube]) -> int:
    return max((int(tube.frames[-1]) for tube in tubes), default=0)


def tubes_of_retinanet3d(path: str | Path, content: Any, label_type: str | None) -> Iterator[Tube]:
    """Reads detected tubes: {label type: {video: [{frames, boxes, scores, label_id, score}]}}.

    Args:
        path: The file, for messages.
        content: Of the pickle.
        label_type: Which kind of labels to read; None where the file has one.

    Raises:
        ValueError: There are several kinds and none is chosen, or a tube is of another form.
    """
    kinds = [str(kind) for kind in content]
    if label_type is None and len(kinds) > 1:
        raise ValueError(f"{path}: expected --label-type, one of {', '.join(kinds)}")
    chosen = kinds[0] if label_type is None else label_type
    if chosen not in content:
        raise ValueError(f"{path}: expected one of the label types {', '.join(kinds)}: {chosen}")
    for video, tubes in content[chosen].items():
        for number, tube in enumerate(tubes):
            where = f"{path}: {chosen}: {video!r}: tube {number}"
            if not isinstance(tube, dict) or not {"frames", "boxes", "label_id", "score"} <= set(
                tube
            ):
                raise ValueError(f"{where}: expected frames, boxes, label_id and score")
            frames = np.asarray(tube["frames"]).astype(np.int64).reshape(-1)
            boxes = np.asarray(tube["boxes"])
            if boxes.shape != (len(frames), 4) or not len(frames) or (np.diff(frames) <= 0).any():
                raise ValueError(f"{where}: expected rising frames [n] and boxes [n, 4]")
            kind = np.float32 if boxes.dtype == np.float32 else np.float64
            yield Tube(
                str(video), int(tube["label_id"]), frames, boxes.astype(kind), float(tube["score"])
            )
