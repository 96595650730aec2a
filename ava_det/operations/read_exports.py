"""Reads what `ava-det import` is given: the exports of each annotation tool, and tables."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from tqdm import tqdm

from ava_det.formats.tubes.ground_truth import load_tube_truth
from ava_det.interchange import picture_actions
from ava_det.interchange.action_names import describe_ticked_by_default
from ava_det.interchange.clock import VideoClocks
from ava_det.interchange.coco import load_coco
from ava_det.interchange.cvat import load_cvat
from ava_det.interchange.cvat_actions import (
    boxes_from_task,
    choose_tracks,
    declared_actions,
    default_actions,
    describe_left_out,
    find_doubtful_labels,
)
from ava_det.interchange.cvat_task import LeftOut
from ava_det.interchange.datumaro import load_datumaro
from ava_det.interchange.label_studio import load_label_studio
from ava_det.interchange.label_studio_actions import boxes_from_studio
from ava_det.interchange.labeled import LabeledBox, join_exports
from ava_det.interchange.picture_keyframes import choose_picture_keyframes
from ava_det.interchange.table import load_table
from ava_det.interchange.tube_labels import boxes_from_tubes
from ava_det.interchange.via import load_via
from ava_det.interchange.via_actions import boxes_from_via, find_ticked_by_default, name_options

logger = logging.getLogger("ava_det")

# the persons on the keyframes, and the actions that somebody could have chosen
Labels = tuple[list[LabeledBox], list[str]]


def read_cvat(args: argparse.Namespace) -> Labels:
    """Reads the persons of all exports, and the actions their labels declare."""
    clocks = VideoClocks(args.videos, args.fps, args.start_second)
    sources = []
    declared = []
    left_out: LeftOut = Counter()
    doubtful: dict[str, None] = {}
    for path in tqdm(args.sources, desc="read exports", unit="file"):
        for task in load_cvat(path):
            left_out += choose_tracks(task, args.persons, args.ignore)
            doubtful |= dict.fromkeys(find_doubtful_labels(task, args.person))
            clock = clocks.find(task.video_id, task.path, task.last_frame)
            every = None if args.drawn else args.every
            boxes = boxes_from_task(task, clock, every, args.person, args.ignore)
            sources.append(boxes)
            options = declared_actions(task, args.person, args.ignore)
            declared += options
            by_default = default_actions(task, args.person, args.ignore)
            said = (box.actions for box in boxes)
            if doubt := describe_ticked_by_default(str(path), said, by_default, options):
                logger.warning(doubt)
    _warn_of_doubtful(doubtful)
    if left_out:
        logger.warning(describe_left_out(left_out))
    return join_exports(sources), declared


def read_tables(args: argparse.Namespace) -> Labels:
    """Reads the persons of all tables, which declare no further actions."""
    clocks = VideoClocks(args.videos, args.fps, args.start_second)
    return join_exports(load_table(path, clocks, args.pixels) for path in args.sources), []


def read_via(args: argparse.Namespace) -> Labels:
    """Reads the persons of all projects of VIA 3, and the actions their attributes declare."""
    clocks = VideoClocks(args.videos, args.fps, args.start_second)
    sources = []
    declared: list[str] = []
    left_out: Counter[str] = Counter()
    for path in tqdm(args.sources, desc="read projects", unit="file"):
        project = load_via(path)
        names = name_options(project, args.person, args.ignore)
        declared += names.values()
        boxes = boxes_from_via(
            project, clocks, args.person, args.ignore, args.picture_fps, args.start_second
        )
        sources.append(boxes)
        left_out += project.left_out
        if doubt := find_ticked_by_default(project, names):
            logger.warning(doubt)
    _warn_of_left_out(left_out)
    return join_exports(sources), declared


def read_label_studio(args: argparse.Namespace) -> Labels:
    """Reads the persons of all exports of Label Studio, whose files declare no further actions."""
    clocks = VideoClocks(args.videos, args.fps, args.start_second)
    sources = []
    left_out: Counter[str] = Counter()
    every = None if args.drawn else args.every
    for path in tqdm(args.sources, desc="read exports", unit="file"):
        for task in load_label_studio(path):
            last = max((box.frame for track in task.tracks for box in track.boxes), default=1)
            clock = clocks.find(task.video_id, task.where, int(max(task.num_frames or 0, last)) - 1)
            sources.append(boxes_from_studio(task, clock, every, args.person, args.ignore))
            left_out += task.left_out
            if task.is_draft:
                logger.warning(f"{task.where}: nobody annotated it, its predictions are taken")
            if task.num_frames and abs(task.num_frames / len(clock.seconds) - 1) > 0.01:
                logger.warning(
                    f"{task.where}: Label Studio counted {task.num_frames:g} frames, {clock.name} "
                    f"has {len(clock.seconds)}: boxes are found by their time, not by their frame"
                )
    _warn_of_left_out(left_out)
    return join_exports(sources), []


def read_pictures(args: argparse.Namespace) -> Labels:
    """Reads the persons of files that list pictures, and the actions that these declare."""
    clocks = VideoClocks(args.videos, args.fps, args.start_second)
    if args.picture_fps and args.videos is None:
        raise ValueError(
            "--picture-fps: expected --videos too; without the videos --fps is the pictures' rate"
        )
    load = {"coco": load_coco, "datumaro": load_datumaro}[args.command]
    sources = []
    declared: list[str] = []
    left_out: Counter[str] = Counter()
    doubtful: dict[str, None] = {}
    every = None if args.drawn else args.every
    for path in tqdm(args.sources, desc="read files", unit="file"):
        labels = load(path)
        picture_actions.choose_labels(labels, args.persons, args.ignore)
        doubtful |= dict.fromkeys(picture_actions.find_doubtful_labels(labels, args.person))
        keyframes = choose_picture_keyframes(
            labels, clocks, every, args.first_frame, args.picture_fps
        )
        boxes = picture_actions.boxes_from_pictures(labels, keyframes, args.person, args.ignore)
        sources.append(boxes)
        options = picture_actions.declared_actions(labels, args.person, args.ignore)
        declared += options
        left_out += labels.left_out
        said = (box.actions for box in boxes)
        doubt = describe_ticked_by_default(str(path), said, options[:1], options)
        for sentence in filter(None, [*labels.notes, doubt]):
            logger.warning(sentence)
    _warn_of_doubtful(doubtful)
    _warn_of_left_out(left_out)
    return join_exports(sources), declared


def read_tubes(args: argparse.Namespace) -> Labels:
    """Reads the persons of ground truths of tubes, and the actions that these list."""
    clocks = VideoClocks(args.videos, args.fps, args.start_second)
    sources = []
    declared: list[str] = []
    left_out: Counter[str] = Counter()
    notes: list[str] = []
    for path in args.sources:
        truth = load_tube_truth(path)
        sources.append(boxes_from_tubes(truth, clocks, args.every, left_out, notes))
        declared += truth.labels
    for sentence in notes:
        logger.warning(sentence)
    _warn_of_left_out(left_out)
    return join_exports(sources), declared


def _warn_of_doubtful(labels: Iterable[str]) -> None:
    """Names labels that may be persons and no actions."""
    for label in labels:
        logger.warning(
            f"the label {label!r} has actions as attributes and is taken as an action itself: "
            f"--person {label} where it says who and not what"
        )


def _warn_of_left_out(left_out: Mapping[str, int]) -> None:
    """Names what is no person and no action, with how often it was found."""
    parts = [f"{name} ({count})" for name, count in sorted(left_out.items()) if count]
    if parts:
        logger.warning(f"left out, being no person and no action: {', '.join(parts)}")


READERS: dict[str, Callable[[argparse.Namespace], Labels]] = {
    "via": read_via,
    "label-studio": read_label_studio,
    "cvat": read_cvat,
    "coco": read_pictures,
    "datumaro": read_pictures,
    "gttubes": read_tubes,
    "csv": read_tables,
}
