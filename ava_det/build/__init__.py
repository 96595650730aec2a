"""The composition root: a config becomes a model, loaders, an optimizer, an evaluation, a predictor.

Only this room and the tools see a whole config; what is built here takes plain values.
"""

from ava_det.build.detectors import DETECTORS, build_detector, names_detector
from ava_det.build.device import prepare_torch
from ava_det.build.features import load_features
from ava_det.build.kinetics import build_video_evaluation, build_video_loader, load_video_classes
from ava_det.build.model import (
    build_clip_reader,
    build_model,
    load_plain_model,
    load_trained_model,
    to_device,
)
from ava_det.build.pretrained import DEFAULT_WEIGHTS, Predictor
from ava_det.build.recipe import describe_lr_mismatch
from ava_det.build.run import build_evaluation, build_loop_settings, build_optimizer, build_schedule, compute_metrics
from ava_det.build.splits import Split, build_eval_loader, build_split, build_train_loader, load_label_map_for

__all__ = [
    "DEFAULT_WEIGHTS",
    "DETECTORS",
    "Predictor",
    "Split",
    "build_clip_reader",
    "build_detector",
    "build_eval_loader",
    "build_evaluation",
    "build_loop_settings",
    "build_model",
    "build_optimizer",
    "build_schedule",
    "build_split",
    "build_train_loader",
    "build_video_evaluation",
    "build_video_loader",
    "compute_metrics",
    "describe_lr_mismatch",
    "load_features",
    "load_label_map_for",
    "load_plain_model",
    "load_trained_model",
    "load_video_classes",
    "names_detector",
    "prepare_torch",
    "to_device",
]
