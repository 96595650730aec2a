"""Describes files that are no CSV of ours, so that an error says what to do about them.

It recognizes other separators, encodings and tools.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from ava_det.formats.ava_csv.opened import DAMAGED, open_bytes

HEAD_BYTES = 1 << 16
SAVE_AS = "save it as 'CSV UTF-8 (comma delimited)'"
IMPORTERS = (
    "ava-det import reads a table of boxes (csv), projects of VIA 3 (via), exports of Label Studio "
    "(label-studio) and as 'CVAT for video 1.1' (cvat), COCO files of videos (coco) and Datumaro's "
    "JSON (datumaro)"
)
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
DECIMAL_COMMA = re.compile(r"-?\d+,\d+")

# the first bytes of files that are no text
BINARIES = (
    (b"\xd0\xcf\x11\xe0", f"an Excel workbook: {SAVE_AS}"),
    (b"PAR1", "a Parquet file: write it as CSV"),
    (b"\x89HDF", "an HDF5 file: write it as CSV"),
    (b"BZh", "compressed by bzip2: unpack it, or use gzip"),
    (b"\xfd7zXZ\0", "compressed by xz: unpack it, or use gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it, or use gzip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file with `git lfs pull`"),
)
# the keys that annotation tools' JSON has; all of a set must occur near the beginning
JSON_KINDS = (
    ("a VIA 3 project", ('"project"', '"attribute"', '"metadata"')),
    ("a VIA 2 project", ('"_via_',)),
    ("an export of Label Studio", ('"from_name"', '"result"')),
    ("an export of Datumaro", ('"dm_format_version"',)),
    ("a COCO file", ('"images"', '"file_name"')),
    ("a COCO file", ('"categories"', '"bbox"')),
    ("a list of COCO results", ('"image_id"', '"bbox"')),
)


def describe_foreign_file(path: Path) -> str | None:
    """Describes a file that is no comma-separated UTF-8 text, and how to convert it.

    Args:
        path: A file that could not be read as CSV; its first 64 KiB are examined.

    Returns:
        A phrase that goes on after "the file is", or None where nothing foreign was recognized.
    """
    try:
        with open_bytes(path) as file:
            head = file.read(HEAD_BYTES)
    except DAMAGED as error:
        return f"compressed by gzip and damaged ({error})"
    whole_lines = head if len(head) < HEAD_BYTES else head[: head.rfind(b"\n") + 1]
    text = whole_lines.decode("utf-8-sig", errors="ignore")
    return _describe_bytes(head) or _describe_text(text)


def _describe_bytes(head: bytes) -> str | None:
    """Recognizes files by their first bytes."""
    known_kind = next((text for magic, text in BINARIES if head.startswith(magic)), None)
    if known_kind is not None:
        return known_kind
    if head.startswith(b"PK\x03\x04"):
        is_workbook = b"xl/" in head or b"[Content_Types].xml" in head
        return f"an Excel workbook: {SAVE_AS}" if is_workbook else "a zip archive: unpack it"
    if head[:1] == b"\x80" and head[1:2] < b"\x06":
        if b"gttubes" in head:
            return (
                "a pickle of tubes (UCF101-24, JHMDB, MultiSports): ava-det prepare-tubes reads "
                "it, ava-det import gttubes makes keyframes of it"
            )
        return "a pickle: only person boxes are read from one"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or head.count(0) > len(head) / 4:
        return f"text in UTF-16: {SAVE_AS}"
    return _describe_encoding(head)


def _describe_encoding(head: bytes) -> str | None:
    """Recognizes an encoding other than UTF-8; GBK by whether it gives Chinese characters."""
    if _decodes(head, "utf-8"):
        return None
    if _decodes(head, "gb18030") and re.search(
        r"[\u4e00-\u9fff]", head.decode("gb18030", "ignore")
    ):
        return f"text in GBK or another encoding that is not UTF-8: {SAVE_AS}"
    return f"text in Windows-1252 or another encoding that is not UTF-8: {SAVE_AS}"


def _decodes(head: bytes, encoding: str) -> bool:
    """Returns whether bytes are text of an encoding; the last character may be cut."""
    try:
        head.decode(encoding)
    except UnicodeDecodeError as error:
        return len(head) == HEAD_BYTES and error.start > len(head) - 4
    return True


def _describe_text(text: str) -> str | None:
    """Recognizes the formats of annotation tools."""
    start = text.lstrip()
    if start.startswith("# Exported using VGG Image Annotator"):
        return f"a CSV of VIA 3, which is not read: save the project as JSON; {IMPORTERS}"
    if start.startswith(("{", "[")):
        kind = next((name for name, keys in JSON_KINDS if all(key in text for key in keys)), None)
        return f"{kind or 'JSON'}, which is not read here; {IMPORTERS}"
    if start[:9].lower() in ("<!doctype", "<html>"):
        return "a web page (HTML), not the file it links to"
    if start.startswith("<"):
        kind = "an XML export of CVAT" if "<annotations" in text else "XML"
        return f"{kind}, which is not CSV; {IMPORTERS}"
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    return _describe_separator(lines) or _describe_first_column(lines)


def _describe_separator(lines: Sequence[str]) -> str | None:
    """Recognizes columns that are separated by something else than commas."""
    with_commas = len(next(csv.reader(lines), []))
    for separator, name in SEPARATORS.items():
        rows = list(csv.reader(lines, delimiter=separator))
        if rows and len(rows[0]) > with_commas and len({len(row) for row in rows}) == 1:
            if any(DECIMAL_COMMA.fullmatch(cell) for row in rows for cell in row):
                return f"separated by {name}, with decimal commas: write commas and decimal points"
            return f"separated by {name}: write commas between the columns"
    return None


def _describe_first_column(lines: Sequence[str]) -> str | None:
    """Recognizes a first column that counts the rows, and a comment in the first line."""
    if lines and lines[0].startswith("#"):
        return "begun by a comment (#): delete that line"
    rows = [row for row in csv.reader(lines) if row]
    named = bool(rows) and not rows[0][0].strip() and len(rows[0]) > 2  # as pandas heads its index
    first = [row[0].strip() for row in (rows[1:] if named else rows)]
    counts = any(first == [str(start + number) for number in range(len(first))] for start in (0, 1))
    ids_follow = any(len(row) in (3, 9) or not _is_number(row[1]) for row in rows if len(row) > 2)
    if first and counts and (named or ids_follow):
        return "begun by a column that counts the rows: write it without (in pandas: index=False)"
    return None


def _is_number(text: str) -> bool:
    """Returns whether a cell is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
