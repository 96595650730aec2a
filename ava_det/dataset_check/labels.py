"""Checks action ids against the label map and the network, and the classes of the splits."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ava_det.dataset_check.findings import ERROR, NOTE, WARNING, Finding, find_rows, quote_first
from ava_det.dataset_check.split_rows import SplitRows
from ava_det.formats.ava_csv import EMPTY_ACTION, EMPTY_BOX, TWO_COLUMNS, AvaRows
from ava_det.formats.ava_csv.opened import open_text

# The 20 of AVA's 80 classes that are not evaluated: rows with these ids are no fault with the label
# map of the 60 evaluated classes.
AVA_NOT_EVALUATED = {2, 16, 18, 19, 21, 23, 25, 31, 32, 33, 35, 39, 40, 42, 44, 50, 53, 55, 71, 75}
AVA_EVALUATED = set(range(1, 81)) - AVA_NOT_EVALUATED
FEW = 10  # a network learns hardly anything from fewer labeled boxes of a class


def check_label_map(label_map: Mapping[int, str], num_classes: int) -> list[Finding]:
    """Checks the label map (names by id) against the network's number of classes."""
    findings = []
    if max(label_map) > num_classes:
        problem = (
            f"the label map has ids up to {max(label_map)}, model.num_classes is {num_classes}"
        )
        findings.append(
            Finding(ERROR, "model.num_classes", problem, f"model.num_classes={max(label_map)}")
        )
    names: dict[str, list[int]] = {}
    for action_id, name in label_map.items():
        names.setdefault(name, []).append(action_id)
    for name, ids in names.items():
        if len(ids) > 1:
            problem = f"{name!r} is the name of the ids {quote_first(ids)}"
            findings.append(
                Finding(
                    WARNING, "label map", problem, "give every action a name of its own", len(ids)
                )
            )
    return findings


def check_labels(split: SplitRows, label_map: Mapping[int, str], num_classes: int) -> list[Finding]:
    """Checks the action ids of a split.

    Finds ids off by one, ids of 0, ids beyond `num_classes`, ids that are not in the label map, and
    boxes without an action.
    """
    rows = split.rows
    zero = _explicit_zeros(rows)
    known = np.isin(rows.action_ids, list(label_map))
    if set(label_map) == AVA_EVALUATED:
        known |= np.isin(rows.action_ids, list(AVA_NOT_EVALUATED))
    labeled = (rows.action_ids != 0) | zero
    unknown = labeled & ~known
    shift = _find_shift(rows.action_ids[labeled], label_map) if unknown.any() else 0
    if shift:
        problem = (
            f"action ids look off by one: with {shift:+d} every id is in the label map "
            f"(found {_ids(rows, unknown)})"
        )
        remedy = f"write id{shift:+d} in every row" + ("; ids count from 1" if shift == 1 else "")
        return find_rows(ERROR, split.name, rows, labeled, problem, remedy)
    findings = find_rows(
        ERROR,
        split.name,
        rows,
        zero,
        "action id 0: ids count from 1",
        "write the id of the label map; empty for none",
    )
    strange = unknown & ~zero
    beyond = strange & ((rows.action_ids < 0) | (rows.action_ids > num_classes))
    listed = f"the label map has ids {min(label_map)} to {max(label_map)}"
    problem = (
        f"action ids outside 1..{num_classes} (model.num_classes): {_ids(rows, beyond)}; {listed}"
    )
    remedy = "write the ids of the label map, or raise model.num_classes and name them there"
    findings += find_rows(ERROR, split.name, rows, beyond, problem, remedy)
    problem = (
        f"action ids that the label map does not name: {_ids(rows, strange & ~beyond)}; {listed}"
    )
    findings += find_rows(
        ERROR,
        split.name,
        rows,
        strange & ~beyond,
        problem,
        "name them in the label map, or fix them",
    )
    bare = split.has_box & (rows.action_ids == 0) & ~zero
    problem = "boxes without an action: training reads them as persons who do none of the actions"
    remedy = "nothing to do if that is true; else label them, or exclude their keyframes"
    return findings + find_rows(WARNING, split.name, rows, bare, problem, remedy)


def _ids(rows: AvaRows, chosen: np.ndarray) -> str:
    return quote_first(np.unique(rows.action_ids[chosen]).tolist())


def _find_shift(action_ids: np.ndarray, label_map: Mapping[int, str]) -> int:
    """Returns +1 or -1 where adding it to every id makes it one of the map, otherwise 0."""
    if set(label_map) == AVA_EVALUATED:
        label_map = dict.fromkeys(range(1, 81), "")
    ids = np.unique(action_ids)
    return next((shift for shift in (1, -1) if np.isin(ids + shift, list(label_map)).all()), 0)


def _explicit_zeros(rows: AvaRows) -> np.ndarray:
    """Finds rows, bool [R], whose action is written as 0: the reader reads empty ones as 0 too."""
    zero: np.ndarray = rows.action_ids == 0
    if not zero.any() or not {EMPTY_ACTION, EMPTY_BOX, TWO_COLUMNS} & rows.forms.keys():
        return zero
    zero_lines = {path: _lines_that_say_zero(path) for path in rows.paths or [rows.path]}
    for row in np.flatnonzero(zero):
        path, line = rows.place(int(row))
        zero[row] = line in zero_lines[path]
    return zero


def _lines_that_say_zero(path: str) -> set[int]:
    with open_text(Path(path)) as file:
        reader = csv.reader(file)
        return {
            reader.line_num for row in reader if len(row) > 6 and row[6].strip() in ("0", "0.0")
        }


def check_classes(splits: Sequence[SplitRows], label_map: Mapping[int, str]) -> list[Finding]:
    """Finds classes without boxes in train or in val, and classes with few boxes."""
    counts = {split.name: count_classes(split) for split in splits if split.name != "test"}
    findings = []
    train = counts.get("train")
    val = counts.get("val")
    if train:
        only_val = [i for i in label_map if not train.get(i) and (val or {}).get(i)]
        nowhere = [i for i in label_map if not train.get(i) and not (val or {}).get(i)]
        rare = [i for i in label_map if 0 < train.get(i, 0) < FEW]
        findings += _class_finding(
            WARNING,
            "train",
            only_val,
            label_map,
            "classes to be scored that training never sees",
            "label some in train, or take them out of the label map",
        )
        findings += _class_finding(
            NOTE,
            "train",
            nowhere,
            label_map,
            "classes without a box anywhere",
            "their AP is undefined; nothing to do",
        )
        findings += _class_finding(
            NOTE,
            "train",
            rare,
            label_map,
            f"classes with fewer than {FEW} boxes",
            "label more of them where it matters",
        )
    if train and val:
        only_train = [i for i in label_map if train.get(i) and not val.get(i)]
        findings += _class_finding(
            NOTE,
            "val",
            only_train,
            label_map,
            "classes without a box in val",
            "no AP is defined for them there",
        )
    return findings


def _class_finding(
    severity: str,
    where: str,
    ids: list[int],
    label_map: Mapping[int, str],
    problem: str,
    remedy: str,
) -> list[Finding]:
    named = quote_first((f"{i} {label_map[i]}" for i in ids), 4)
    return [Finding(severity, where, f"{problem}: {named}", remedy, len(ids))] if ids else []


def count_classes(split: SplitRows) -> dict[int, int]:
    """Counts the labeled boxes of each action id."""
    labeled = split.table.filter(pl.col("action_id") > 0)
    boxes = labeled.unique(
        ["video_id", "timestamp", "x1", "y1", "x2", "y2", "id_or_score", "action_id"]
    )
    return dict(boxes.group_by("action_id").len().iter_rows())
