"""Provides what all commands share: arguments, help, and errors of a user in one sentence."""

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
from typing import Any, NoReturn, TypeAlias, cast

from ava_det.choices import DETECTORS, EXPORT_FORMATS, HARDWARE_DECODERS
from ava_det.interrupts import noticed_interrupts, report_interrupt

Main = Callable[..., int]
Commands: TypeAlias = "argparse._SubParsersAction[ToolParser]"

OVERRIDE = re.compile(r"[a-z_]\w*(\.\w+)*=.*", re.DOTALL)
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def is_override(text: str) -> bool:
    """Returns whether an argument is a key=value, and no file name."""
    return OVERRIDE.fullmatch(text) is not None


class ToolParser(argparse.ArgumentParser):
    """Parses a command line; its error messages are one line.

    `parse_intermixed_args` accepts options and overrides in any order.

    Args:
        prog: The command as it is typed, such as `ava-det train`.
        description: The docstring of the command's module. Its first paragraph is printed above the
            options, the others, with the examples, below them.
        **options: Further arguments of argparse.ArgumentParser.
    """

    def __init__(
        self, prog: str | None = None, description: str | None = None, **options: Any
    ) -> None:
        summary, _, rest = (description or "").partition("\n\n")
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(
            prog, description=" ".join(summary.split()), epilog=rest.strip("\n") or None, **options
        )
        self._key_options: list[str] = []

    def error(self, message: str) -> NoReturn:
        """Prints an error in one line and exits with code 2."""
        self.exit(2, f"{self.prog}: {message} (see --help)\n")

    def add_config(self, meaning: str, required: bool = True) -> None:
        """Adds `--config FILE`, the experiment."""
        self.add_argument("--config", required=required, metavar="FILE", help=meaning)

    def add_overrides(self) -> None:
        """Adds `key=value` arguments, as `args.overrides`."""
        self.add_argument(
            "overrides", nargs="*", metavar="key=value", help="config values, such as train.lr=0.1"
        )

    def add_weights(self, meaning: str, **options: Any) -> None:
        """Adds `--weights FILE|NAME`, trained weights."""
        self.add_argument("--weights", metavar="FILE|NAME", help=meaning, **options)

    def add_weights_key(self, meaning: str) -> None:
        """Adds `--weights FILE|NAME`, short for the override weights=FILE|NAME."""
        self.add_weights(meaning)
        self._key_options.append("weights")

    def add_device_key(self) -> None:
        """Adds `--device DEVICE`, short for the override device=DEVICE."""
        self.add_argument(
            "--device", type=device, help="auto, cpu, cuda or cuda:N (default: the config's)"
        )
        self._key_options.append("device")

    def add_detector(self, group: Any = None, default: str = "auto") -> None:
        """Adds `--detector NAME[:WEIGHTS]`, the person detector; None where it is not given.

        Args:
            group: An argparse group of options of which only one may be given, to add it to.
            default: The default that --help names.
        """
        listed = ", ".join(DETECTORS)

        def detector(text: str) -> str:
            if text.partition(":")[0] not in DETECTORS:
                expected = f"expected one of {listed}, or NAME:WEIGHTS"
                raise argparse.ArgumentTypeError(f"{expected}, received {text!r}")
            return text

        meaning = f"who finds the persons: {listed} (default: {default})"
        (group or self).add_argument(
            "--detector", type=detector, metavar="NAME[:WEIGHTS]", help=meaning
        )

    def add_hwaccel(self) -> None:
        """Adds `--hwaccel KIND`, the device that decodes video files; None where it is not given.

        None is the default, because no device was there to show that it is faster.
        """
        self.add_argument(
            "--hwaccel",
            choices=HARDWARE_DECODERS,
            help="decode video files on this device where it gives the frames of software "
            "(default: software)",
        )

    def add_runtime(self) -> None:
        """Adds `--runtime NAME`, which runs `--weights`."""
        runtimes = ("torch", *EXPORT_FORMATS)
        self.add_argument(
            "--runtime", choices=runtimes, default="torch", help="runtime of an exported --weights"
        )

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses options and overrides in any order.

        Unlike argparse, an option of several values ends where a key=value begins:
        `--seeds 0 1 train.lr=0.1`.
        """
        several: set[str] = set()
        for action in self._actions:
            if action.nargs == "+":
                several.update(action.option_strings)
        words: list[str] = []
        # Options of several values go last, where no word follows that could be taken for a value.
        last: list[str] = []
        target = words
        for word in sys.argv[1:] if args is None else args:
            if self._is_option(word):
                target = last if word in several else words
            elif is_override(word):
                target = words
            target.append(word)
        parsed = super().parse_intermixed_args(words + last, namespace)
        for key in self._key_options:
            if getattr(parsed, key) is not None:
                parsed.overrides.append(f"{key}={json.dumps(getattr(parsed, key))}")
        return parsed

    def _is_option(self, word: str) -> bool:
        """Separates options from file names such as `-clip.mp4`: only -h has a single dash."""
        return word.startswith("--") or word in self._option_string_actions

    def _parse_optional(self, arg_string: str) -> Any:
        return super()._parse_optional(arg_string) if self._is_option(arg_string) else None


def device(text: str) -> str:
    """Parses an argument that names a device."""
    if not DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected auto, cpu, cuda or cuda:N, received {text!r}")
    return text


def positive(text: str) -> float:
    """Parses an argument that is a positive number."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text!r}")
    return value


def interval(text: str) -> float:
    """Parses the number of seconds between two keyframes, at least 0.001."""
    value = float(text)
    if not 0.001 <= value < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected a positive number of seconds, 0.001 or more, received {text!r}"
        )
    return value


def at_least(minimum: int) -> Callable[[str], int]:
    """Returns a function that parses an argument that is a whole number from `minimum` on."""

    def parse(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {minimum}, received {text!r}"
            )
        return int(text)

    return parse


def second(text: str) -> float:
    """Parses an argument that is a time in seconds, of either sign."""
    value = float(text)
    if not abs(value) < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, received {text!r}")
    return value


def moment(text: str) -> float:
    """Parses a number of seconds, 0 or more."""
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(
            f"expected a number of seconds, 0 or more, received {text!r}"
        )
    return value


def size(text: str) -> tuple[int, int]:
    """Parses WIDTHxHEIGHT in pixels, two even numbers of at least 64."""
    width, separator, height = text.partition("x")
    if not separator or not width.isdecimal() or not height.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 192x144")
    sides = int(width), int(height)
    if min(sides) < 64 or sides[0] % 2 or sides[1] % 2:
        raise argparse.ArgumentTypeError(
            f"{text!r}: both sides must be even numbers of at least 64"
        )
    return sides


def fraction(text: str) -> float:
    """Parses an argument from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a fraction 0..1, received {text!r}")
    return value


def reports_mistakes(main: Main) -> Main:
    """Wraps a command so that a user's mistake ends it with one sentence on stderr.

    A ValueError or OSError is a user's mistake; every other exception is a bug and keeps its
    traceback. Under torchrun, a mistake that all processes make before the process group exists is
    printed once per machine.

    Args:
        main: The command. Takes the words of its command line, and may return an exit code.

    Returns:
        The wrapped command. Its exit code is that of `main`, 2 after a user's mistake, 130 after
        Ctrl-C.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A file name may contain characters that the terminal cannot show.
            sys.stdout.reconfigure(errors="backslashreplace")
        # A root handler set up by a library would print each warning a second time.
        logging.getLogger("ava_det").propagate = False
        with noticed_interrupts() as interrupted:
            try:
                return _recorded(main)(argv) or 0
            except KeyboardInterrupt as stopped:
                return report_interrupt(str(stopped) or "stopped")
            except Exception as error:
                if interrupted.is_set():
                    return report_interrupt()
                if not isinstance(error, ValueError | OSError):
                    raise
                if _prints_mistakes():
                    print(f"error: {_sentence(error)}", file=sys.stderr)
                return 2

    return run


def _recorded(main: Main) -> Main:
    """Records the exception of `main` for the summary that torchrun prints, under torchrun."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return main
    from torch.distributed.elastic.multiprocessing.errors import record  # slow, so only here

    return cast(Main, record(main))


def _prints_mistakes() -> bool:
    """Returns whether this process prints a mistake: one per machine until the group exists."""
    # A process that never imported the package has no process group.
    distributed = sys.modules.get("ava_det.distributed")
    return int(os.environ.get("LOCAL_RANK", 0)) == 0 or (
        distributed is not None and distributed.has_joined_group()
    )


def _sentence(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())
