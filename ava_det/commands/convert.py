r"""Converts published weights of any known format into ours: safetensors with the config inside.

    ava-det convert --weights SLOWFAST_32x2_R101_50_50.pkl --output slowfast.safetensors \
        --config configs/ava/pyslowfast/SLOWFAST_32x2_R101_50_50.yaml

    ava-det convert --weights piergiaj/rgb_imagenet --flow-weights piergiaj/flow_imagenet \
        --output i3d.safetensors --config configs/kinetics/i3d_two_stream.yaml

Every entry must fit the config's network, which key=value may change (model.num_classes=5); the
report says whose names it had. A file for each stream of a two-stream network becomes one of both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, is_override, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det convert`."""
    parser = ToolParser("ava-det convert", __doc__)
    parser.add_weights("a file, a name of MODEL_ZOO.md or hf:user/name")
    parser.add_argument(
        "--flow-weights",
        metavar="FILE|NAME",
        help="of the stream of optical flow, where --weights are of RGB's alone",
    )
    parser.add_argument("--output", metavar="FILE", help="the safetensors file to write")
    parser.add_config("the experiment whose network the weights belong to")
    parser.add_overrides()
    return parser


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line, and ends the program where its options do not fit together."""
    parser = make_parser()
    args: argparse.Namespace = parser.parse_intermixed_args(argv)
    before = [text for text in args.overrides if not is_override(text)]  # before 0.2: SRC DST
    args.overrides = [text for text in args.overrides if text not in before]
    if len(before) == 2:
        args.weights, args.output = before
    if args.weights is None or args.output is None or len(before) not in (0, 2):
        stray = f", found {' '.join(before)}" if before else ""
        parser.error(f"expected --weights and --output, and key=value{stray}")
    if Path(args.output).suffix.lower() != ".safetensors":
        parser.error(
            f"argument --output: expected a file name that ends in .safetensors, which is what is "
            f"written, received {args.output!r}"
        )
    return args


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det convert` and returns its exit code."""
    args = parse_arguments(argv)
    from ava_det.operations.convert import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
