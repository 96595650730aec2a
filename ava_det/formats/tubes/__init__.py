"""Reads and writes tubes: the boxes of one person's action in every frame of its extent.

Frames count from 1 and labels from 0 in all of these files, unlike AVA's action ids.
"""

from ava_det.formats.tubes.detections import load_frame_boxes, load_tubes
from ava_det.formats.tubes.ground_truth import load_tube_truth
from ava_det.formats.tubes.structures import FrameBoxes, Tube, TubeTruth
from ava_det.formats.tubes.tube_lines import read_tubes, write_tubes

__all__ = [
    "FrameBoxes",
    "Tube",
    "TubeTruth",
    "load_frame_boxes",
    "load_tube_truth",
    "load_tubes",
    "read_tubes",
    "write_tubes",
]
