"""Computes frame mAP and video mAP of tubes under the protocols of the public evaluators."""

from ava_det.evaluation.tubes.frame_task import evaluate_frames
from ava_det.evaluation.tubes.protocols import RANGES, TUBE_PROTOCOLS, TubeProtocol
from ava_det.evaluation.tubes.results import TubeResult
from ava_det.evaluation.tubes.video_task import evaluate_tubes

__all__ = [
    "RANGES",
    "TUBE_PROTOCOLS",
    "TubeProtocol",
    "TubeResult",
    "evaluate_frames",
    "evaluate_tubes",
]
