"""Scores trained weights on a split and writes detections.csv and metrics.json.

    ava-det test --config configs/synthetic/slowfast.yaml --weights FILE
    ava-det test --config FILE --weights FILE --boxes gt output_dir=outputs/gt_boxes
    ava-det test --config FILE --weights FILE --split test      (no labels: a submission, no mAP)

Under torchrun the processes share the clips out. See docs/evaluation.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import load_config
from ava_det.detectors.registry import DETECTORS
from ava_det.device.select import prepare_torch
from ava_det.distributed import is_main_process, process_group
from ava_det.export import RUNTIMES
from ava_det.inference.trained_model import load_trained_model
from ava_det.tasks.action_detection import build_evaluation
from ava_det.tasks.run_folder import RunFolder, describe_metrics
from ava_det.tasks.splits import build_split, choose_label_map


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det test`."""
    parser = ToolParser("ava-det test", __doc__)
    parser.add_config("the experiment the weights were trained by")
    parser.add_weights("a checkpoint, or a name of the model zoo", required=True)
    parser.add_argument(
        "--runtime", choices=("torch", *RUNTIMES), default="torch", help="of an exported --weights"
    )
    parser.add_argument("--split", choices=("val", "test"), default="val")
    who = parser.add_mutually_exclusive_group()
    who.add_argument(
        "--boxes",
        metavar="gt|FILE",
        help="labelled boxes, or those of a box file (default: data.<split>.boxes)",
    )
    parser.add_detector(DETECTORS, who, default="data.<split>.boxes")
    parser.add_device_key()
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det test` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    config = load_config(args.config, args.overrides)
    folder = RunFolder(config.output_dir)
    read = {"--weights": args.weights, "--boxes": args.boxes}
    folder.require_other_sources(config, trains=False, more=read)
    device = prepare_torch(config)
    with process_group(device):
        model, carried = load_trained_model(config, args.weights, device, args.runtime)
        label_map = choose_label_map(config, carried)
        split = build_split(config, args.split, device, boxes=args.boxes or args.detector)
        evaluate = build_evaluation(config, split, label_map, folder, device)
        metrics = evaluate(model)
        if is_main_process():
            print(describe_metrics(metrics, config.output_dir))
    return 0


if __name__ == "__main__":
    sys.exit(main())
