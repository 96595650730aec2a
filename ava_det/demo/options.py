"""Defines the demo's command line, and interprets the texts of its options."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ava_det.cli import ToolParser, count, count_from_zero, interval
from ava_det.config import ConfigError
from ava_det.detectors.registry import DETECTORS
from ava_det.export import RUNTIMES
from ava_det.inference.pretrained import DEFAULT_ACTION_WEIGHTS
from ava_det.visualization import shorten_names

SUFFIXES = {"output": ".mp4", "csv": ".csv", "json": ".jsonl", "sheet": ".png"}


def make_parser(prog: str, description: str | None) -> ToolParser:
    """Builds the parser of the demo's command line.

    Args:
        prog: Name of the program.
        description: Shown by --help.
    """
    parser = ToolParser(prog, description)
    _add_source(parser)
    _add_results(parser)
    _add_network(parser)
    _add_persons(parser)
    _add_times(parser)
    _add_actions(parser)
    parser.add_device_key()
    parser.add_overrides()
    return parser


def _add_source(parser: ToolParser) -> None:
    """Adds the options of what is read."""
    parser.add_argument(
        "--video",
        required=True,
        help="a file, a folder, a glob in quotes, a webcam's number, an RTSP or HTTP URL",
    )
    parser.add_argument(
        "--recursive",
        action="store_true",
        help="read folders within the folder --video too; results keep their places",
    )
    parser.add_argument(
        "--stream",
        type=count_from_zero,
        help="which video stream of the file, from 0 (default: the first that is no picture)",
    )


def _add_results(parser: ToolParser) -> None:
    """Adds the options of what is written and shown."""
    add = parser.add_argument
    add(
        "--output",
        type=Path,
        help="the overlay, an .mp4 file (H.264); a folder where --video is several",
    )
    add("--csv", type=Path, help="every score, as an AVA result CSV; a folder for several")
    add("--json", type=Path, help="JSON lines, an object per keyframe; a folder for several")
    add("--sheet", type=Path, help="a contact sheet, a .png file; a folder for several")
    add(
        "--show",
        action="store_true",
        help="show the overlay in a window (needs opencv-python, not headless)",
    )


def _add_network(parser: ToolParser) -> None:
    """Adds the options of the network."""
    parser.add_weights(
        f"a checkpoint, or a name of the model zoo ({DEFAULT_ACTION_WEIGHTS})",
        default=DEFAULT_ACTION_WEIGHTS,
    )
    parser.add_config(
        "the experiment the weights were trained by (default: what they carry or ships with them)",
        required=False,
    )
    add = parser.add_argument
    add("--runtime", choices=("torch", *RUNTIMES), default="torch", help="of an exported --weights")
    add(
        "--label-map",
        type=Path,
        metavar="PBTXT",
        help="names of the actions (default: what the weights carry)",
    )


def _add_persons(parser: ToolParser) -> None:
    """Adds the options of where persons come from."""
    persons = parser.add_mutually_exclusive_group()
    parser.add_detector(DETECTORS, persons)
    persons.add_argument(
        "--boxes", metavar="FILE", help="a box file, whose keyframes are taken too"
    )


def _add_times(parser: ToolParser) -> None:
    """Adds the options of which times are processed."""
    add = parser.add_argument
    add("--every", type=interval, default=1.0, help="seconds between predictions (default: 1.0)")
    add("--start", type=moment, default=0.0, help="seconds of the file to begin at (0)")
    add("--end", type=moment, default=math.inf, help="seconds of the file to end at (its end)")
    add(
        "--smooth",
        type=moment,
        default=0.0,
        help="average each person's scores over so many seconds (0, not at all)",
    )


def _add_actions(parser: ToolParser) -> None:
    """Adds the options of which actions are shown."""
    add = parser.add_argument
    add(
        "--threshold",
        metavar="SCORE[,ACTION=SCORE...]",
        help="show actions of at least this score (default: those of the checkpoint, or 0.5)",
    )
    add("--topk", type=count, default=5, help="show at most so many actions a person (5)")
    add("--classes", metavar="ACTION,...", help="these actions only, by id or name (default: all)")


def parse_arguments(parser: ToolParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line, and ends the program where options do not fit together.

    Args:
        parser: As `make_parser` builds it.
        argv: The arguments, or None for those of the program.
    """
    args: argparse.Namespace = parser.parse_intermixed_args(argv)
    if not any((args.output, args.csv, args.json, args.sheet, args.show)):
        parser.error("expected at least one of --output, --csv, --json, --sheet, --show")
    if args.end <= args.start:
        parser.error(
            f"argument --end: expected more than --start = {args.start:g}, received {args.end:g}"
        )
    if args.threshold is not None:
        try:
            parse_thresholds(args.threshold)
        except ValueError as error:
            parser.error(f"argument --threshold: {error}")
    return args


def moment(text: str) -> float:
    """Parses a number of seconds, 0 or more."""
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(
            f"expected a number of seconds, 0 or more, received {text!r}"
        )
    return value


def parse_thresholds(text: str) -> tuple[float | None, dict[str, float]]:
    """Parses a text such as `0.4,walk=0.7,12=0.6`.

    Returns:
        The score for all actions, None where it is not given, and those of single actions.

    Raises:
        ValueError: A part is not a score in 0..1, alone or as ACTION=SCORE.
    """
    overall = None
    single = {}
    for part in text.split(","):
        action, equals, score = part.rpartition("=")
        try:
            value = float(score)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            raise ValueError(f"expected a score 0..1, alone or as ACTION=SCORE, received {part!r}")
        if equals:
            single[action] = value
        else:
            overall = value
    return overall, single


def choose_actions(classes: str | None, label_map: Mapping[int, str]) -> dict[int, str]:
    """Returns the part of a label map that --classes names; all of it for None.

    Raises:
        ConfigError: The label map has no such action.
    """
    if classes is None:
        return dict(label_map)
    wanted = {find_action(text, label_map, "--classes") for text in classes.split(",")}
    return {action_id: name for action_id, name in label_map.items() if action_id in wanted}


def choose_thresholds(
    text: str | None, label_map: Mapping[int, str], stored: Mapping[int, float]
) -> dict[int, float]:
    """Returns the score from which each action is shown: that of --threshold, else the stored one.

    Args:
        text: Of --threshold, or None.
        label_map: Action id to name.
        stored: Action id to score.

    Raises:
        ConfigError: The label map has no such action.
    """
    overall, single = parse_thresholds(text) if text is not None else (None, {})
    chosen = {
        action_id: stored[action_id] if overall is None else overall for action_id in label_map
    }
    return chosen | {
        find_action(action, label_map, "--threshold"): score for action, score in single.items()
    }


def find_action(text: str, label_map: Mapping[int, str], option: str) -> int:
    """Finds the id of an action by its id, its name, or its name without what stands in brackets.

    Args:
        text: The id or name.
        label_map: Action id to name.
        option: Named in the error.

    Raises:
        ConfigError: The label map has no such action.
    """
    wanted = text.strip()
    if wanted.isdecimal() and int(wanted) in label_map:
        return int(wanted)
    for names in (label_map, shorten_names(label_map)):
        for action_id, name in names.items():
            if name.lower() == wanted.lower():
                return action_id
    raise ConfigError(
        f"{option}: expected an action's id or name of the label map, received {text!r}"
    )
