"""Suggests which keyframes to label next: those from which a network learns the most.

    ava-det suggest --config FILE --weights FILE|NAME --videos DIR --output DIR
    ava-det suggest --config FILE --weights FILE --videos DIR --count 50 --format cvat --output DIR

looks at a keyframe every second and chooses those whose persons are unlike all that are labeled, of
whose actions the network is unsure, and whose actions have few examples, spread over the videos;
never one that the config's annotations have. Writes suggestions.csv, suggestions.html, which shows
why each was chosen, and with --format a draft for each video, as `ava-det export-labels` does, with
the suggested keyframes alone. See docs/suggest.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, at_least, interval, reports_mistakes
from ava_det.commands.export_labels import TOOLS


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det suggest`."""
    parser = ToolParser("ava-det suggest", __doc__)
    parser.add_config("the experiment: what is labeled already, and the network of its `weights`")
    parser.add_weights_key("the trained network: a file or a name of the model zoo")
    add = parser.add_argument
    add("--videos", type=Path, required=True, metavar="DIR", help="the videos to choose from")
    add("--count", type=at_least(1), default=50, metavar="N", help="keyframes to suggest (50)")
    persons = parser.add_mutually_exclusive_group()
    parser.add_detector(persons)
    persons.add_argument(
        "--boxes", type=Path, metavar="FILE", help="a box file, whose keyframes are taken too"
    )
    add("--every", type=interval, default=1.0, help="seconds between keyframes (1.0)")
    add("--format", choices=tuple(TOOLS), help="also write drafts for this tool")
    add("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_device_key()
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det suggest` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.suggest import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
