"""Keeps a command from overwriting a file that it reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

Names = Mapping[str, str | Path | Iterable[str | Path] | None]


def require_other_files(outputs: Names, sources: Names) -> None:
    """Checks, before anything is done, that no file to be written is one of those that are read.

    Two names are one file where the system says so: behind a link of any kind, by a relative path,
    or in another case where the file system does not distinguish upper and lower case.

    Args:
        outputs: Option or key -> the files it writes, of which some may not exist yet.
        sources: Option or key -> the files it reads; names that are no files are skipped.

    Raises:
        ValueError: An output is a source. The sentence names both options and the file.
    """
    read = [(name, path) for name, path in _list_files(sources) if path.exists()]
    for option, target in _list_files(outputs):
        for name, source in read:
            if target.exists() and os.path.samefile(target, source):
                again = f"{source}" if str(target) == str(source) else f"{source} as {target}"
                raise ValueError(
                    f"{option}: expected another file than {name} reads: {again} would be "
                    "overwritten"
                )


def _list_files(names: Names) -> list[tuple[str, Path]]:
    files = []
    for name, value in names.items():
        paths = [value] if isinstance(value, str | Path) else value or []
        files += [(name, Path(path)) for path in paths]
    return files
