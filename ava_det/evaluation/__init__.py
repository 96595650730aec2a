"""Computes frame mAP under five named protocols, and says why a number is what it is."""

from ava_det.evaluation.ava_evaluator import AvaEvaluator, Evaluation, evaluate_csv, evaluate_rows
from ava_det.evaluation.frame_map import BoxRows, compute_frame_map
from ava_det.evaluation.protocols import PROTOCOLS, Protocol, protocol_named

__all__ = [
    "PROTOCOLS",
    "AvaEvaluator",
    "BoxRows",
    "Evaluation",
    "Protocol",
    "compute_frame_map",
    "evaluate_csv",
    "evaluate_rows",
    "protocol_named",
]
