"""Faster R-CNN with a feature pyramid (Ren et al., 2015; Lin et al., 2017), by torch alone.

Parameters have Detectron2's names and every number is the library's, so its published weights give
its boxes. Of torchvision only `torchvision.ops` is used.

    frame -> resize -> normalize, pad -> resnet -> pyramid -> proposals -> box_head -> boxes
"""

from ava_det.detectors.faster_rcnn.detector import FasterRCNNDetector
from ava_det.detectors.faster_rcnn.model import FasterRCNN
from ava_det.detectors.faster_rcnn.weights import (
    InputRule,
    describe_faster_rcnn,
    load_faster_rcnn,
    save_faster_rcnn,
)

__all__ = [
    "FasterRCNN",
    "FasterRCNNDetector",
    "InputRule",
    "describe_faster_rcnn",
    "load_faster_rcnn",
    "save_faster_rcnn",
]
