"""Checks a config's annotations, videos and boxes: what is wrong, where, and how to fix it.

    ava-det check --config configs/mini_ava/slowfast.yaml
    ava-det check --config your.yaml data.start_second=900 --sheet sheet.png

Exit code 1 where something would spoil training or evaluation, 0 otherwise, 2 for a mistake in the
command or config. The sheet, a picture or a page, shows the keyframes with faults, or random ones
where there are none: look whether boxes and labels fit.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det check`."""
    parser = ToolParser("ava-det check", __doc__)
    parser.add_config("the experiment whose data is checked")
    parser.add_argument(
        "--sheet",
        metavar="FILE",
        help="draw the keyframes with faults, or random ones: a .png, or an .html page that holds "
        "the findings too",
    )
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det check` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.check import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
