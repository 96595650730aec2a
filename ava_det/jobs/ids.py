"""Makes file names of paths, for the files that belong to one item of a job."""

from __future__ import annotations

import hashlib
import os
from urllib.parse import quote_from_bytes

MAX_ID_BYTES = 180  # a file name has at most 255, and temporary ones are longer than the last
CUT = "%-"  # begins the end of an id that was cut; quoting never makes it


def make_id(path: str) -> str:
    """Makes a file name of a path; different paths have different ones.

    All but ASCII letters, digits and `_.-~` is written as `%XX`, as in URLs. A long name is cut,
    and ends with the SHA-256 of the whole.
    """
    name = quote_from_bytes(os.fsencode(path), safe="")
    if name.startswith("."):  # a hidden file
        name = "%2E" + name[1:]
    if len(name) <= MAX_ID_BYTES:
        return name
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return name[: MAX_ID_BYTES - len(CUT) - len(digest)] + CUT + digest
