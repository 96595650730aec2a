"""What every tool does the same way: arguments, and a user's mistake as one sentence with exit code
2.
"""

from __future__ import annotations

import argparse
import functools
import io
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from torch.distributed.elastic.multiprocessing.errors import record

from ava_det.distributed import has_met, local_rank

Main = Callable[..., int]


OVERRIDE = re.compile(r"[a-z_]\w*(\.\w+)*=.*", re.DOTALL)


class ToolParser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line; `parse_intermixed_args` lets options and
    overrides mix.
    """

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")

    def add_overrides(self) -> None:
        """Trailing `key=value` arguments, as `args.overrides`."""
        self.add_argument(
            "overrides", nargs="*", metavar="key=value", help="config values, such as train.lr=0.1"
        )

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, but an option of several values ends where a key=value begins: `--seeds 0
        1 train.lr=0.1`.
        """
        several = {
            name
            for action in self._actions
            if action.nargs == "+"
            for name in action.option_strings
        }
        words: list[str] = []
        # options of several values, where nothing follows that could be taken for one
        last: list[str] = []
        target = words
        for word in sys.argv[1:] if args is None else args:
            if self._is_option(word):
                target = last if word in several else words
            elif OVERRIDE.fullmatch(word):
                target = words
            target.append(word)
        return super().parse_intermixed_args(words + last, namespace)

    def _is_option(self, word: str) -> bool:
        """Whether a word can be an option: `-clip.mp4` is a file name, as no option but -h has one
        dash.
        """
        return word.startswith("--") or word in self._option_string_actions

    def _parse_optional(self, arg_string: str) -> Any:
        return super()._parse_optional(arg_string) if self._is_option(arg_string) else None


def positive(text: str) -> float:
    """An argument that is a positive number."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text!r}")
    return value


def interval(text: str) -> float:
    """An argument that is a number of seconds between two looks at a video, at least a thousandth."""
    value = float(text)
    if not 0.001 <= value < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected a positive number of seconds, 0.001 or more, received {text!r}"
        )
    return value


def count_from_zero(text: str) -> int:
    """An argument that is a whole number, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, received {text!r}")
    return int(text)


def second(text: str) -> float:
    """An argument that is a moment, in seconds."""
    value = float(text)
    if not abs(value) < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, received {text!r}")
    return value


def fraction(text: str) -> float:
    """An argument from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a fraction 0..1, received {text!r}")
    return value


def reports_mistakes(main: Main) -> Main:
    """Ends a tool with 0, or with 2 and one sentence on stderr for a user's mistake (a ValueError
    or OSError).

    Every other exception is a fault of ours and keeps its traceback. Under torchrun a mistake that
    all processes make alike, before they have met, is said once a machine.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # a file name may hold what a terminal cannot show
            sys.stdout.reconfigure(errors="backslashreplace")
        # a library's root handler would print warnings once more
        logging.getLogger("ava_det").propagate = False
        try:
            # torchrun's own summary then says the reason too
            return (record(main) if "TORCHELASTIC_RUN_ID" in os.environ else main)(argv) or 0
        except (ValueError, OSError) as error:
            if has_met() or local_rank() == 0:
                print(f"error: {_sentence(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130

    return run


def _sentence(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())
