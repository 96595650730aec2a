"""Scores detections of some movies under every protocol, against the same movies' ground truth."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ava_det.evaluation import PROTOCOLS, evaluate_rows
from ava_det.evaluation.metrics import ProtocolResult, Refusal
from ava_det.formats.annotations import AvaRows
from ava_det.structures import KeyframeKey


def select_videos(rows: AvaRows, video_ids: Collection[str]) -> AvaRows:
    """Selects the rows of some videos, with their line numbers in the file."""
    wanted = np.array([name in video_ids for name in rows.video_names], dtype=bool)
    kept = np.flatnonzero(wanted[rows.video_index])
    lines = np.arange(1, len(rows) + 1) if rows.lines is None else rows.lines
    return AvaRows(
        rows.video_names,
        rows.video_index[kept],
        rows.timestamps[kept],
        rows.boxes[kept],
        rows.action_ids[kept],
        rows.ids_or_scores[kept],
        rows.path,
        lines[kept],
        rows.forms,
        rows.repairs,
        rows.row_noun,
        rows.paths,
        None if rows.path_index is None else rows.path_index[kept],
    )


def score_protocols(
    annotations: AvaRows,
    detections: AvaRows,
    label_map: Mapping[int, str],
    excluded: Collection[KeyframeKey],
    protocols: Sequence[str],
) -> dict[str, ProtocolResult]:
    """Scores detections under several protocols.

    Args:
        annotations: Rows of the ground truth.
        detections: Rows of the results.
        label_map: The evaluated classes, action id -> name.
        excluded: Keyframes of the exclusion list.
        protocols: Names from `PROTOCOLS`.

    Returns:
        Protocol -> its result, or its refusal of the rows.
    """
    results: dict[str, ProtocolResult] = {}
    for name in protocols:
        keys = excluded if PROTOCOLS[name].exclusion != "nothing" else frozenset()
        try:
            results[name] = evaluate_rows(annotations, detections, label_map, keys, name).result
        except ValueError as error:
            results[name] = Refusal(str(error))
    return results
