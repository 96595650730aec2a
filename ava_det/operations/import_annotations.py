"""Does what `ava-det import` does: turns labels of annotation tools into AVA's format."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from ava_det.files import require_other_files
from ava_det.formats.label_map import load_label_map, write_label_map
from ava_det.interchange.action_names import describe_new_names, list_actions
from ava_det.interchange.earlier import SPLITS, check_nothing_lost, load_earlier
from ava_det.interchange.labeled import (
    LabeledBox,
    choose_val_videos,
    number_actions,
    rows_from_labeled,
)
from ava_det.interchange.splits import write_split
from ava_det.operations.read_exports import READERS

logger = logging.getLogger("ava_det")


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det import` and returns its exit code."""
    boxes, declared = READERS[args.command](args)
    print(write_dataset(args, boxes, declared))
    return 0


def write_dataset(
    args: argparse.Namespace, boxes: list[LabeledBox], declared: Sequence[str]
) -> str:
    """Writes the splits and, where it is new, the label map.

    Args:
        args: The options of the command.
        boxes: The imported persons and keyframes.
        declared: Actions that the labels declare, whether anybody does them or not.

    Returns:
        The text to print.

    Raises:
        ValueError: There are no persons, or an action of earlier imports would be lost.
    """
    if not boxes:
        raise ValueError(f"{args.sources[0]}: expected persons on the keyframes, found none")
    require_other_files(
        {"--output": [args.output / "train.csv", args.output / "val.csv"]}, {"FILE": args.sources}
    )
    existing = args.label_map or args.output / "labelmap.pbtxt"
    known = load_label_map(existing) if args.label_map or existing.is_file() else None
    label_map = number_actions(boxes, declared, known)
    earlier = load_earlier(args.output)
    check_nothing_lost(earlier.values(), boxes, known)
    imported = {box.video_id for box in boxes}
    val_videos = choose_val_videos(imported, args.val_share, args.seed)
    if not args.val_share and "val" in earlier:
        val_videos = imported & set(earlier["val"].video_names)  # a video stays in its split
    used = [(action, box.where) for box in boxes for action in box.actions]
    if known is None:
        for sentence in describe_new_names(used, label_map):
            logger.warning(sentence)
        write_label_map(existing, label_map)
    lines = []
    for name in SPLITS:
        chosen = [box for box in boxes if (box.video_id in val_videos) == (name == "val")]
        new = rows_from_labeled(chosen, label_map, keep_unlabeled=name == "train")
        lines += write_split(args.output / f"{name}.csv", new, earlier.get(name), chosen, imported)
    lines.append(f"{existing}: {len(label_map)} actions, model.num_classes={max(label_map)}")
    return "\n".join([*lines, f"actions: {list_actions(used, label_map)}"])
