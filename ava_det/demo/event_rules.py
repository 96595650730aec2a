"""Reads the rules of --events, and refuses those that would write over what is read."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from ava_det.demo.options import EventOptions
from ava_det.events import load_rules
from ava_det.events.rules import JsonLine
from ava_det.files import require_other_files
from ava_det.inference.predictor import Predictor

READ_FILES = ("weights", "config", "boxes", "events")  # options whose files are read


def choose_events(
    args: argparse.Namespace,
    videos: Sequence[Path],
    predictor: Predictor,
    thresholds: Mapping[int, float],
) -> EventOptions | None:
    """Reads the rules of --events; None where there are none.

    Args:
        args: Holds `events`, the file of rules or None, and the other files that are read.
        videos: The files that are watched.
        predictor: Knows the actions.
        thresholds: By action id, the score from which an action is shown.

    Raises:
        ConfigError: The rules cannot be used with this source.
        ValueError: The file is none of rules, or a file they write is one that is read.
    """
    if args.events is None:
        return None
    names = predictor.label_map
    known = {**predictor.thresholds, **thresholds}
    rules = load_rules(args.events, names, known)
    lines = [deed.path for rule in rules for deed in rule.do if isinstance(deed, JsonLine)]
    read = {f"--{name}": getattr(args, name) for name in READ_FILES}
    require_other_files({f"{args.events}: json": lines}, {"--video": videos, **read})
    return EventOptions(rules, names, known)
