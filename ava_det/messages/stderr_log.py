"""Prints the warnings of the package on stderr, by the logger `ava_det`.

A module warns with `logging.getLogger("ava_det")`. What all processes of a run know alike is logged
by the main one alone; what one process found in its own videos, by that process.
"""

from __future__ import annotations

import logging
import sys


class StderrHandler(logging.Handler):
    """Writes a record as one line, `warning: TEXT`, to what sys.stderr is at that moment.

    A progress bar there is taken away before and drawn again below.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        from tqdm import tqdm

        with tqdm.external_write_mode(file=sys.stderr):
            print(f"{record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


def show_warnings() -> None:
    """Gives the logger `ava_det` its handler, unless an application gave it one before.

    The records go on to the root logger too. An application whose own handler prints them takes
    this one away: `logging.getLogger("ava_det").handlers.clear()`.
    """
    logger = logging.getLogger("ava_det")
    if not logger.handlers:
        logger.addHandler(StderrHandler())
