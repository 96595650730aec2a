"""Trains the built-in person detector on the person boxes of a dataset, and says how good it is.

    ava-det train-detector --config configs/detector/synthetic.yaml
    ava-det train-detector --config configs/detector/ava.yaml --resume
    torchrun --nproc-per-node 8 -m ava_det train-detector --config configs/detector/ava.yaml

Writes into output_dir: config.yaml, environment.json, log.jsonl, boxes.csv, metrics.json and
checkpoints/last.pt, which is the detector `faster_rcnn:FILE` of ava-det demo, test
and detect.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import Config, config_to_dict, load_config
from ava_det.detectors.faster_rcnn import load_faster_rcnn, save_faster_rcnn
from ava_det.device.precision import choose_precision
from ava_det.device.select import prepare_torch
from ava_det.distributed import is_main_process, process_group
from ava_det.files import write_json
from ava_det.tasks.action_detection import build_optimizer, build_schedule
from ava_det.tasks.person_detection import (
    SURE,
    build_frame_loader,
    build_losses,
    build_person_detector,
    build_person_evaluation,
)
from ava_det.tasks.run_folder import RunFolder
from ava_det.tasks.training_run import load_training_state
from ava_det.training.detector_loop import train_detector
from ava_det.training.log import JsonLog


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det train-detector`."""
    parser = ToolParser("ava-det train-detector", __doc__)
    parser.add_config("experiment file, such as configs/detector/synthetic.yaml")
    parser.add_argument(
        "--resume", action="store_true", help="go on from output_dir/checkpoints/last.pt"
    )
    parser.add_weights_key("start from this detector: a file or a name of the model zoo")
    parser.add_device_key()
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det train-detector` and returns its exit code."""
    args = make_parser().parse_intermixed_args(argv)
    config = load_config(args.config, args.overrides)
    device = prepare_torch(config)
    with process_group(device):
        metrics = run(config, device, args.resume)
        if is_main_process():
            print(describe(metrics, config.output_dir))
    return 0


def run(config: Config, device: torch.device, resume: bool) -> dict[str, Any]:
    """Trains, evaluates and returns the metrics on data.val."""
    folder = RunFolder(config.output_dir)
    folder.require_other_sources(config, trains=not resume)
    state = load_training_state(config, folder.last_checkpoint) if resume else None
    model, rule = (
        load_faster_rcnn(folder.last_checkpoint) if resume else build_person_detector(config)
    )
    model = model.to(device)
    precision = choose_precision(config.precision, device, is_training=True)
    evaluate = build_person_evaluation(config, model, rule, folder, device)
    loader = build_frame_loader(config)
    log = JsonLog(folder.log)
    if is_main_process():
        folder.write_description(config, precision)
        (folder.path / "metrics.json").unlink(missing_ok=True)
        log.cut_after(state["epoch"] * state["num_batches"] if state else -1)
        folder.last_checkpoint.parent.mkdir(exist_ok=True)

    def save(training_state: dict[str, Any]) -> None:
        if is_main_process():
            extra = {key: value for key, value in training_state.items() if key != "model"}
            save_faster_rcnn(
                folder.last_checkpoint, model, rule, config=config_to_dict(config), **extra
            )

    def write_log(**values: Any) -> None:
        if is_main_process():
            log.write(**values)

    train = config.train
    with loader.failures_named():
        metrics = train_detector(
            model,
            loader,
            build_optimizer(config, model),
            build_schedule(config),
            build_losses(rule, device, precision.name),
            evaluate=evaluate,
            save=save,
            log=write_log,
            num_epochs=train.epochs,
            log_every=train.log_every,
            eval_every=train.eval_every,
            clip_grad_norm=train.clip_grad_norm,
            resume_from=state,
        )
    if is_main_process():
        write_json(folder.path / "metrics.json", metrics)
    return metrics


def describe(metrics: dict[str, Any], folder: str) -> str:
    """Describes the metrics in the line that a run ends with."""
    shown = {
        key: "undefined" if value is None else f"{value:.4f}" for key, value in metrics.items()
    }
    return (
        f"AP {shown['AP']}, AP50 {shown['AP50']}, AP75 {shown['AP75']}; recall "
        f"{shown['recall']} and precision "
        f"{shown['precision']} at score {SURE:g}; the detector is "
        f"faster_rcnn:{folder}/checkpoints/last.pt"
    )


if __name__ == "__main__":
    sys.exit(main())
