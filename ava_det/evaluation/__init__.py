"""Frame mAP under five named protocols, and why a number is what it is."""

from ava_det.evaluation.ava_evaluator import AvaEvaluator, Evaluation, evaluate_csv, evaluate_rows
from ava_det.evaluation.protocols import PROTOCOLS, Protocol, protocol_named

__all__ = ["PROTOCOLS", "AvaEvaluator", "Evaluation", "Protocol", "evaluate_csv", "evaluate_rows", "protocol_named"]
