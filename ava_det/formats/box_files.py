"""Reads and writes the person boxes of keyframes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ava_det.formats.ava_csv import AvaRows, load_box_rows, write_rows
from ava_det.formats.box_lists import is_json, load_json_boxes
from ava_det.formats.proposal_pickle import is_pickle, load_proposals
from ava_det.formats.rows import check_fractions
from ava_det.formats.timestamps import format_timestamp
from ava_det.structures import KeyframeKey, PersonBoxes, Persons, timestamp_key


def load_boxes(path: str | Path, min_score: float) -> dict[KeyframeKey, Persons]:
    """Reads the person boxes of a file.

    The file is a CSV with the score in column 8 (ours, and the lists of the Long-Term Feature Banks
    and PySlowFast, whose column 7 is empty, -1 or an action id), or a pickle or JSON of another
    project; its first bytes decide which. A box written several times in a keyframe (per action)
    is kept once, with its first score.

    Args:
        path: The file.
        min_score: Boxes with a lower score are dropped.

    Returns:
        Boxes float32 [N, 4], xyxy in fractions of the frame, and scores [N], by keyframe.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A row is no box, or its score is no score (0..1, and not a person id).
    """
    path = Path(path)
    if path.is_file() and is_pickle(path):
        rows = load_proposals(path)
    elif path.is_file() and is_json(path):
        rows = load_json_boxes(path)
    else:
        rows = load_box_rows(path)
    check_fractions(rows)
    absent = np.flatnonzero(np.isnan(rows.boxes).any(1))
    if len(absent):
        raise ValueError(f"{rows.where(absent[0])}: expected a box x1,y1,x2,y2, found none")
    _check_scores(rows)
    keys = {time: timestamp_key(time) for time in np.unique(rows.timestamps).tolist()}
    scores_by_key: dict[tuple[str, str], dict[tuple[float, ...], float]] = {}
    columns = (rows.video_index, rows.timestamps, rows.boxes, rows.scores)
    for video, timestamp, box, score in zip(*(column.tolist() for column in columns), strict=True):
        if score >= min_score:
            scores_by_key.setdefault((rows.video_names[video], keys[timestamp]), {}).setdefault(
                tuple(box), score
            )
    return {
        KeyframeKey(*key): Persons(
            torch.tensor(list(boxes), dtype=torch.float32),
            torch.tensor(list(boxes.values()), dtype=torch.float32),
        )
        for key, boxes in scores_by_key.items()
    }


def load_box_files(paths: Sequence[str | Path], min_score: float) -> dict[KeyframeKey, Persons]:
    """Reads one or more box files, whose keyframes make one list.

    Args:
        paths: The files, each as for `load_boxes`.
        min_score: Boxes with a lower score are dropped.

    Returns:
        Boxes and scores by keyframe.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A row is no box, or a keyframe is in two of the files.
    """
    person_boxes: dict[KeyframeKey, Persons] = {}
    origin: dict[KeyframeKey, str | Path] = {}
    for path in paths:
        boxes = load_boxes(path, min_score)
        shared = next((key for key in boxes if key in origin), None)
        if shared is not None:
            keyframe = f"{shared.video_id},{format_timestamp(float(shared.timestamp))}"
            raise ValueError(
                f"{path}: has boxes of the keyframe {keyframe}, and so has {origin[shared]}: "
                "expected each keyframe in one box file"
            )
        person_boxes |= boxes
        origin |= dict.fromkeys(boxes, path)
    return person_boxes


def _check_scores(rows: AvaRows) -> None:
    """Raises ValueError for a column 8 that holds no scores.

    In annotations it holds person ids, and those of two persons are 0 and 1.
    """
    scores = rows.scores
    wrong = np.flatnonzero(~((scores >= 0) & (scores <= 1 + 1e-6)))
    if not len(wrong) and len(scores) and (scores % 1 == 0).all() and not (scores == 1).all():
        wrong = np.flatnonzero(scores == 0)
    if len(wrong):
        raise ValueError(
            f"{rows.where(wrong[0])}: expected a person's score from 0 to 1 in column 8, "
            f"found {scores[wrong[0]]:g}; annotations have person ids there, which are no scores"
        )


def write_boxes(path: str | Path, boxes: PersonBoxes) -> None:
    """Writes a CSV that `load_boxes` reads, whole or not at all."""
    counts = [len(scores) for _, scores in boxes.values()]
    video_ids = np.array([video_id for video_id, _ in boxes], dtype=object).repeat(counts)
    timestamps = np.array([format_timestamp(float(key)) for _, key in boxes], dtype=object).repeat(
        counts
    )
    all_boxes = [
        np.zeros((0, 4), np.float32),
        *(value.cpu().float().numpy() for value, _ in boxes.values()),
    ]
    all_scores = [
        np.zeros(0, np.float32),
        *(scores.cpu().float().numpy() for _, scores in boxes.values()),
    ]
    write_rows(
        path, video_ids, timestamps, np.concatenate(all_boxes), None, np.concatenate(all_scores)
    )
