"""Trains an action detector on AVA-format data, then evaluates it.

    python tools/train_ava.py --config configs/synthetic/slowfast.yaml
    python tools/train_ava.py --config configs/ava/slowfast_r50_4x16.yaml train.batch_size=16 train.lr=0.025
    torchrun --nproc-per-node 8 tools/train_ava.py --config configs/ava/slowfast_r50_4x16.yaml

Writes into output_dir: config.yaml, environment.json, log.jsonl, checkpoints/last.pt, detections.csv, metrics.json.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from ava_det.build import (
    build_evaluation,
    build_loop_settings,
    build_model,
    build_optimizer,
    build_schedule,
    build_split,
    build_train_loader,
    load_label_map_for,
    prepare_torch,
)
from ava_det.checkpoint import load_checkpoint, load_weights
from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import Config, load_config
from ava_det.data.transforms import normalise_batch
from ava_det.distributed import is_main_process, process_group
from ava_det.run_folder import RunFolder
from ava_det.training.log import JsonLog
from ava_det.training.loop import train


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    parser = ToolParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="experiment file, such as configs/synthetic/slowfast.yaml")
    parser.add_argument("--resume", action="store_true", help="go on from output_dir/checkpoints/last.pt")
    parser.add_argument("--eval-only", action="store_true", help="score `weights` on data.val without training")
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    config = load_config(args.config, args.overrides)
    device = prepare_torch(config)
    with process_group(device):
        metrics = run(config, device, resume=args.resume, eval_only=args.eval_only)
    if is_main_process():
        print(describe(metrics, config))
    return 0


def run(config: Config, device: torch.device, resume: bool, eval_only: bool) -> dict[str, Any]:
    """Trains (or with `eval_only` just loads) and returns the metrics on data.val."""
    label_map = load_label_map_for(config)
    val = build_split(config, "val", device)
    model = build_model(config)
    if config.weights is not None and not resume:
        report = load_weights(model, config.weights, allow_missing=() if eval_only else ("head",))
        if is_main_process():
            print(f"{config.weights}: {report}")
    elif eval_only and not resume:
        raise ValueError("weights: expected a file or a name of the model zoo for --eval-only")
    model = model.to(device).to(memory_format=torch.channels_last_3d)
    folder = RunFolder(config.output_dir)
    state = load_checkpoint(folder.last_checkpoint) if resume else None
    evaluate = build_evaluation(config, val, label_map, folder, device)
    if eval_only:
        if state is not None:
            model.load_state_dict(state["model"])
        return evaluate(model)
    return train_from(config, device, model, label_map, folder, state, evaluate)


def train_from(
    config: Config,
    device: torch.device,
    model: nn.Module,
    label_map: dict[int, str],
    folder: RunFolder,
    state: dict[str, Any] | None,
    evaluate: Any,
) -> dict[str, Any]:
    """From data and weights at hand to the last metrics."""
    loader = build_train_loader(config, build_split(config, "train", device))
    log = JsonLog(folder.log)
    if is_main_process():
        folder.write_description(config)
        log.cut_after(state["epoch"] if state else -1)

    def save(training_state: dict[str, Any]) -> None:
        if is_main_process():
            folder.save_training_state(training_state, config, label_map)

    return train(
        model,
        loader,
        build_optimizer(config, model),
        build_schedule(config),
        partial(normalise_batch, mean=config.data.mean, std=config.data.std, device=device),
        evaluate,
        save,
        log,
        build_loop_settings(config),
        resume_from=state,
    )


def describe(metrics: dict[str, Any], config: Config) -> str:
    """The line a run ends with."""
    if metrics["mAP"] is None:
        return f"no mAP: the keyframes have no labels. Detections in {config.output_dir}/detections.csv"
    return (
        f"frame mAP {metrics['mAP']:.4f} (IoU 0.5, {metrics['protocol']}, boxes: {metrics['boxes']}, "
        f"{metrics['num_keyframes']} keyframes) in {config.output_dir}"
    )


if __name__ == "__main__":
    sys.exit(main())
