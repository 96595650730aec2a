r"""Trains an action detector on AVA-format data, then evaluates it.

    ava-det train --config configs/synthetic/slowfast.yaml
    ava-det train --config configs/ava/slowfast_r50_4x16.yaml train.batch_size=16 train.lr=0.025
    torchrun --nproc-per-node 8 -m ava_det train --config configs/ava/slowfast_r50_4x16.yaml
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29400 \
        -m ava_det train --config configs/ava/slowfast_r50_4x16.yaml

Writes into output_dir: config.yaml, environment.json, log.jsonl, checkpoints/, detections.csv,
metrics.json, samples.png, curves.png. --resume goes on from checkpoints/last.pt.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det train`."""
    return make_training_parser("ava-det train", __doc__)


def make_training_parser(
    prog: str, description: str | None, example: str = "configs/synthetic/slowfast.yaml"
) -> ToolParser:
    """Builds a parser with the options of every command that trains.

    Args:
        prog: The command as it is typed.
        description: The docstring of its module.
        example: A config, for --help.
    """
    parser = ToolParser(prog, description)
    parser.add_config(f"the experiment, such as {example}")
    parser.add_argument(
        "--resume", action="store_true", help="go on from output_dir/checkpoints/last.pt"
    )
    parser.add_argument(
        "--eval-only", action="store_true", help="score `weights` on data.val without training"
    )
    parser.add_weights_key("start from these: a file, a name of the model zoo or hf:user/name")
    parser.add_device_key()
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det train` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    from ava_det.operations.train import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
