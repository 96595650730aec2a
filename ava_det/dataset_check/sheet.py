"""Chooses the keyframes of the sheet: those with findings, or random ones without findings."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import polars as pl

from ava_det.dataset_check.boxes import PIXELS
from ava_det.dataset_check.examination import Examination
from ava_det.dataset_check.findings import NOTE
from ava_det.dataset_check.overlaps import BOX, KEYFRAME
from ava_det.dataset_check.split_rows import SplitRows
from ava_det.dataset_check.videos import VideoFacts
from ava_det.formats.annotations import format_timestamp
from ava_det.video.folder import open_video
from ava_det.video.reader import VideoError
from ava_det.visualization import LabeledTile

NUM_TILES = 12

Moment = tuple[str, str, float]  # split, video id, timestamp


def choose_tiles(examination: Examination, start_second: float, seed: int = 0) -> list[LabeledTile]:
    """Chooses at most `NUM_TILES` keyframes to draw, of videos that can be read.

    They are those with errors, then those with warnings; random ones where there is no finding that
    a picture could show.

    Args:
        examination: What was found and read.
        start_second: Annotation time, in seconds, of a video's first frame.
        seed: Of the random choice.

    Returns:
        The pictures with their boxes and labels.
    """
    splits = {split.name: split for split in examination.splits}
    chosen = _choose_faulty(examination, splits) or _choose_random(examination, seed)
    tiles = []
    for (name, video_id, timestamp), (reasons, rows) in chosen.items():
        facts = examination.videos[video_id]
        tiles.append(
            _make_tile(
                splits[name],
                facts,
                video_id,
                timestamp,
                reasons,
                rows,
                examination.label_map,
                start_second,
            )
        )
    return tiles


def _choose_faulty(
    examination: Examination, splits: Mapping[str, SplitRows]
) -> dict[Moment, tuple[list[str], set[int]]]:
    """Returns what is wrong, and in which rows, by keyframe.

    Each finding in turn adds a keyframe, until the sheet is full.
    """
    queues = []
    for finding in examination.findings:
        if finding.severity != NOTE and finding.rows:
            rows = splits[finding.split].rows
            moments: dict[Moment, set[int]] = {}
            for row in finding.rows:
                moment = (
                    finding.split,
                    rows.video_names[rows.video_index[row]],
                    round(float(rows.timestamps[row]), 6),
                )
                if moment[1] in examination.videos:
                    moments.setdefault(moment, set()).add(row)
            spread = (
                np.linspace(0, len(moments) - 1, min(NUM_TILES, len(moments))).round().astype(int)
            )
            items = list(moments.items())
            queues.append((finding, [items[index] for index in spread]))
    chosen: dict[Moment, tuple[list[str], set[int]]] = {}
    for turn in range(NUM_TILES):
        for finding, queue in queues:
            if turn < len(queue) and (queue[turn][0] in chosen or len(chosen) < NUM_TILES):
                reasons, faulty = chosen.setdefault(queue[turn][0], ([], set()))
                reasons.append(f"{finding.severity}: {re.split(':|, such as', finding.problem)[0]}")
                faulty |= queue[turn][1]
    return chosen


def _choose_random(examination: Examination, seed: int) -> dict[Moment, tuple[list[str], set[int]]]:
    """Chooses keyframes with boxes, as many of every split and of every video as possible."""
    generator = np.random.default_rng(seed)
    moments: list[Moment] = []
    shown = [split for split in examination.splits if split.has_box.any()]
    for split in shown:
        boxed = split.table.filter(
            split.has_box, pl.col("video_id").is_in(list(examination.videos))
        )
        keyframes = boxed.select(KEYFRAME).unique().sort(KEYFRAME)
        shuffled = keyframes[generator.permutation(len(keyframes))]
        turns = shuffled.with_columns(turn=pl.int_range(pl.len()).over("video_id")).sort(
            "turn", maintain_order=True
        )
        moments += [
            (split.name, *row)
            for row in turns.head(NUM_TILES // len(shown)).select(KEYFRAME).sort(KEYFRAME).rows()
        ]
    return {moment: ([], set()) for moment in moments}


def _make_tile(
    split: SplitRows,
    facts: VideoFacts,
    video_id: str,
    timestamp: float,
    reasons: list[str],
    rows: set[int],
    label_map: Mapping[int, str],
    start_second: float,
) -> LabeledTile:
    """Reads the picture nearest to a keyframe, with the persons, one per distinct box."""
    here = split.table.filter(split.has_box).filter(video_id=video_id, timestamp=timestamp)
    persons = here.group_by(*BOX, "id_or_score", maintain_order=True).agg("row", "action_id")
    boxes = persons.select(BOX).to_numpy().reshape(-1, 4)
    # Boxes in pixels are drawn as pixels, so that one sees whether they fit the person.
    boxes = np.nan_to_num(
        np.where(
            (np.abs(boxes) > PIXELS).any(1, keepdims=True),
            boxes / [facts.width, facts.height, facts.width, facts.height],
            boxes,
        )
    )
    labels = [", ".join(_name(i, label_map) for i in ids) for ids in persons["action_id"].to_list()]
    faulty = np.array(
        [bool(rows & set(person_rows)) for person_rows in persons["row"].to_list()], dtype=bool
    )
    try:
        with open_video(facts.path, start_second) as reader:
            picture = reader.read([timestamp])[0]
    except VideoError:
        picture = None
    title = f"{split.name}  {video_id}  {format_timestamp(timestamp)} s"
    return LabeledTile(
        picture, boxes.clip(-1, 2), labels, faulty, title, "\n".join(sorted(set(reasons)))
    )


def _name(action_id: int, label_map: Mapping[int, str]) -> str:
    if action_id == 0:
        return "no action"
    return f"{label_map.get(action_id, 'not in the label map')} ({action_id})"
