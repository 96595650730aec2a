"""Faster R-CNN with a feature pyramid (Ren et al., 2015; Lin et al., 2017) on torch and torchvision.ops alone.

Parameters carry Detectron2's names and every number is the library's, so its published weights give its boxes.

    resize -> normalise, pad -> resnet -> pyramid -> proposals -> box_head -> boxes
"""

from ava_det.detectors.faster_rcnn.model import FasterRCNN

__all__ = ["FasterRCNN"]
