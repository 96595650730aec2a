"""Suggests which keyframes to label next, and says why."""

from ava_det.suggest.calibration import Calibration
from ava_det.suggest.candidates import shows_labeled
from ava_det.suggest.page import write_page
from ava_det.suggest.selection import Labeled, Pool, Reasons, Suggestion, choose_keyframes
from ava_det.suggest.table import write_suggestions

__all__ = [
    "Calibration",
    "Labeled",
    "Pool",
    "Reasons",
    "Suggestion",
    "choose_keyframes",
    "shows_labeled",
    "write_page",
    "write_suggestions",
]
