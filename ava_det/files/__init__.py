"""Writes files that are whole or absent, and reads pickles without running them."""

from ava_det.files.atomic import atomic_path, link_or_copy
from ava_det.files.overwriting import require_other_files
from ava_det.files.similar import suggest_file
from ava_det.files.whole import hash_file, is_full, write_json, write_text

__all__ = [
    "atomic_path",
    "hash_file",
    "is_full",
    "link_or_copy",
    "require_other_files",
    "suggest_file",
    "write_json",
    "write_text",
]
