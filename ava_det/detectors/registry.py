"""Builds person detectors by name."""

from __future__ import annotations

import torch

from ava_det.checkpoint import WeightsError
from ava_det.choices import DETECTORS
from ava_det.config import ConfigError
from ava_det.detectors import MotionDetector, PersonDetector
from ava_det.distributed import is_main_process

DEFAULT_PERSON_WEIGHTS = "detectron2/COCO-Detection/faster_rcnn_R_50_FPN_3x"


def names_detector(source: str) -> bool:
    """Returns whether `source` names a detector: one of DETECTORS, alone or as NAME:WHAT."""
    return source.partition(":")[0] in DETECTORS


def build_detector(source: str, device: torch.device, precision: str = "fp32") -> PersonDetector:
    """Builds a person detector by its name; its libraries are loaded only then.

    Args:
        source: One of DETECTORS, or `faster_rcnn:WEIGHTS` (a file, a name of the model zoo or a
            URL), `detectron2:CONFIG` or `detectron2:CONFIG:WEIGHTS`. `auto` is detectron2 where it
            can be imported, and faster_rcnn with the same weights elsewhere, and prints which;
            `auto:WEIGHTS` is `faster_rcnn:WEIGHTS`.
        device: Where the detector computes.
        precision: auto, fp32, bf16 or fp16, see `FasterRCNNDetector`; motion and torchvision ignore
            it.

    Raises:
        ConfigError: No detector has this name.
        WeightsError: Its weights cannot be loaded.
        ValueError: The detector cannot be used here, such as `Detectron2Unavailable`.
    """
    name, _, choice = source.partition(":")
    if choice and name in ("motion", "torchvision"):
        raise ConfigError(
            f"{source}: {name} takes no weights; they follow faster_rcnn: or detectron2:CONFIG:"
        )
    if name == "motion":
        return MotionDetector()
    if name == "torchvision":
        from ava_det.detectors.torchvision_rcnn import TorchvisionDetector

        return TorchvisionDetector(str(device))
    if name not in DETECTORS:
        raise ConfigError(
            f"boxes: expected gt, a box file or one of {', '.join(DETECTORS)}, received {source!r}"
        )
    try:
        if name == "auto" and not choice:
            return _build_best(device, precision)
        if name == "detectron2":
            return _build_detectron2(choice, device, precision)
        return _build_faster_rcnn(choice or DEFAULT_PERSON_WEIGHTS, device, precision)
    except WeightsError as error:
        if choice:
            raise
        raise WeightsError(
            f"{error}; or choose the detector motion, which needs no weights, "
            "or faster_rcnn:FILE with weights of your own"
        ) from None


def _build_best(device: torch.device, precision: str) -> PersonDetector:
    from ava_det.detectors.detectron2_detector import Detectron2Unavailable, import_detectron2

    try:
        version = import_detectron2().__version__
    except Detectron2Unavailable as error:
        detector = _build_faster_rcnn(DEFAULT_PERSON_WEIGHTS, device, precision)
        what = f"{DEFAULT_PERSON_WEIGHTS} ({error})"
    else:
        detector = _build_detectron2("", device, precision)
        what = f"{version}, {DEFAULT_PERSON_WEIGHTS}"
    if is_main_process():
        print(f"person detector: {detector.name}, {what}")
    return detector


def _build_detectron2(choice: str, device: torch.device, precision: str) -> PersonDetector:
    from ava_det.detectors.detectron2_detector import DEFAULT_CONFIG, Detectron2Detector

    config, _, weights = choice.partition(":")
    return Detectron2Detector(
        config or DEFAULT_CONFIG, weights or None, device, precision=precision
    )


def _build_faster_rcnn(weights: str, device: torch.device, precision: str) -> PersonDetector:
    from ava_det.detectors.faster_rcnn import FasterRCNNDetector, load_faster_rcnn

    model, rule = load_faster_rcnn(weights)
    return FasterRCNNDetector(
        model, device, rule.short_side, rule.long_side, rule.channel_order, precision=precision
    )
