from __future__ import annotations

import pytest

from ava_det.device.threads import build_child_environment


def test_a_child_waits_asleep_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    environment = build_child_environment()
    assert (environment["OMP_WAIT_POLICY"], environment["OMP_NUM_THREADS"]) == ("passive", "7")
    assert environment["HOME"] == "/somewhere"
    assert build_child_environment(2)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert build_child_environment()["OMP_WAIT_POLICY"] == "active"
