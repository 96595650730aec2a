r"""Converts published weights of any known format into ours: safetensors with the config inside.

    ava-det convert --weights SLOWFAST_32x2_R101_50_50.pkl --output slowfast.safetensors \
        --config configs/ava/pyslowfast/SLOWFAST_32x2_R101_50_50.yaml

Every entry must fit the config's network; the report says whose names it had.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.checkpoint import (
    load_checkpoint,
    load_weights,
    resolve_weights,
    save_safetensors,
)
from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import config_to_dict, load_config
from ava_det.files import require_other_files
from ava_det.models.build import build_model


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det convert`."""
    parser = ToolParser("ava-det convert", __doc__)
    parser.add_weights("a file, or a name of MODEL_ZOO.md")
    parser.add_argument("--output", metavar="FILE", help="the safetensors file to write")
    parser.add_config("the experiment whose network the weights belong to")
    parser.add_argument("before", nargs="*", help=argparse.SUPPRESS)  # before 0.2: SRC DST
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det convert` and returns its exit code."""
    parser = make_parser()
    args = parser.parse_intermixed_args(argv)
    if len(args.before) == 2:
        args.weights, args.output = args.before
    if args.weights is None or args.output is None or len(args.before) not in (0, 2):
        parser.error("expected --weights and --output")
    if Path(args.output).suffix.lower() != ".safetensors":
        parser.error(
            f"argument --output: expected a file name that ends in .safetensors, which is what is "
            f"written, received {args.output!r}"
        )
    read = {"--weights": resolve_weights(args.weights), "--config": args.config}
    require_other_files({"--output": args.output}, read)
    config = load_config(args.config)
    model = build_model(config)
    report = load_weights(model, args.weights)
    facts = {
        "config": config_to_dict(config),
        "converted_from": Path(args.weights).name,
        "names_of": report.source,
    }
    label_map = load_checkpoint(args.weights).get("label_map")
    if label_map:
        facts["label_map"] = label_map
    save_safetensors(args.output, model.state_dict(), facts)
    print(f"{args.output}: {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
