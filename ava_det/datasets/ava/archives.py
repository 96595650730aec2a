"""Unpacks the wanted files of an archive; each is written completely or not at all.

The path of a file in the archive only selects it. The place it is written to does not depend on
that path, so no archive can write outside the folder.
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

from ava_det.datasets.ava.official_files import DownloadError, check_blob
from ava_det.datasets.ava.sources import Member
from ava_det.files import atomic_path


def unpack(archive: Path, members: tuple[Member, ...], folder: Path) -> list[str]:
    """Unpacks files of a zip or tar.

    Args:
        archive: The archive.
        members: The files to unpack.
        folder: Where to write them.

    Returns:
        The names of the optional members that the archive does not have.

    Raises:
        DownloadError: The archive is damaged, a required member is missing, or a member is not the
            official file.
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
    """Yields the regular files with their paths: no links, no devices."""
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
    """Returns whether a member's path ends in `name`, and stays inside the archive's folder."""
    wanted = PurePosixPath(name).parts
    return (
        not path.is_absolute() and ".." not in path.parts and path.parts[-len(wanted) :] == wanted
    )
