"""Makes this machine one that computes 16-bit types natively, or one that does not."""

from __future__ import annotations

import pytest

from ava_det.device import precision
from ava_det.device.precision import HalfPrecision

WITHOUT = HalfPrecision(False, None, "this CPU has no bfloat16 arithmetic")
WITH = HalfPrecision(True, 0.4, "bfloat16 takes 0.40 times as long as float32 on this CPU")
# what decides outside the tests
JUDGE = precision.judge_half_precision


def answer(monkeypatch: pytest.MonkeyPatch, found: HalfPrecision) -> None:
    """Puts `found` in the place of what the machine can do; sentences are said again."""
    monkeypatch.setattr(precision, "judge_half_precision", lambda device, dtype: found)
    precision._say_once.cache_clear()
    precision._warn_once.cache_clear()
