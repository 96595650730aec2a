"""Says whether result files can be fused: scores that are sigmoids, and the same keyframes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ava_det.evaluation.keyframe_numbers import KeyframeNumbers, number_keyframes
from ava_det.formats.ava_csv import AvaRows
from ava_det.formats.rows import check_fractions


def check_members(members: Sequence[AvaRows]) -> None:
    """Checks what is fused: boxes in fractions, scores 0..1, the videos and keyframes of the first.

    A keyframe may be absent from a file, where its detector found nobody; a video may not.

    Args:
        members: Rows of each result file.

    Raises:
        ValueError: A file has no rows, a row is not like these, or files are of other videos or
            keyframes; the sentence names the file, and the line where there is one.
    """
    for rows in members:
        _check_rows(rows)
    frames = number_keyframes([(rows, None) for rows in members])
    first = frames.occurring(0)
    for place in range(1, len(members)):
        _check_keyframes(frames, first, frames.occurring(place), members[0], members[place])


def _check_rows(rows: AvaRows) -> None:
    if not len(rows):
        raise ValueError(f"{rows.path}: expected detections, found no row")
    check_fractions(rows)
    no_box = np.flatnonzero(np.isnan(rows.boxes).any(1))
    if len(no_box):
        raise ValueError(f"{rows.where(no_box[0])}: expected a box, found none")
    wrong = np.flatnonzero(~((rows.scores >= 0) & (rows.scores <= 1)))  # NaN is wrong too
    if len(wrong):
        raise ValueError(
            f"{rows.where(wrong[0])}: expected a score from 0 to 1, as a sigmoid gives it, found "
            f"{rows.scores[wrong[0]]:g}"
        )


def _check_keyframes(
    frames: KeyframeNumbers, first: np.ndarray, other: np.ndarray, a: AvaRows, b: AvaRows
) -> None:
    """Raises ValueError where two files, with their keyframes bool [K], are of different ones."""
    count = len(frames.video_names)
    has_first, has_other, has_common = (
        np.bincount(frames.videos[marked], minlength=count) > 0
        for marked in (first, other, first & other)
    )
    for has, lacks, full, empty in ((has_first, ~has_other, a, b), (has_other, ~has_first, b, a)):
        absent = np.flatnonzero(has & lacks)
        if len(absent):
            raise ValueError(
                f"{empty.path}: expected the videos of {full.path}, found no row of "
                f"{frames.video_names[absent[0]]}"
            )
    apart = np.flatnonzero(has_first & ~has_common)
    if len(apart):
        raise ValueError(
            f"{b.path}: expected the keyframes of {a.path}, found other timestamps alone in "
            f"{frames.video_names[apart[0]]}"
        )


def describe_members(members: Sequence[AvaRows]) -> list[str]:
    """Says which members lack actions that others have, one sentence each."""
    ids = [np.unique(rows.action_ids) for rows in members]
    every = np.unique(np.concatenate(ids))
    sentences = []
    for rows, known in zip(members, ids, strict=True):
        absent = np.setdiff1d(every, known).tolist()
        if absent:
            shown = ", ".join(map(str, absent[:5])) + (", ..." if len(absent) > 5 else "")
            sentences.append(
                f"{rows.path}: no row of {len(absent)} of the {len(every)} actions of all files "
                f"({shown}), which count as score 0 there"
            )
    return sentences
