"""Compares where a video file ends with the end that its own structure declares.

A copy that was interrupted ends before it, and decoders take that for the end of the video. Files
that were appended to one another go on behind it, and of most containers decoders read only the
first. Neither is an error of FFmpeg, so both would pass in silence. Only some of the file's
headers are read here, no frames. Streams without a header (MPEG-TS, MPEG-PS, raw ones) declare
nothing.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

SLACK_BYTES = 16  # some writers count the header of a chunk in its length, or pad it
SKIPPED_BYTES = 1024  # that follow a Matroska segment and are no other one
HEAD_BYTES = 1 << 16
UNWRITTEN = (0, 0xFFFFFFFF)  # what stands in place of a length that the writer did not come to
FLV_HEADER = re.compile(rb"FLV\x01[\x01\x04\x05]\0\0\0\x09\0\0\0\0")
# "Advanced Systems Format", section 3.2: the object's id, its length, the file's id, its length
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
OGG_END = 4  # of the flags of a page: the last of its stream (RFC 3533)


class DeclaredEnd(NamedTuple):
    """Describes where a file should end.

    Attributes:
        size: Bytes that the file says it has; None where it does not say.
        next_file: Where another file begins behind the end of the first; None where none does.
        is_unfinished: Whether its mark of the end is missing.
    """

    size: int | None = None
    next_file: int | None = None
    is_unfinished: bool = False


def describe_end(path: Path, container: str) -> list[str]:
    """Says that a file is cut off, or that another one was appended which is not read.

    Args:
        path: The file.
        container: FFmpeg's name of its format.

    Returns:
        At most one end of a sentence that begins with the file's name.
    """
    end, size = _find_end(path, container)
    if end.next_file is not None and not _reads_on(container):
        return [
            f"another file was appended to it after {end.next_file} bytes: only the first is "
            "read, join recordings with ffmpeg's concat instead"
        ]
    if end.is_unfinished:
        return ["it has no end mark: it is cut off, or was never finished"]
    if end.size is not None and end.size > size + SLACK_BYTES:
        return [
            f"it is cut off: at least {end.size - size} bytes are missing at its end (an "
            "unfinished copy or download?)"
        ]
    return []


def holds_another_file(path: Path, container: str) -> bool:
    """Returns whether another file was appended to this one, whose frames FFmpeg reads too.

    Args:
        path: The file.
        container: FFmpeg's name of its format.
    """
    return _reads_on(container) and _find_end(path, container)[0].next_file is not None


def _reads_on(container: str) -> bool:
    """Returns whether FFmpeg reads beyond the end of the first of several joined files."""
    return "matroska" in container or "avi" in container


def describe_unreadable(path: Path) -> str | None:
    """Says what a file is that FFmpeg cannot open, as far as its bytes show it.

    An MP4 or QuickTime file keeps its index in the box `moov`, often at its end: a recording that
    was broken off, or a copy, then lacks it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            kinds = [kind for _, _, kind in _walk_boxes(file, path.stat().st_size)]
    except OSError:  # there is none, or it may not be read: FFmpeg's reason says so
        return None
    if not head.strip(b"\0"):
        return "it is empty, or holds zeros only: an unfinished copy or download"
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: fetch the file with `git lfs pull`"
    if head.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        return "it is a web page (HTML), not the file it links to"
    if kinds[:1] == [b"ftyp"] and b"moov" not in kinds:
        return "it is cut off, or was never finished: its index (moov) is missing"
    return None


def _find_end(path: Path, container: str) -> tuple[DeclaredEnd, int]:
    """Returns the declared end of a file, and its size in bytes."""
    status = path.stat()
    return _read_end(path, container, status.st_size, status.st_mtime_ns), status.st_size


@lru_cache(maxsize=256)
def _read_end(path: Path, container: str, size: int, changed: int) -> DeclaredEnd:
    """Reads the declared end of a file, once for each state (size and time of change) of it."""
    find = next((find for name, find in _FORMATS.items() if name in container), None)
    if find is None:
        return DeclaredEnd()
    with path.open("rb") as file:
        return find(file, size)


def _find_end_of_boxes(file: BinaryIO, size: int) -> DeclaredEnd:
    """Finds a second file among the outermost boxes of an MP4 or QuickTime file."""
    position = 0
    kinds: set[bytes] = set()
    for begin, end, kind in _walk_boxes(file, size):
        if kind == b"ftyp" and {b"ftyp", b"moov"} <= kinds:
            return DeclaredEnd(next_file=begin)
        kinds.add(kind)
        position = end
    return DeclaredEnd(position)


def _walk_boxes(file: BinaryIO, size: int) -> Iterator[tuple[int, int, bytes]]:
    """Yields begin, end and kind of the outermost boxes (ISO/IEC 14496-12, 4.2)."""
    begin = 0
    while begin + 8 <= size:
        file.seek(begin)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8))
        if length == 0:  # the last one, to the end of the file
            length = size - begin
        if length < 8 or not kind.isalnum():
            return  # padding, or what is no box
        yield begin, begin + length, kind
        begin += length


def _find_end_of_riff(file: BinaryIO, size: int) -> DeclaredEnd:
    """Walks over the RIFF chunks of an AVI file; large files have several."""
    position = 0
    while position + 12 <= size:
        file.seek(position)
        kind, length, form = struct.unpack("<4sI4s", file.read(12))
        if kind != b"RIFF" or length in UNWRITTEN:
            return DeclaredEnd(position)
        if position and form == b"AVI ":  # that of the further chunks of a large file is AVIX
            return DeclaredEnd(next_file=position)
        position += 8 + length + length % 2
    return DeclaredEnd(position)


def _find_end_of_asf(file: BinaryIO, size: int) -> DeclaredEnd:
    """Reads the length of the file in an ASF (wmv) header."""
    head = file.read(HEAD_BYTES)
    place = head.find(ASF_FILE_PROPERTIES)
    if place < 0 or place + 48 > len(head):
        return DeclaredEnd()
    declared = int.from_bytes(head[place + 40 : place + 48], "little")
    file.seek(declared)
    appended = declared > 0 and file.read(16) == head[:16]
    return DeclaredEnd(declared or None, declared if appended else None)


def _find_end_of_flv(file: BinaryIO, size: int) -> DeclaredEnd:
    """Finds a second header in an FLV file, and the length of the file in its metadata."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        second = FLV_HEADER.search(content, 13)
        size_entry = re.search(rb"(?i)filesize\0(.{8})", content[:HEAD_BYTES], re.DOTALL)
        declared = round(struct.unpack(">d", size_entry[1])[0]) if size_entry else 0
        return DeclaredEnd(declared or None, second.start() if second else None)


def _find_end_of_ogg(file: BinaryIO, size: int) -> DeclaredEnd:
    """Reads whether the last page of an Ogg file is marked as the last of its stream."""
    file.seek(max(size - HEAD_BYTES, 0))
    pages = file.read().rpartition(b"OggS\0")
    flags = pages[2][0] if pages[2] else 0
    return DeclaredEnd(is_unfinished=not flags & OGG_END)


def _find_end_of_segment(file: BinaryIO, size: int) -> DeclaredEnd:
    """Reads the length of the segment of a Matroska or WebM file, which is nearly all of it."""
    header = _read_element_length(file)
    if header is None:
        return DeclaredEnd()
    file.seek(header, os.SEEK_CUR)
    segment = _read_element_length(file)
    if segment is None:  # a live recording
        return DeclaredEnd()
    end = file.tell() + segment
    return DeclaredEnd(end, end if end + SKIPPED_BYTES < size else None)


def _read_element_length(file: BinaryIO) -> int | None:
    """Reads the id and the length of an EBML element (RFC 8794); None for an unknown length."""
    values = []
    for keep_marker in (True, False):
        first = file.read(1)
        size = 9 - first[0].bit_length() if first else 9
        if size > 8:
            return None
        value = first[0] if keep_marker else first[0] & ((1 << (8 - size)) - 1)
        rest = file.read(size - 1)
        values.append((value << 8 * len(rest)) | int.from_bytes(rest))
    return None if values[1] == (1 << 7 * size) - 1 else values[1]


# by a part of FFmpeg's name of the format
_FORMATS: dict[str, Callable[[BinaryIO, int], DeclaredEnd]] = {
    "mov": _find_end_of_boxes,
    "avi": _find_end_of_riff,
    "asf": _find_end_of_asf,
    "flv": _find_end_of_flv,
    "ogg": _find_end_of_ogg,
    "matroska": _find_end_of_segment,
}
