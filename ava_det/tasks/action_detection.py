"""Builds what training and evaluation of an action detector need from a config."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import torch
from torch import nn
from tqdm import tqdm

from ava_det.checkpoint import load_weights
from ava_det.config import Config
from ava_det.data.build import build_device_transform
from ava_det.data.loader import ClipLoader
from ava_det.data.sampling import EXTRACTED_GRIDS
from ava_det.device.precision import resolve_precision
from ava_det.distributed import gather_objects, is_main_process, merge_over_ranks
from ava_det.evaluation import evaluate_rows, protocol_named
from ava_det.evaluation.metrics import ActionMetrics, FrameMapResult, UnlabeledResult
from ava_det.formats.annotations import rows_from_detections
from ava_det.inference.batch import average_views, predict_batch
from ava_det.inference.stream_weights import load_streams
from ava_det.inference.unlike_input import describe_unlike_flow
from ava_det.models.build import build_model, to_device
from ava_det.structures import ClipBatch, Detections
from ava_det.tasks.long_term import build_bank, fill_bank
from ava_det.tasks.run_folder import RunFolder
from ava_det.tasks.splits import Split, build_eval_loader
from ava_det.tasks.training_run import TrainingRun
from ava_det.training.loss import ActionLoss

logger = logging.getLogger("ava_det")


def build_action_model(run: TrainingRun) -> nn.Module:
    """Builds the network of a config, with the weights that training begins or goes on with.

    Args:
        run: The run; its `config.weights` may lack the head where the run trains.

    Returns:
        The network, on the run's device.

    Raises:
        WeightsError: The weights do not fit.
    """
    config = run.config
    model = build_model(config)
    if run.checkpoint is not None:
        load_weights(model, run.checkpoint)
        return to_device(model, run.device)
    loaded = load_streams(
        model,
        config.weights,
        config.flow_weights,
        allow_missing=() if run.eval_only else ("head",),
        across_modalities=not run.eval_only,
    )
    if is_main_process():
        for part in loaded:
            lacks = part.report.missing or part.report.wrong_shape
            print(f"{part}{'; what did not fit starts untrained' if lacks else ''}")
            if part.stream != "rgb" and part.report.spread_channels is None:
                for sentence in describe_unlike_flow(config, part.file, part.content):
                    logger.warning(sentence)
    return to_device(model, run.device)


def build_action_loss(config: Config, precision: str) -> ActionLoss:
    """Returns the loss of a config, of actions or of exclusive classes.

    Classes are exclusive for model.head classification, and where model.multilabel is false.

    Args:
        config: Its `train` section says which actions count and how.
        precision: fp32 or bf16, what `config.precision` means on the device that trains.
    """
    train = config.train
    columns = (
        None if train.action_ids is None else [action_id - 1 for action_id in train.action_ids]
    )
    return ActionLoss(
        precision,
        columns,
        train.focal_gamma,
        config.model.num_classes if config.model.is_exclusive else None,
        per_clip=config.model.head == "classification",
    )


def build_evaluation(
    config: Config,
    split: Split,
    label_map: dict[int, str],
    run_folder: RunFolder,
    device: torch.device,
    show: Callable[[list[Detections]], None] | None = None,
) -> Callable[[nn.Module], ActionMetrics]:
    """Returns a function that scores a model, writes the results and returns the metrics.

    Args:
        config: How clips are read and scored.
        split: Which keyframes are scored. Without labels mAP is null: the detections are written
            all the same.
        label_map: Action id, from 1 -> name.
        run_folder: Where detections.csv and metrics.json are written.
        device: Of the model.
        show: Called with all detections of each evaluation, on the main process.
    """
    precision = resolve_precision(config.precision, device)
    short_sides = config.eval.short_sides or [config.data.test_short_side]
    loaders = [build_eval_loader(config, split, short_side) for short_side in short_sides]
    _warn_of_prepared_videos(config, loaders[0])
    bank = build_bank(config)
    fill_bank(bank, config, split, device)
    prepare = build_device_transform(config, device, bank)
    settings = precision, config.eval.flip, config.model.multilabel

    def evaluate(model: nn.Module) -> ActionMetrics:
        model.eval()
        views = []
        for loader, short_side in zip(loaders, short_sides, strict=True):
            title = f"evaluate ({split.name}, short side {short_side})"
            views.append(_predict_clips(model, loader, prepare, settings, title))
        gathered = list(chain.from_iterable(gather_objects(average_views(views))))
        gathered.sort(
            key=lambda detections: (detections.keyframe.video_id, detections.keyframe.timestamp)
        )
        metrics = compute_metrics(gathered, split, label_map, config.eval.protocol)
        metrics = replace(metrics, details={"short_sides": short_sides, "flip": config.eval.flip})
        lost = merge_over_ranks(loaders[0].count_lost())
        metrics = metrics.warn(
            [
                f"{count} keyframes of {video_id} got no detections: {reason}"
                for video_id, (count, reason) in lost.items()
            ]
        )
        if is_main_process():
            run_folder.write_results(gathered, metrics, list(label_map))
            if show is not None:
                show(gathered)
            for warning in metrics.warnings:
                logger.warning(warning)
        return metrics

    return evaluate


def _warn_of_prepared_videos(config: Config, loader: ClipLoader) -> None:
    """Warns of videos that are not as the published weights of an extracted grid have seen them."""
    data = config.data
    if data.frame_grid in EXTRACTED_GRIDS and loader.dataset.is_prepared() and is_main_process():
        logger.warning(
            f"{data.video_dir}: videos made by transcode.py, smaller and at another rate than the "
            f"weights of data.frame_grid {data.frame_grid} have seen: expect lower scores, use the "
            "original videos"
        )


def _predict_clips(
    model: nn.Module,
    loader: ClipLoader,
    prepare: Callable[[ClipBatch], ClipBatch],
    settings: tuple[str, bool, bool],
    title: str,
) -> list[Detections]:
    """Predicts the actions of all clips of a loader, with a progress bar on the main process.

    `settings` are precision, flip and multilabel of `predict_batch`.
    """
    detections: list[Detections] = []
    bar = tqdm(loader, desc=title, unit="batch", disable=not is_main_process(), leave=False)
    with bar, loader.failures_named():
        for batch in bar:
            detections += predict_batch(model, prepare(batch), *settings)
    return detections


def compute_metrics(
    detections: Sequence[Detections], split: Split, label_map: dict[int, str], protocol: str
) -> ActionMetrics:
    """Scores detections on a split, and adds the split's own facts and warnings."""
    result: FrameMapResult | UnlabeledResult
    warnings = list(split.warnings)
    if split.annotations is None or not split.is_labeled:
        result = UnlabeledResult(label_map, protocol)
    else:
        rows = rows_from_detections(detections, label_map)
        result = evaluate_rows(split.annotations, rows, label_map, split.excluded, protocol).result
        warnings += result.warnings
        ignored = split.excluded & {k.key for k in split.keyframes}
        if ignored and protocol_named(protocol).exclusion == "nothing":
            warnings.append(
                f"{protocol} uses no exclusion list: the {len(ignored)} annotated keyframes on it "
                "were scored"
            )
    result = replace(result, warnings=tuple(warnings))
    return ActionMetrics(result, split.boxes, split.recall, split.precision)
