"""Prints an experiment in full, every key with its value, or what the keys mean.

    ava-det config configs/ava/slowfast_r50_4x16.yaml
    ava-det config configs/synthetic/slowfast.yaml train.lr=0.1 > mine.yaml
    ava-det config --keys                         (every key: its form, its default, what it does)
    ava-det config --keys roi                     (the keys with this word in their name or meaning)

Every key=value of the second form works after any command that reads a config.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import ConfigError, config_to_yaml, load_config
from ava_det.config.keys import KeyInfo, describe_keys


def make_parser() -> ToolParser:
    """Builds the parser of `ava-det config`."""
    parser = ToolParser("ava-det config", __doc__)
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="the experiment, such as configs/synthetic/slowfast.yaml",
    )
    parser.add_argument(
        "--keys", nargs="?", const="", metavar="WORD", help="list the keys, or those about WORD"
    )
    parser.add_overrides()
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `ava-det config` and returns its exit code."""
    parser = make_parser()
    args = parser.parse_intermixed_args(argv)
    if args.keys is not None:
        if args.file is not None:
            parser.error("expected FILE or --keys, received both")
        print_keys(args.keys)
    elif args.file is None:
        parser.error("expected FILE or --keys")
    else:
        print(config_to_yaml(load_config(args.file, args.overrides)), end="")
    return 0


def print_keys(word: str) -> None:
    """Prints every key of a config with `word` in its name or meaning.

    Raises:
        ConfigError: There is no such key.
    """
    found = [
        info for info in describe_keys() if word.lower() in f"{info.key} {info.meaning}".lower()
    ]
    if not found:
        raise ConfigError(
            f"--keys: expected a word of a key's name or meaning, found none with {word!r}"
        )
    width = max(60, min(100, shutil.get_terminal_size().columns))
    for info in found:
        print("\n".join(format_key(info, width)))


def format_key(info: KeyInfo, width: int) -> Iterator[str]:
    """Yields the lines about one key: `key: default`, then its form and meaning below."""
    yield f"{info.key}: {info.default}"
    meaning = f"{info.form}. {info.meaning}" if info.meaning else info.form
    yield from textwrap.wrap(meaning, width, initial_indent="    ", subsequent_indent="    ")


if __name__ == "__main__":
    sys.exit(main())
