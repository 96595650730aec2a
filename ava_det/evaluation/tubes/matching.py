"""Decides which detections are hits, from the overlaps of all pairs; frames and tubes alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Pairs:
    """Holds P pairs of a detection and a ground truth of its class in its frame or video.

    Attributes:
        detections: int64 [P], rising; detections are numbered in the order of matching.
        truths: int64 [P], rising within a detection.
        groups: int64 [P], equal where detections compete for the same ground truth.
        ious: float [P]; NaN is larger than all, as in numpy's argmax, and is never a hit.
        num_detections: D.
    """

    detections: np.ndarray
    truths: np.ndarray
    groups: np.ndarray
    ious: np.ndarray
    num_detections: int


def match(pairs: Pairs, threshold: float, takes_next: bool) -> np.ndarray:
    """Finds the detections that are hits.

    Args:
        pairs: All pairs.
        threshold: The least overlap of a hit.
        takes_next: A rule of `TaskRules`.

    Returns:
        bool [D].
    """
    hits = np.zeros(pairs.num_detections, dtype=bool)
    # a pair below the threshold decides nothing, and NaN keeps its detection from another
    live = np.flatnonzero((pairs.ious >= threshold) | np.isnan(pairs.ious))
    detections, truths, groups = pairs.detections[live], pairs.truths[live], pairs.groups[live]
    values = np.where(np.isnan(pairs.ious[live]), np.inf, pairs.ious[live].astype(np.float64))
    while len(detections):
        starts = np.flatnonzero(np.diff(detections, prepend=-1))
        best = starts + _argmax_of_spans(values, starts)
        best = best[np.isfinite(values[best])]
        if not takes_next:
            _, first = np.unique(truths[best], return_index=True)
            hits[detections[best[first]]] = True
            return hits
        # in each group the first detection that reaches a truth takes it; those before it missed
        taking, first = np.unique(groups[best], return_index=True)
        if not len(taking):
            return hits
        winners = best[first]
        hits[detections[winners]] = True
        place = np.minimum(np.searchsorted(taking, groups), len(taking) - 1)
        open_group = taking[place] == groups
        later = detections > detections[winners][place]
        keep = open_group & later & ~np.isin(truths, truths[winners])
        detections, truths = detections[keep], truths[keep]
        groups, values = groups[keep], values[keep]
    return hits


def _argmax_of_spans(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Returns, for spans that begin at `starts`, where the first largest value is, from 0."""
    sizes = np.diff(starts, append=len(values))
    largest = np.repeat(np.maximum.reduceat(values, starts), sizes)
    places = np.arange(len(values)) - np.repeat(starts, sizes)
    return np.asarray(np.minimum.reduceat(np.where(values == largest, places, len(values)), starts))
