"""Files that are whole or absent, and pickles that run nothing."""

from ava_det.files.atomic import atomic_path, link_or_copy

__all__ = ["atomic_path", "link_or_copy"]
