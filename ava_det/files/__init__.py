"""Files that are whole or absent, and pickles that run nothing."""

from ava_det.files.atomic import atomic_path, link_or_copy
from ava_det.files.overwriting import require_other_files

__all__ = ["atomic_path", "link_or_copy", "require_other_files"]
