"""Does what `ava-det test` does: scores trained weights on a split of a dataset."""

from __future__ import annotations

import argparse

from ava_det.checkpoint.zoo import choose_weights
from ava_det.config import load_config
from ava_det.device.select import prepare_torch
from ava_det.distributed import is_main_process, process_group
from ava_det.inference.trained_model import load_trained_model
from ava_det.tasks.action_detection import build_evaluation
from ava_det.tasks.run_folder import RunFolder, describe_metrics
from ava_det.tasks.splits import build_split, choose_label_map


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det test` and returns its exit code."""
    args.weights = choose_weights(args.weights)
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
