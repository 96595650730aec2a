"""Trains a head for your own classes on a frozen network, in minutes, on a CPU.

    ava-det train-head --config configs/mini_ava/slowfast.yaml --weights FILE|NAME
    ava-det train-head --config FILE --weights FILE|NAME --table features.csv
    ava-det train-head --config FILE --weights FILE|NAME model.roi_hidden_layer=true

The network's features are computed once and kept. Writes into output_dir/head: features/ (where
they are kept), checkpoints/last.pt (the whole network with the new head, which ava-det test and
demo load), detections.csv and metrics.json (labeled boxes of data.val). See docs/own_classes.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det train-head`."""
    parser = ToolParser("ava-det train-head", __doc__)
    parser.add_config("the experiment: its data and the network of its `weights`")
    parser.add_argument(
        "--table", type=Path, help="also write every box with its labels and its nearest box, a CSV"
    )
    parser.add_weights_key(
        "the trained network to put a head on: a file, a name of the model zoo or hf:user/name"
    )
    parser.add_device_key()
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det train-head` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.train_head import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
