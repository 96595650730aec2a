"""Says what a file is that was given as weights and is none, and what to do about it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
}
_OTHERS = {
    b"<!doctype html": "a web page (HTML), not the file it links to: download that",
    b"<html": "a web page (HTML), not the file it links to: download that",
    b"version https://git-lfs": "a pointer of Git LFS, not the file: fetch it with `git lfs pull`",
    b"\x89hdf": "an HDF5 file (Keras), which is not read",
}


def describe_foreign(path: Path, start: bytes) -> str | None:
    """Recognizes files of other kinds, for a sentence that begins with the file's name.

    Args:
        path: Of the file.
        start: Its first 64 bytes or more.

    Returns:
        What it is and what to do; None where it is not recognized.
    """
    part = re.fullmatch(r"(.+)\.(data-\d{5}-of-\d{5}|meta)", path.name)
    if part and path.with_name(f"{part[1]}.index").is_file():
        return f"a part of a TensorFlow checkpoint: name {part[1]}.index beside it"
    for mark, kind in _COMPRESSED.items():
        if start.startswith(mark):
            return f"compressed by {kind}: unpack it and name the file inside"
    for mark, text in _OTHERS.items():
        if start.lstrip().lower().startswith(mark):
            return text
    if path.suffix.lower() in (".onnx", ".xml"):
        runtime = "onnx" if path.suffix.lower() == ".onnx" else "openvino"
        return f"an exported network, which runs with --runtime {runtime}"
    return _describe_zip(path) if start.startswith(b"PK") else None


def _describe_zip(path: Path) -> str | None:
    """Recognizes zip archives that are not torch's, which have a data.pkl."""
    if not zipfile.is_zipfile(path):
        return None  # cut short: torch's reader says so
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    if not any(name.endswith("data.pkl") for name in names):
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        inside = f"{names[0]}{more}" if names else "nothing"
        return f"a zip archive around {inside}: unpack it and name the file inside"
    if any("/code/" in name for name in names):
        return "a program of TorchScript, expected the state dict alone, saved by torch.save"
    return None
