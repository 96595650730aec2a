"""What tests of tools share: the type of `run_tool`, and how a user's mistake ends."""

from __future__ import annotations

from collections.abc import Callable

RunTool = Callable[..., tuple[int, str, str]]


def assert_mistake(result: tuple[int, str, str], *words: str) -> None:
    code, _, err = result
    assert code == 2, err
    assert "Traceback" not in err
    for word in words:
        assert word in err.strip().splitlines()[-1]
