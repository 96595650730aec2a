"""Runs a training from its command line to its results, for all commands that use the loop.

Each command says what is learned and how it is scored, a `Task`. The run folder, --resume,
--eval-only, preemption, checkpoints, logs and curves are the same for all.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, NamedTuple

import torch
from torch import nn

from ava_det.checkpoint import WeightsError, load_checkpoint, require_finite
from ava_det.config import Config, ConfigError, config_to_dict, load_config
from ava_det.data.loader import ClipLoader
from ava_det.device.precision import choose_precision
from ava_det.device.select import prepare_torch
from ava_det.distributed import gather_objects, is_main_process, process_group, rank
from ava_det.interrupts import INTERRUPTED, report_interrupt
from ava_det.messages.counts import format_count
from ava_det.structures import ClipBatch
from ava_det.tasks.lr_rule import describe_lr_mismatch
from ava_det.tasks.recipe import build_optimizer, build_schedule
from ava_det.tasks.run_folder import RunFolder
from ava_det.training.interval import DivergedError
from ava_det.training.log import SCORES, ConsoleLog, JsonLog, Logs, TensorBoardLog
from ava_det.training.loop import Hooks, LoopSettings, Result, train
from ava_det.training.loss import TaskLoss
from ava_det.training.state import TrainingError
from ava_det.training.stop import Preempted, StopRequest
from ava_det.visualization.curves import draw_curves

logger = logging.getLogger("ava_det")

STATE_KEYS = ("epoch", "batch", "num_batches", "model", "optimizer", "rng", "config")


@dataclass(frozen=True)
class TrainingRun:
    """Describes a run before its network is built.

    Attributes:
        config: Of the run.
        folder: Where its files are written.
        device: On which the network is trained.
        precision: Of the training steps, fp32, bf16 or fp16.
        resumes: Whether it goes on from the folder's last checkpoint.
        eval_only: Whether it scores `config.weights` without training.
    """

    config: Config
    folder: RunFolder
    device: torch.device
    precision: str
    resumes: bool
    eval_only: bool

    @property
    def checkpoint(self) -> Path | None:
        """Returns the checkpoint that the run goes on from, if it does."""
        return self.folder.last_checkpoint if self.resumes else None


class Task(NamedTuple, Generic[Result]):
    """Says what is learned and how it is scored.

    Attributes:
        model: The network, on the device, with the weights that training begins or goes on with.
        loss: What is minimized.
        to_device: Puts a batch of the loader onto the device, as the network takes it.
        build_loader: Opens the training clips; --eval-only never calls it.
        evaluate: Model -> metrics on data.val, whose files are written.
        facts: Key -> what a checkpoint holds beside the training state and the config.
    """

    model: nn.Module
    loss: TaskLoss
    to_device: Callable[[ClipBatch], ClipBatch]
    build_loader: Callable[[], ClipLoader]
    evaluate: Callable[[nn.Module], Result]
    facts: dict[str, Any]


# The network must be built before anything else draws random numbers, so that its initial weights
# depend on the seed and the network alone.
BuildTask = Callable[[TrainingRun], Task[Result]]


def run_training(
    args: argparse.Namespace,
    build_task: BuildTask[Result],
    describe: Callable[[Result, str], str],
) -> int:
    """Does what the `main` of a command that trains does.

    Args:
        args: The options of the command, as `make_training_parser` of commands/train.py reads them.
        build_task: Says what is learned and how it is scored.
        describe: Metrics and output_dir -> the line that a run ends with.

    Returns:
        The exit code: 0, or that of a run that was stopped.
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
        if stopped.exit_code == INTERRUPTED:
            return report_interrupt(str(stopped))
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    return 0


def run(
    config: Config,
    device: torch.device,
    build_task: BuildTask[Result],
    stop: StopRequest,
    resume: bool,
    eval_only: bool,
) -> Result:
    """Trains (or with `eval_only` just loads) and returns the metrics on data.val."""
    folder = RunFolder(config.output_dir)
    folder.require_other_sources(config, trains=not (resume or eval_only))
    if eval_only and not resume and config.weights is None:
        raise ConfigError("weights: expected a file or a name of the model zoo for --eval-only")
    state = load_training_state(config, folder.last_checkpoint) if resume else None
    precision = choose_precision(config.precision, device, is_training=not eval_only)
    task = build_task(TrainingRun(config, folder, device, precision.name, resume, eval_only))
    if is_main_process():
        folder.write_description(config, precision)
    if eval_only:
        return task.evaluate(task.model)
    return train_and_save(config, task, folder, state, stop)


def load_training_state(config: Config, path: Path) -> dict[str, Any]:
    """Reads the state that --resume goes on from.

    Raises:
        ConfigError: There is no checkpoint, or not of this optimizer.
        WeightsError: A value of the optimizer is not finite.
    """
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
    before = state["config"]["train"]
    for key, default in (("optimizer", "sgd"), ("layer_decay", 1.0), ("ema_decay", None)):
        expected = before.get(key, default)
        if expected != getattr(config.train, key):
            known = "null" if expected is None else expected
            raise ConfigError(
                f"train.{key}: expected {known}, with which {path} was trained, for --resume"
            )
    return state


def train_and_save(
    config: Config,
    task: Task[Result],
    folder: RunFolder,
    state: dict[str, Any] | None,
    stop: StopRequest,
) -> Result:
    """Trains, with checkpoints, logs and curves in the run folder.

    Args:
        config: Of the run.
        task: What is learned.
        folder: Of the run.
        state: Of the checkpoint to go on from, or None.
        stop: Looked at after each step.

    Returns:
        The metrics of the last evaluation.
    """
    if rank():
        torch.manual_seed(config.seed + rank())  # so that each process drops out other features
    loader = task.build_loader()
    log = prepare_log(folder, state)
    facts = {"config": config_to_dict(config), **task.facts}

    def warn(sentence: str) -> None:
        logger.warning(sentence)
        log.write(warning=sentence)

    def save(training_state: dict[str, Any]) -> None:
        if is_main_process():
            folder.save_training_state({**training_state, **facts}, config.train.keep_checkpoints)

    loader.warn = warn
    try:
        with loader.failures_named():
            metrics = train(
                task.model,
                loader,
                build_optimizer(config, task.model),
                build_schedule(config),
                task.to_device,
                build_loop_settings(config, task.loss),
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


def build_loop_settings(config: Config, loss: TaskLoss) -> LoopSettings:
    """Returns the settings of the training loop for a config and a task's loss."""
    train = config.train
    return LoopSettings(
        num_epochs=train.epochs,
        clip_grad_norm=train.clip_grad_norm,
        freeze_bn=train.freeze_bn,
        loss=loss,
        log_every=train.log_every,
        eval_every=train.eval_every,
        save_every=train.save_every,
        micro_batches=train.micro_batches,
        ema_decay=train.ema_decay,
    )


def prepare_log(folder: RunFolder, state: dict[str, Any] | None) -> Logs:
    """Returns the logs of the main process, cut to where training goes on; the others have none."""
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
    """Draws curves.png, or prints a sentence where matplotlib is missing."""
    try:
        draw_curves(folder.log, folder.path / "curves.png", SCORES)
    except ImportError:
        print(
            f"no curves.png was drawn in {folder.path}: pip install 'ava_det[report]' brings "
            "matplotlib"
        )


def report_lost_clips(loader: ClipLoader, log: Logs) -> None:
    """Warns of every video of any process whose clips could not be read, and logs their number."""
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
        f"left out of training: {format_count(sum(counts.values()), 'clip')} of "
        f"{format_count(len(counts), 'video')}:"
    )
    for video_id, count in sorted(counts.items()):
        logger.warning(f"  {count} of {video_id}: {reasons[video_id]}")
