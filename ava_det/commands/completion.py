"""Prints a script that makes your shell complete ava-det's commands, options and files.

    ava-det completion bash > ~/.local/share/bash-completion/completions/ava-det
    ava-det completion zsh > ~/.zsh/completions/_ava-det         (a folder of your $fpath)

Needs shtab: pip install 'ava_det[completion]'. Write it again after an update of ava_det.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.commands import COMMANDS

SHELLS = ("bash", "zsh", "tcsh")


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det completion`."""
    parser = ToolParser("ava-det completion", __doc__)
    parser.add_argument("shell", choices=SHELLS, metavar="|".join(SHELLS))
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det completion` and returns its exit code."""
    args = make_parser().parse_args(argv)
    try:
        import shtab
    except ImportError:
        raise ValueError("completion needs shtab: pip install 'ava_det[completion]'") from None
    print(shtab.complete(make_whole_parser(shtab.FILE), args.shell))
    return 0


def make_whole_parser(complete_file: Mapping[str, object]) -> argparse.ArgumentParser:
    """Builds one parser with every command below it.

    Args:
        complete_file: What shtab attaches to an argument that is a file name.
    """
    whole = argparse.ArgumentParser("ava-det")
    commands = whole.add_subparsers()
    for name, command in COMMANDS.items():
        parser: ToolParser = import_module(command.module).make_parser()
        # __main__ prints the one help of all commands, so each parser comes with its own -h
        part = commands.add_parser(name, parents=[parser], add_help=False, help=command.summary)
        complete_files(part, complete_file)
    return whole


def complete_files(parser: argparse.ArgumentParser, complete_file: Mapping[str, object]) -> None:
    """Marks every argument that takes a text or a path as one that may be a file."""
    for action in parser._actions:
        if action.nargs != 0 and action.choices is None and action.type in (None, Path):
            action.complete = complete_file  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
