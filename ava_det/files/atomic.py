"""Writes files that are whole or absent, whenever the process stops."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        OSError: It cannot be written. The error names `path`, not the temporary file.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, expected a file name", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = name_temporary(path)
    try:
        temporary.touch(exist_ok=False)
        yield str(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if str(error.filename) == str(temporary):
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # what went wrong before is what a user has to know
            temporary.unlink()


def name_temporary(path: Path) -> Path:
    """Names a hidden file beside `path` that no other process writes.

    The name is known before there is a file, so that whoever makes it can delete it whenever a
    signal comes.
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def remove_begun(path: Path) -> None:
    """Removes the files or folders of `name_temporary` that killed processes left beside `path`.

    A process that still writes one, such as one that was suspended while another took its work
    over, fails then.
    """
    for begun in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.tmp"):
        if begun.is_dir():
            shutil.rmtree(begun, ignore_errors=True)
        else:
            with suppress(OSError):
                begun.unlink()


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
