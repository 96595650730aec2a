r"""Exports a trained network for onnxruntime or OpenVINO and checks that its outputs stay the same.

    ava-det export --config configs/synthetic/slowfast.yaml \
        --weights outputs/quickstart/checkpoints/last.pt --format onnx --output slowfast.onnx
    ava-det test --config configs/synthetic/slowfast.yaml --weights slowfast.onnx --runtime onnx

    ava-det export --config configs/synthetic/slowfast.yaml \
        --weights outputs/quickstart/checkpoints/last.pt --format openvino \
        --precision int8 --calibrate configs/synthetic/slowfast.yaml --output slowfast.xml

Any number of clips and boxes, any height and width; the number of frames is the config's. See
docs/export.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.choices import EXPORT_FORMATS, EXPORT_PRECISIONS
from ava_det.cli import ToolParser, reports_mistakes


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det export`."""
    parser = ToolParser("ava-det export", __doc__)
    parser.add_config("the experiment the weights were trained by")
    parser.add_weights("a checkpoint, a name of the model zoo or hf:user/name", required=True)
    parser.add_argument("--format", required=True, choices=tuple(EXPORT_FORMATS))
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="an .onnx file, or OpenVINO's .xml (with a .bin beside it)",
    )
    parser.add_argument(
        "--precision",
        type=stored_precision,
        choices=EXPORT_PRECISIONS,
        default="fp32",
        help="data type of the stored weights (fp32); auto: fp16 where this device computes it "
        "natively and faster; int8: weights and activations, written only where that pays",
    )
    parser.add_argument(
        "--calibrate",
        metavar="CONFIG",
        help="for int8: the config whose train clips set the ranges of activations, and whose val "
        "clips judge the file",
    )
    parser.add_argument(
        "--video", type=Path, help="compare on this video too; default: the first of data.video_dir"
    )
    parser.add_overrides()
    return parser


def stored_precision(text: str) -> str:
    """Returns the text; bf16, which no file stores, is refused with what does it."""
    if text == "bf16":
        raise argparse.ArgumentTypeError(
            "expected auto, fp32, fp16 or int8, received 'bf16': files store no bfloat16, OpenVINO "
            "computes in it where a file runs with precision=bf16"
        )
    return text


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line, and ends the program where its options do not fit together."""
    parser = make_parser()
    args: argparse.Namespace = parser.parse_intermixed_args(argv)
    suffix = EXPORT_FORMATS[args.format]
    if args.output.suffix.lower() != suffix or args.output.is_dir():
        parser.error(
            f"argument --output: expected a file name that ends in {suffix}, received "
            f"{str(args.output)!r}"
        )
    if (args.precision == "int8") != (args.calibrate is not None):
        parser.error(
            "argument --calibrate: expected with --precision int8, and only there: the config "
            "whose clips set the ranges of activations"
        )
    return args


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det export` and returns its exit code."""
    args = parse_arguments(argv)
    from ava_det.operations.export import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
