"""Marks for tests that need arithmetic not every machine has."""

from __future__ import annotations

import pytest
import torch

from ava_det.device.precision import measure_factor
from tests.support.precision_answers import JUDGE

CPU = torch.device("cpu")
_JUDGMENT = JUDGE(CPU, torch.bfloat16)

needs_bfloat16 = pytest.mark.skipif(
    not _JUDGMENT.is_native, reason=f"needs AVX512-BF16, AMX or Arm's BF16 ({_JUDGMENT.reason})"
)
# imitated it is slow, but it runs; a oneDNN held to AVX2 on a CPU that has more refuses it
needs_any_bfloat16 = pytest.mark.skipif(
    not _JUDGMENT.is_native and measure_factor(CPU, torch.bfloat16) is None,
    reason="needs a oneDNN that computes bfloat16 or leaves it to torch",
)
