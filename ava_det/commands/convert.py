"""Converts published weights of any known format into ours: safetensors with the config inside.

    ava-det convert SLOWFAST_32x2_R101_50_50.pkl slowfast.safetensors \\
        --config configs/ava/pyslowfast/SLOWFAST_32x2_R101_50_50.yaml

SRC is a file or a name of MODEL_ZOO.md. Every entry must fit the config's network; the report says
whose names it had.
"""

from __future__ import annotations

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
    parser = ToolParser("ava-det convert", __doc__)
    parser.add_argument("source", metavar="SRC", help="a weights file, or a name of the model zoo")
    parser.add_argument("target", metavar="DST", help="the safetensors file to write")
    parser.add_config("the experiment whose network the weights belong to")
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser()
    args = parser.parse_args(argv)
    if Path(args.target).suffix.lower() != ".safetensors":
        parser.error(
            f"argument DST: expected a file name that ends in .safetensors, which is what is "
            f"written, received {args.target!r}"
        )
    require_other_files(
        {"DST": args.target}, {"SRC": resolve_weights(args.source), "--config": args.config}
    )
    config = load_config(args.config)
    model = build_model(config)
    report = load_weights(model, args.source)
    facts = {
        "config": config_to_dict(config),
        "converted_from": Path(args.source).name,
        "names_of": report.source,
    }
    label_map = load_checkpoint(args.source).get("label_map")
    if label_map:
        facts["label_map"] = label_map
    save_safetensors(args.target, model.state_dict(), facts)
    print(f"{args.target}: {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
