"""What every command does the same way: arguments, help, and a user's mistake in one sentence."""

from __future__ import annotations

import argparse
import functools
import io
import json
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

Main = Callable[..., int]


OVERRIDE = re.compile(r"[a-z_]\w*(\.\w+)*=.*", re.DOTALL)
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


class ToolParser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line; `parse_intermixed_args` lets options and
    overrides mix.
    """

    def __init__(
        self, prog: str | None = None, description: str | None = None, **options: Any
    ) -> None:
        """Takes a module's docstring as description.

        Args:
            prog: the command as it is typed, such as `ava-det train`.
            description: its first paragraph stands above the options, the others, with the
                examples, below.
            options: as argparse's.
        """
        summary, _, rest = (description or "").partition("\n\n")
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(
            prog, description=" ".join(summary.split()), epilog=rest.strip("\n") or None, **options
        )
        self._key_options: list[str] = []

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")

    def add_config(self, meaning: str, required: bool = True) -> None:
        """`--config FILE`, the experiment."""
        self.add_argument("--config", required=required, metavar="FILE", help=meaning)

    def add_overrides(self) -> None:
        """Trailing `key=value` arguments, as `args.overrides`."""
        self.add_argument(
            "overrides", nargs="*", metavar="key=value", help="config values, such as train.lr=0.1"
        )

    def add_weights(self, meaning: str, **options: Any) -> None:
        """`--weights FILE|NAME`, trained ones."""
        self.add_argument("--weights", metavar="FILE|NAME", help=meaning, **options)

    def add_weights_key(self, meaning: str) -> None:
        """`--weights FILE|NAME`, short for the override weights=FILE|NAME."""
        self.add_weights(meaning)
        self._key_options.append("weights")

    def add_device_key(self) -> None:
        """`--device DEVICE`, short for the override device=DEVICE."""
        self.add_argument(
            "--device", type=device, help="auto, cpu, cuda or cuda:N (default: the config's)"
        )
        self._key_options.append("device")

    def add_detector(self, names: Sequence[str], group: Any = None, default: str = "auto") -> None:
        """`--detector NAME[:WEIGHTS]`, who finds the persons; None where it is not given.

        Args:
            names: the detectors there are.
            group: options of which only one may be given.
            default: what help says of a detector that is not given.
        """
        listed = ", ".join(names)

        def detector(text: str) -> str:
            if text.partition(":")[0] not in names:
                expected = f"expected one of {listed}, or NAME:WEIGHTS"
                raise argparse.ArgumentTypeError(f"{expected}, received {text!r}")
            return text

        meaning = f"who finds the persons: {listed} (default: {default})"
        (group or self).add_argument(
            "--detector", type=detector, metavar="NAME[:WEIGHTS]", help=meaning
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
        parsed = super().parse_intermixed_args(words + last, namespace)
        for key in self._key_options:
            if getattr(parsed, key) is not None:
                parsed.overrides.append(f"{key}={json.dumps(getattr(parsed, key))}")
        return parsed

    def _is_option(self, word: str) -> bool:
        """Whether a word can be an option: `-clip.mp4` is a file name, as no option but -h has one
        dash.
        """
        return word.startswith("--") or word in self._option_string_actions

    def _parse_optional(self, arg_string: str) -> Any:
        return super()._parse_optional(arg_string) if self._is_option(arg_string) else None


def device(text: str) -> str:
    """An argument that names a device."""
    if not DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected auto, cpu, cuda or cuda:N, received {text!r}")
    return text


def positive(text: str) -> float:
    """An argument that is a positive number."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text!r}")
    return value


def interval(text: str) -> float:
    """An argument that is a number of seconds between two keyframes, at least a thousandth."""
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


def count(text: str) -> int:
    """An argument that is a number of things, at least one."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"expected a whole number of at least 1, received {text!r}"
        )
    return int(text)


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
            return _recorded(main)(argv) or 0
        except (ValueError, OSError) as error:
            if _speaks():
                print(f"error: {_sentence(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130

    return run


def _recorded(main: Main) -> Main:
    """Under torchrun, main with its mistake recorded, for the summary that torchrun prints."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return main
    from torch.distributed.elastic.multiprocessing.errors import record  # takes a second

    return cast(Main, record(main))


def _speaks() -> bool:
    """Whether this process tells a mistake: before they have met, one of each machine does."""
    distributed = sys.modules.get("ava_det.distributed")  # who never imported it has met nobody
    return int(os.environ.get("LOCAL_RANK", 0)) == 0 or (
        distributed is not None and distributed.has_met()
    )


def _sentence(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())
