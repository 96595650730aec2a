"""Checks that a downloaded file is the official one."""

from __future__ import annotations

import hashlib
from pathlib import Path


class DownloadError(ValueError):
    """Reports, in one sentence with the address or file, what is wrong with it."""


class NoNetworkError(DownloadError):
    """Reports that the server cannot be reached at all: no other file is tried."""


def git_blob_id(path: Path) -> str:
    """Computes the git blob id of a file, as `git hash-object` does."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def check_blob(path: Path, blob: str | None, name: object) -> None:
    """Checks that a file has the git blob id `blob`.

    Args:
        path: The file.
        blob: The id; None accepts every file.
        name: What the error calls the file.

    Raises:
        DownloadError: It has another id.
    """
    if blob is not None and (actual := git_blob_id(path)) != blob:
        raise DownloadError(f"{name}: expected the official file, git blob {blob}, found {actual}")
