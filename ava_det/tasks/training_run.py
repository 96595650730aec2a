"""A training from its command line to its results, for `ava-det train` and `train-kinetics`.

Each tool says what is learned and how it is scored, a `Task`; the run folder, --resume,
--eval-only, preemption, logs and curves are the same.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ava_det.checkpoint import WeightsError, load_checkpoint, load_weights, require_finite
from ava_det.cli import ToolParser
from ava_det.config import Config, ConfigError, load_config
from ava_det.data.loader import ClipLoader
from ava_det.data.transforms import normalize_batch
from ava_det.device.precision import choose_precision
from ava_det.device.select import prepare_torch
from ava_det.distributed import gather_objects, is_main_process, process_group, rank
from ava_det.models.build import build_model, to_device
from ava_det.tasks.action_detection import build_loop_settings, build_optimizer, build_schedule
from ava_det.tasks.lr_rule import describe_lr_mismatch
from ava_det.tasks.run_folder import RunFolder
from ava_det.training.interval import DivergedError
from ava_det.training.log import ConsoleLog, JsonLog, Logs, TensorBoardLog
from ava_det.training.loop import Hooks, train
from ava_det.training.state import TrainingError
from ava_det.training.stop import Preempted, StopRequest
from ava_det.visualization.curves import draw_curves

logger = logging.getLogger("ava_det")

STATE_KEYS = ("epoch", "batch", "num_batches", "model", "optimizer", "rng", "config")


class Task(NamedTuple):
    """What is learned. label_map: id, from 1 -> name. evaluate: model -> metrics on data.val, their
    files written. build_loader: opens the training clips, which --eval-only never needs.
    """

    label_map: dict[int, str]
    evaluate: Callable[[nn.Module], dict[str, Any]]
    build_loader: Callable[[], ClipLoader]


BuildTask = Callable[[Config, RunFolder, torch.device], Task]


def make_training_parser(prog: str, description: str | None) -> ToolParser:
    """The options of every command that trains by `run_training`."""
    parser = ToolParser(prog, description)
    parser.add_config("the experiment, such as configs/synthetic/slowfast.yaml")
    parser.add_argument(
        "--resume", action="store_true", help="go on from output_dir/checkpoints/last.pt"
    )
    parser.add_argument(
        "--eval-only", action="store_true", help="score `weights` on data.val without training"
    )
    parser.add_weights_key("start from these: a file or a name of the model zoo")
    parser.add_device_key()
    parser.add_overrides()
    return parser


def run_training(
    args: argparse.Namespace, build_task: BuildTask, describe: Callable[[dict[str, Any], str], str]
) -> int:
    """The `main` of a command that trains.

    Args:
        args: as `make_training_parser` reads them.
        build_task: what is learned and how it is scored.
        describe: metrics and output_dir -> the line a run ends with.
    """
    config = load_config(args.config, args.overrides)
    mismatch = None if args.eval_only else describe_lr_mismatch(config, load_config(args.config))
    device = prepare_torch(config)
    try:
        with StopRequest().listening() as stop, process_group(device):
            if mismatch and is_main_process():
                print(f"WARNING: {mismatch}", file=sys.stderr)
            metrics = run(config, device, build_task, stop, args.resume, args.eval_only)
            if is_main_process():
                print(describe(metrics, config.output_dir))
    except Preempted as stopped:
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    return 0


def run(
    config: Config,
    device: torch.device,
    build_task: BuildTask,
    stop: StopRequest,
    resume: bool,
    eval_only: bool,
) -> dict[str, Any]:
    """Trains (or with `eval_only` just loads) and returns the metrics on data.val."""
    folder = RunFolder(config.output_dir)
    folder.require_other_sources(config, trains=not (resume or eval_only))
    state = load_training_state(config, folder.last_checkpoint) if resume else None
    # first of all that draws random numbers, so that the initial weights depend on the seed and the
    # network alone
    model = build_initial_model(
        config, device, folder.last_checkpoint if resume else None, eval_only
    )
    precision = choose_precision(config.precision, device, is_training=not eval_only)
    task = build_task(config, folder, device)
    if is_main_process():
        folder.write_description(config, precision)
    if eval_only:
        return task.evaluate(model)
    return train_and_save(config, model, task, folder, state, stop, device, precision.name)


def load_training_state(config: Config, path: Path) -> dict[str, Any]:
    """The state --resume goes on from; the optimizer must be the one that wrote it."""
    if not path.is_file():
        raise ConfigError(f"--resume: expected the checkpoint {path} of a run that was begun")
    state = load_checkpoint(path)
    missing = [key for key in STATE_KEYS if key not in state]
    if missing:
        raise ConfigError(
            f"{path}: expected the checkpoint of a training, found none of its {missing[0]}"
        )
    try:
        require_finite(state["optimizer"], "optimizer")
    except ValueError as error:
        raise WeightsError(f"{path}: {error}; go on from an earlier checkpoint") from None
    before = state["config"]["train"]["optimizer"]
    if before != config.train.optimizer:
        raise ConfigError(
            f"train.optimizer: expected {before}, with which {path} was trained, for --resume"
        )
    return state


def build_initial_model(
    config: Config, device: torch.device, resume_from: Path | None, eval_only: bool
) -> nn.Module:
    """The network on `device`, with the weights training begins or goes on with."""
    model = build_model(config)
    if resume_from is not None:
        load_weights(model, resume_from)
    elif config.weights is not None:
        report = load_weights(model, config.weights, allow_missing=() if eval_only else ("head",))
        if is_main_process():
            lacks = report.missing or report.wrong_shape
            print(
                f"{config.weights}: {report}{'; what did not fit starts untrained' if lacks else ''}"
            )
    elif eval_only:
        raise ConfigError("weights: expected a file or a name of the model zoo for --eval-only")
    if rank():
        torch.manual_seed(config.seed + rank())  # so that each process drops out other features
    return to_device(model, device)


def train_and_save(
    config: Config,
    model: nn.Module,
    task: Task,
    folder: RunFolder,
    state: dict[str, Any] | None,
    stop: StopRequest,
    device: torch.device,
    precision: str,
) -> dict[str, Any]:
    """Trains, with checkpoints, logs and curves in `folder`, and returns the metrics of the last
    evaluation.

    state: of the checkpoint to go on from. precision: of the training steps, fp32 or bf16.
    """
    loader = task.build_loader()
    log = prepare_log(folder, state)

    def warn(sentence: str) -> None:
        logger.warning(sentence)
        log.write(warning=sentence)

    def save(training_state: dict[str, Any]) -> None:
        if is_main_process():
            folder.save_training_state(
                training_state, config, task.label_map, config.train.keep_checkpoints
            )

    loader.warn = warn
    try:
        with loader.failures_named():
            metrics = train(
                model,
                loader,
                build_optimizer(config, model),
                build_schedule(config),
                partial(normalize_batch, mean=config.data.mean, std=config.data.std, device=device),
                build_loop_settings(config, precision),
                Hooks(task.evaluate, save, log, stop),
                resume_from=state,
            )
    except DivergedError as error:
        kept = None if error.batch is None else folder.save_bad_batch(error.batch)
        where = next((path for path in gather_objects(kept) if path), None)
        raise TrainingError(f"{error}; they are kept in {where}" if where else str(error)) from None
    report_lost_clips(loader, log)
    if is_main_process():
        draw_log(folder)
    return metrics


def prepare_log(folder: RunFolder, state: dict[str, Any] | None) -> Logs:
    """The logs of the main process, cut to where training goes on; the others keep none."""
    if not is_main_process():
        return Logs()
    folder.remove_results()
    folder.remove_leftovers()
    log = JsonLog(folder.log)
    step = -1 if state is None else state["epoch"] * state["num_batches"] + state["batch"]
    if state is None:
        folder.remove_checkpoints()
    log.cut_after(step, {} if state is None else state["mean_aps"])
    if find_spec("tensorboard") is None:
        return Logs(log, ConsoleLog())
    return Logs(log, ConsoleLog(), TensorBoardLog(folder.path / "tensorboard", max(step, 0)))


def draw_log(folder: RunFolder) -> None:
    """curves.png, or a sentence where matplotlib is missing."""
    try:
        draw_curves(folder.log, folder.path / "curves.png")
    except ImportError:
        print(
            f"no curves.png was drawn in {folder.path}: pip install 'ava_det[report]' brings matplotlib"
        )


def report_lost_clips(loader: ClipLoader, log: Logs) -> None:
    """One sentence for every video of any process whose clips could not be read, on stderr and in
    the log.
    """
    counts: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for part in gather_objects(loader.count_lost()):
        for video_id, (count, reason) in part.items():
            counts[video_id] = counts.get(video_id, 0) + count
            reasons.setdefault(video_id, reason)
    if not counts or not is_main_process():
        return
    log.write(left_out=counts)
    logger.warning(
        f"{sum(counts.values())} clips of {len(counts)} videos were left out of training:"
    )
    for video_id, count in sorted(counts.items()):
        logger.warning(f"  {count} of {video_id}: {reasons[video_id]}")
