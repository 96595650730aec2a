"""Scores trained weights on a split and writes detections.csv and metrics.json.

python tools/test_ava.py --config configs/synthetic/slowfast.yaml --weights outputs/quickstart/checkpoints/last.pt
python tools/test_ava.py --config FILE --weights FILE --boxes gt output_dir=outputs/gt_boxes
python tools/test_ava.py --config FILE --weights FILE --split test      (no labels: a submission, no mAP)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from ava_det.build import build_evaluation, build_model, build_split, load_label_map_for, prepare_torch
from ava_det.checkpoint import load_checkpoint, load_weights
from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import load_config
from ava_det.distributed import is_main_process, process_group
from ava_det.run_folder import RunFolder


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    parser = ToolParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="the experiment the weights were trained by")
    parser.add_argument("--weights", required=True, help="a checkpoint, or a name of the model zoo")
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--boxes", help="gt, a box file or a detector's name; default: data.<split>.boxes")
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    config = load_config(args.config, args.overrides)
    device = prepare_torch(config)
    with process_group(device):
        model = build_model(config)
        load_weights(model, args.weights)
        label_map = load_checkpoint(args.weights).get("label_map") or load_label_map_for(config)
        model = model.to(device).to(memory_format=torch.channels_last_3d)
        split = build_split(config, args.split, device, boxes=args.boxes)
        evaluate = build_evaluation(config, split, label_map, RunFolder(config.output_dir), device)
        metrics = evaluate(model)
    if is_main_process():
        written = f"detections.csv and metrics.json are in {config.output_dir}"
        if metrics["mAP"] is None:
            print(f"no mAP exists: split {args.split} has no labels; {written}")
        else:
            print(
                f"frame mAP {metrics['mAP']:.4f} (IoU 0.5, {metrics['protocol']}, boxes: {metrics['boxes']}); {written}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
