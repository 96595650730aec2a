"""Writes files that are whole or absent, whenever the process stops."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[str]:
    """Yields a temporary file beside `path`, which takes its name if the block ends without error.

    After an error the temporary file is deleted. What was written is on disk before the name
    changes, so that a crash leaves the old file or the new one.

    Args:
        path: The file to write; its folder is made if it is missing.

    Yields:
        The name of the temporary file, which is empty.

    Raises:
        IsADirectoryError: `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, expected a file name", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes the file private
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Gives a file a second name, atomically; copies it where the file system has no links.

    Args:
        source: The file.
        target: Its second name, which is replaced if it is taken.
    """
    with atomic_path(target) as temporary:
        os.unlink(temporary)
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
