"""Shares the trained weights of a run through the Hugging Face Hub.

    ava-det push outputs/run --repo user/name --private
    ava-det push outputs/run --repo user/name --revision v2 --license cc-by-4.0

Uploaded are checkpoints/last.pt as safetensors, the config, the names of the actions and their
thresholds, metrics.json and a model card made of them. hf:user/name, or hf:user/name@revision, is
then a name of these weights. Who may upload is known from `hf auth login` or HF_TOKEN. Needs
huggingface_hub: pip install 'ava_det[hub]'. See docs/sharing.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det push`."""
    parser = ToolParser("ava-det push", __doc__)
    parser.add_argument(
        "run", type=Path, metavar="RUN_DIR", help="the output_dir of a training, or its head/"
    )
    parser.add_argument(
        "--repo",
        required=True,
        metavar="USER/NAME",
        help="the repository; it is made where it is missing",
    )
    parser.add_argument(
        "--private", action="store_true", help="in a repository that others cannot see"
    )
    parser.add_argument("--revision", metavar="BRANCH", help="the branch to upload to (main)")
    parser.add_argument(
        "--license",
        metavar="ID",
        default="unknown",
        help="license of the weights as the hub names it, such as apache-2.0 (unknown)",
    )
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det push` and returns its exit code."""
    args: argparse.Namespace = make_parser().parse_args(argv)
    from ava_det.operations.push import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
