"""Trains a head for own classes on a frozen backbone.

Features of boxes are computed once, a head is fitted on them, and its scores are calibrated.
"""

from ava_det.own_classes.calibration import calibrate, find_thresholds, fit_platt
from ava_det.own_classes.feature_cache import FeatureCache
from ava_det.own_classes.head_fit import choose_head, place_columns
from ava_det.own_classes.table import write_table

__all__ = [
    "FeatureCache",
    "calibrate",
    "choose_head",
    "find_thresholds",
    "fit_platt",
    "place_columns",
    "write_table",
]
