"""Runs `ava-det COMMAND` and `python -m ava_det COMMAND`; a command is imported when it is run."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import ava_det
from ava_det.commands import COMMANDS, GROUPS, OLD_NAMES
from ava_det.interrupts import report_interrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command named by the first word, with the words after it as its arguments.

    Args:
        argv: Words of the command line; None for those of the process.

    Returns:
        The exit code: 0 for success, 2 for a user's mistake, or another code of the command.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        print(describe(), file=sys.stderr)
        return 2
    word = words[0]
    if word in ("-h", "--help", "help"):
        print(describe())
        return 0
    if word == "--version":
        print(f"ava-det {ava_det.__version__}")
        return 0
    if word not in COMMANDS:
        print(f"ava-det: {suggest(word)} (see ava-det --help)", file=sys.stderr)
        return 2
    try:
        code: int = import_module(COMMANDS[word].module).main(words[1:])
    except KeyboardInterrupt:  # while the command itself was imported; later it answers
        return report_interrupt()
    return code


def main_by_old_name() -> int:
    """Runs `ava-train`, `ava-demo` and so on by their new names, and prints the new name."""
    old = Path(sys.argv[0]).name.removesuffix(".exe").removesuffix("-script.py")
    new = OLD_NAMES[old]
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:
        print(f"{old}: from version 0.3 on only by its new name, ava-det {new}", file=sys.stderr)
    return main([new, *sys.argv[1:]])


def describe() -> str:
    """Returns the text of --help: every command with its summary."""
    width = max(map(len, COMMANDS)) + 2
    lines = ["usage: ava-det COMMAND [options] [key=value ...]", ""]
    lines += ["AVA spatiotemporal action detection: who does what, where and when in a video."]
    for title, group in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:{width}}{command.summary}" for name, command in group.items()]
    lines += ["", "ava-det COMMAND --help says how to use it; on several GPUs:"]
    lines += ["torchrun --nproc-per-node 8 -m ava_det COMMAND ..."]
    return "\n".join(lines)


def suggest(word: str) -> str:
    """Returns a sentence about a word that is no command, with the nearest command."""
    if word.startswith("-"):
        return f"expected a command before its options, received {word!r}"
    known = {name.removeprefix("ava-"): command for name, command in OLD_NAMES.items()}
    known |= {name: name for name in COMMANDS}
    near = difflib.get_close_matches(word.replace("_", "-"), known, n=1)
    hint = f"did you mean {known[near[0]]}?" if near else f"expected one of {', '.join(COMMANDS)}"
    return f"no command {word!r}; {hint}"


if __name__ == "__main__":
    sys.exit(main())
