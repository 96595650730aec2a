"""The benchmark of imports reads back every box that it wrote."""

from __future__ import annotations

from collections.abc import Callable


def test_every_format_gives_all_boxes(run_tool: Callable[..., tuple[int, str, str]]) -> None:
    code, out, error = run_tool("benchmark", "labels", "--boxes", "300")
    assert code == 0, error
    assert out.count(" 300 boxes ") == 6
    assert "floor" in out
