"""Computes the ensemble of result files: weighted means of their scores and boxes.

A file that has no row for a box and action counts as score 0 there, with its whole weight: a person
whom one of two networks sees is half as sure, as in weighted boxes fusion (Solovyev et al. 2021).
On the same boxes, where every file has every row, it is the plain weighted mean of the sigmoids.
Pooled boxes are another matter, see pooling.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ava_det.ensembles.alignment import Alignment, align_members
from ava_det.ensembles.pooling import find_kept
from ava_det.formats.ava_csv import AvaRows
from ava_det.formats.rows import as_decimals


def fuse_rows(
    members: Sequence[AvaRows],
    weights: Sequence[float],
    iou_threshold: float = 0.5,
    pool: bool = False,
) -> AvaRows:
    """Fuses result files; one of weight 0 is left out as if it were absent.

    Args:
        members: Rows of each file, as `check_members` accepts them.
        weights: One of each file, 0 or more; only their ratios count.
        iou_threshold: From which IoU on two boxes that differ may be of one person.
        pool: Whether the surer of such boxes stays, class by class, instead of their mean.

    Returns:
        The rows of the ensemble, as `fuse_aligned` gives them.

    Raises:
        ValueError: There is not one weight for each file, a weight is below 0 or not finite, or all
            are 0; or a file has two rows of one box and action.
    """
    check_weights(weights, len(members))
    used = [place for place, weight in enumerate(weights) if weight > 0]
    aligned = align_members([members[place] for place in used], iou_threshold, pool)
    return fuse_aligned(aligned, [weights[place] for place in used])


def check_weights(weights: Sequence[float], num_members: int) -> None:
    """Raises ValueError unless there is a weight for each member, and one of them above 0."""
    if len(weights) != num_members:
        raise ValueError(
            f"weights: expected one for each of {num_members} files, found {len(weights)}"
        )
    if not all(0 <= weight < np.inf for weight in weights) or not any(weights):
        shown = " ".join(f"{weight:g}" for weight in weights)
        raise ValueError(f"weights: expected numbers of 0 or more and one above 0, found {shown}")


def fuse_aligned(aligned: Alignment, weights: Sequence[float]) -> AvaRows:
    """Computes the weighted means of files that lie side by side.

    Args:
        aligned: M files.
        weights: M numbers above 0.

    Returns:
        A row for each pair of a box and an action, of pooled boxes only those that stay, with
        numbers as a written file holds them: scores of float32, boxes the decimals of float32. A
        box is the weighted mean of the files that have it.
    """
    column = np.asarray(weights, dtype=np.float64)[:, None]
    has_box = ~np.isnan(aligned.boxes)
    boxes = as_decimals(
        torch.from_numpy(_compute_mean(aligned.boxes, np.where(has_box, column[:, :, None], 0.0)))
    )
    if aligned.overlaps is None:
        scores = _compute_mean(aligned.scores, column)
        kept = np.ones(len(scores), dtype=bool)
    else:
        shares = np.where(has_box[:, aligned.box_index, 0], column, 0.0)
        # what a lighter file alone has is as much less sure
        scores = _compute_mean(aligned.scores, shares) * (shares.max(0) / column.max())
        kept = find_kept(aligned, scores)
    place = aligned.box_index[kept]
    return AvaRows(
        aligned.video_names,
        aligned.videos[place],
        aligned.timestamps[place],
        boxes[place],
        aligned.action_ids[kept],
        scores[kept].astype(np.float32).astype(np.float64),
        path="the ensemble",
    )


def _compute_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Computes weighted means over the first axis; a NaN is left out and has weight 0.

    Terms are added in ascending order, so that the order of the files does not reach the last bit,
    and equal values stay what they are.
    """
    terms = np.sort(np.nan_to_num(values * weights), axis=0).sum(0)
    mean = terms / np.sort(weights, axis=0).sum(0)
    kept: np.ndarray = np.clip(mean, np.fmin.reduce(values), np.fmax.reduce(values))
    return kept
