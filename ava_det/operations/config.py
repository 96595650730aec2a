"""Does what `ava-det config` does: prints an experiment, or what the keys mean."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterator

from ava_det.config import ConfigError, config_to_yaml, load_config
from ava_det.config.keys import KeyInfo, describe_keys


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det config` and returns its exit code."""
    if args.keys is not None:
        print_keys(args.keys)
    else:
        print(config_to_yaml(load_config(args.file, args.overrides)), end="")
    return 0


def print_keys(word: str) -> None:
    """Prints every key of a config with `word` in its name or meaning.

    Raises:
        ConfigError: There is no such key.
    """
    matching = [
        info for info in describe_keys() if word.lower() in f"{info.key} {info.meaning}".lower()
    ]
    if not matching:
        raise ConfigError(
            f"--keys: expected a word of a key's name or meaning, found none with {word!r}"
        )
    width = max(60, min(100, shutil.get_terminal_size().columns))
    for info in matching:
        print("\n".join(format_key(info, width)))


def format_key(info: KeyInfo, width: int) -> Iterator[str]:
    """Yields the lines about one key: `key: default`, then its form and meaning below."""
    yield f"{info.key}: {info.default}"
    meaning = f"{info.form}. {info.meaning}" if info.meaning else info.form
    yield from textwrap.wrap(meaning, width, initial_indent="    ", subsequent_indent="    ")
