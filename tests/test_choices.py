"""The names that options offer are those that the code behind them knows."""

from __future__ import annotations

from ava_det.checkpoint.zoo import ZOO
from ava_det.choices import (
    DEFAULT_ACTION_WEIGHTS,
    EXPORT_PRECISIONS,
    PROTOCOL_NAMES,
    TUBE_PROTOCOL_NAMES,
)
from ava_det.evaluation import PROTOCOLS
from ava_det.evaluation.tubes import TUBE_PROTOCOLS
from ava_det.export.export import TOLERANCES


def test_every_name_is_known() -> None:
    assert tuple(PROTOCOLS) == PROTOCOL_NAMES
    assert tuple(TUBE_PROTOCOLS) == TUBE_PROTOCOL_NAMES
    assert ("auto", *TOLERANCES, "int8") == EXPORT_PRECISIONS
    assert DEFAULT_ACTION_WEIGHTS in ZOO
