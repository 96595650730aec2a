"""Warnings of the package: one line on stderr, without and beside an application's own logging."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest
from tqdm import tqdm

from ava_det.cli import reports_mistakes
from ava_det.messages.stderr_log import StderrHandler, show_warnings

SENTENCE = "a.mp4: 100% of its frames are damaged"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """The package's, put back as it was."""
    logger = logging.getLogger("ava_det")
    handlers = logger.handlers[:]
    propagate = logger.propagate
    yield logger
    logger.handlers[:] = handlers
    logger.propagate = propagate


def test_a_warning_is_one_line_on_stderr(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    show_warnings()  # once more: still one handler
    # pytest may have put handlers of its own beside it
    assert sum(isinstance(handler, StderrHandler) for handler in logger.handlers) == 1
    logger.warning(SENTENCE)
    assert capsys.readouterr() == ("", f"warning: {SENTENCE}\n")


def test_a_progress_bar_is_not_written_into(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    with tqdm(total=3, desc="videos", file=sys.stderr) as bar:
        bar.update()
        logger.warning(SENTENCE)
    drawn, _, rest = capsys.readouterr().err.partition(f"warning: {SENTENCE}\n")
    assert drawn.endswith(" \r")  # blanks over the bar, and back to the first column
    assert "videos" in drawn and "videos" in rest


def test_an_application_may_take_the_warnings(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logger.handlers.clear()
    logger.propagate = True
    logger.addHandler(logging.NullHandler())
    show_warnings()
    logger.warning(SENTENCE)
    assert capsys.readouterr().err == ""
    assert caplog.messages == [SENTENCE]


def test_a_tool_says_it_once_whatever_a_library_does_to_the_root_logger(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    @reports_mistakes
    def main(argv: object = None) -> int:
        root = logging.StreamHandler()
        logging.getLogger().addHandler(root)
        logger.warning(SENTENCE)
        logging.getLogger().removeHandler(root)
        return 0

    assert main() == 0
    assert capsys.readouterr().err == f"warning: {SENTENCE}\n"
