"""Removes tubes that overlap a better one of their video and class, as evaluators do first."""

from __future__ import annotations

import numpy as np

from ava_det.evaluation.tubes.overlap import compute_tube_overlaps
from ava_det.evaluation.tubes.protocols import TubeProtocol
from ava_det.evaluation.tubes.table import TubeTable


def suppress_tubes(table: TubeTable, settings: TubeProtocol, device: str = "cpu") -> np.ndarray:
    """Finds the tubes that remain.

    The time of a tube always counts here, also under a protocol that ignores it later. An overlap
    that is 0/0 removes a tube, as in the published code.

    Args:
        table: All tubes.
        settings: A protocol with `nms`.
        device: Where boxes are compared.

    Returns:
        int64 [K], indices of the tubes that are kept: by video and class, and there by falling
        score; of equal scores the later in the file comes first.
    """
    assert settings.nms is not None
    order = np.lexsort((-np.arange(len(table)), -table.score, table.label, table.video))
    label, video = table.label[order], table.video[order]
    change = np.flatnonzero((np.diff(label) != 0) | (np.diff(video) != 0)) + 1
    bounds = np.concatenate([[0], change, [len(order)]])
    sizes = np.diff(bounds)
    better, worse = _pairs_within(bounds[:-1], sizes)
    time = "counted two" if settings.time == "ignored" else settings.time
    overlaps = compute_tube_overlaps(
        table, table, order[worse], order[better], settings.video.pixels, device
    ).combine(time)
    keep = np.ones(len(order), dtype=bool)
    close = ~(overlaps <= settings.nms)
    # the better tube of a pair is decided before it is asked
    for first, second in zip(better[close].tolist(), worse[close].tolist(), strict=True):
        if keep[first]:
            keep[second] = False
    return np.asarray(order[keep])


def _pairs_within(starts: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns all pairs i < j of places within each span, by rising i."""
    firsts, seconds = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes).tolist():
        first, second = np.triu_indices(size, 1)
        places = starts[sizes == size][:, None]
        firsts.append((places + first).ravel())
        seconds.append((places + second).ravel())
    return np.concatenate(firsts), np.concatenate(seconds)
