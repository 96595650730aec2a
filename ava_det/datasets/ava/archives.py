"""Unpacking: only the files asked for, each to its own place, whole or absent.

The path a file has in an archive chooses it and nothing else, so no archive can write outside the
folder.
"""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from ava_det.datasets.ava.download import DownloadError, check_blob
from ava_det.datasets.ava.sources import Member
from ava_det.files import atomic_path


def unpack(archive: Path, members: tuple[Member, ...], folder: Path) -> list[str]:
    """Unpacks `members` of a zip or tar into `folder`; returns the names of optional ones it does
    not have.

    Raises DownloadError in one sentence for a damaged archive, a required member that is missing,
    or one that is not the official file.
    """
    missing = {member.name: member for member in members}
    try:
        for path, file in tqdm(_files(archive), desc=f"unpacking {archive.name}", unit="file"):
            name = next((name for name in missing if _ends_with(path, name)), None)
            if name is None:
                continue
            with atomic_path(folder / name) as temporary:
                with open(temporary, "wb") as out:
                    shutil.copyfileobj(file, out, 1 << 20)
                check_blob(Path(temporary), missing[name].blob, f"{archive}, {path}")
            del missing[name]
            if not missing:
                break
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise DownloadError(f"{archive}: damaged ({error}); delete it and run this again") from None
    required = [member.name for member in missing.values() if member.required]
    if required:
        raise DownloadError(f"{archive}: expected {', '.join(required)} in it")
    return list(missing)


def _files(archive: Path) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """Regular files only: no links, no devices."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as contents:
            for info in contents.infolist():
                if not info.is_dir():
                    with contents.open(info) as file:
                        yield PurePosixPath(info.filename), file
    else:
        with tarfile.open(archive, "r:*") as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.isreg() else None
                if content is not None:
                    yield PurePosixPath(entry.name), content


def _ends_with(path: PurePosixPath, name: str) -> bool:
    """Whether a member's path ends in `name`; one that leaves its folder is no member of ours."""
    wanted = PurePosixPath(name).parts
    return (
        not path.is_absolute() and ".." not in path.parts and path.parts[-len(wanted) :] == wanted
    )
