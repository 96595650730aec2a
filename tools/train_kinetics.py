"""Trains a video classifier (Kinetics) from a list of videos or a folder for each class, and tests it on 10 x 3 views.

    python tools/train_kinetics.py --config configs/kinetics/slowfast_r50_4x16.yaml data.video_dir=FOLDER \\
        data.train.annotations=train.csv data.val.annotations=val.csv
    torchrun --nproc-per-node 8 tools/train_kinetics.py --config configs/kinetics/slowfast_r50_4x16.yaml ...
    python tools/train_kinetics.py --config FILE --eval-only weights=FILE|NAME ...

Writes what train_ava writes; metrics.json has top1 and top5. `weights: outputs/.../checkpoints/last.pt` in an AVA
config starts a detector from it. See docs/kinetics.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from ava_det.tools.train_ava import build_initial_model, load_training_state, train_and_save

from ava_det.build import (
    build_video_evaluation,
    build_video_loader,
    describe_lr_mismatch,
    load_video_classes,
    prepare_torch,
)
from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import Config, load_config
from ava_det.distributed import is_main_process, process_group
from ava_det.run_folder import RunFolder
from ava_det.training.stop import Preempted, StopRequest


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    parser = ToolParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="experiment, such as configs/kinetics/slowfast_r50_4x16.yaml")
    parser.add_argument("--resume", action="store_true", help="go on from output_dir/checkpoints/last.pt")
    parser.add_argument("--eval-only", action="store_true", help="score `weights` on data.val without training")
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    config = load_config(args.config, args.overrides)
    mismatch = None if args.eval_only else describe_lr_mismatch(config, load_config(args.config))
    device = prepare_torch(config)
    try:
        with StopRequest().listening() as stop, process_group(device):
            if mismatch and is_main_process():
                print(f"WARNING: {mismatch}", file=sys.stderr)
            metrics = run(config, device, stop, resume=args.resume, eval_only=args.eval_only)
            if is_main_process():
                print(describe(metrics, config.output_dir))
    except Preempted as stopped:
        print(stopped, file=sys.stderr)
    return 0


def run(config: Config, device: torch.device, stop: StopRequest, resume: bool, eval_only: bool) -> dict[str, Any]:
    """Trains (or with `eval_only` just loads) and returns the metrics on data.val."""
    folder = RunFolder(config.output_dir)
    state = load_training_state(config, folder.last_checkpoint) if resume else None
    classes = load_video_classes(config)
    model = build_initial_model(config, device, folder.last_checkpoint if resume else None, eval_only)
    evaluate = build_video_evaluation(config, "val", classes, folder.path, device)
    if is_main_process():
        folder.write_description(config)
    if eval_only:
        return evaluate(model)
    loader = build_video_loader(config, "train", classes)
    return train_and_save(config, model, loader, evaluate, classes, folder, state, stop, device)


def describe(metrics: dict[str, Any], folder: str) -> str:
    """The line a run ends with."""
    counts = f"{metrics['num_videos']} videos, {metrics['views']}"
    return f"top-1 {metrics['top1']:.4f}, top-5 {metrics['top5']:.4f} ({counts}); metrics.json is in {folder}"


if __name__ == "__main__":
    sys.exit(main())
