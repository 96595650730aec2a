"""AVA in miniature on a web server: the same table, the same archives, seven movies."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
import zipfile
from fractions import Fraction
from pathlib import Path

from ava_det.datasets.ava.sources import AVA, Member, Source, Table
from tests.support.numbered_video import write_numbered_video
from tests.support.range_server import Server

MOVIES = {
    "train": ["-AAAAAAAAAA.mkv", "BBBBBBBBBBB.mp4", "C_CCCCCCCCC.mp4"],
    "val": ["DDDDDDDDDDD.mkv", "EEEEEEEEEEE.mp4"],
    "test": ["FFFFFFFFFFF.webm", "GGGGGGGGGGG.mkv"],
}
LAST_SECOND = 906


def blob_id(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def movie_ids(split: str) -> list[str]:
    return [name.partition(".")[0] for name in MOVIES[split]]


def text_of(name: str) -> bytes:
    """What a file of the annotations says, by its name."""
    split = next((split for split in MOVIES if f"_{split}_" in name), "train")
    first, *_ = movie_ids(split)
    if name.endswith(".pbtxt"):
        return b'item {\n  name: "stand"\n  id: 12\n}\n'
    if "excluded" in name:
        return f"{first},0904\n".encode()
    if "boxes" in name:
        lines = [
            f"{video},{second:04d},0.1,0.1,0.5,0.9,,0.95"
            for video in movie_ids(split)
            for second in (902, 903, 904)
        ]
    else:
        lines = [
            f"{video},{second:04d},0.1,0.1,0.5,0.9,12,0"
            for video in movie_ids(split)
            for second in (902, 903, 904)
        ]
    return ("\n".join(lines) + "\n").encode()


def archive_of(source: Source) -> tuple[bytes, Source]:
    """An archive with every member of a source, and the source with their blob ids."""
    out = io.BytesIO()
    bodies = {member.name: text_of(member.name) for member in source.members}
    if source.path.endswith(".zip"):
        with zipfile.ZipFile(out, "w") as zipped:
            for name, body in bodies.items():
                zipped.writestr(f"folder/{name}", body)
    else:
        with tarfile.open(fileobj=out, mode="w:gz" if source.path.endswith("gz") else "w") as tar:
            for name, body in bodies.items():
                info = tarfile.TarInfo(f"ava_annotations/{name}")
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))
    members = tuple(
        Member(member.name, blob_id(bodies[member.name]), member.required)
        for member in source.members
    )
    return out.getvalue(), dataclasses.replace(source, members=members)


def write_movie(folder: Path, name: str, num_seconds: int) -> bytes:
    """One picture a second."""
    path = folder / name
    is_webm = name.endswith("webm")
    options = {"cpu-used": "8"} if is_webm else {"preset": "ultrafast"}
    moments = [Fraction(second) for second in range(num_seconds)]
    write_numbered_video(path, moments, "libvpx-vp9" if is_webm else "libx264", options, rate=1)
    return path.read_bytes()


def build_table(server: Server, folder: Path) -> Table:
    """AVA's table with every address on `server`, which then has the files. folder: for scratch."""
    sources = []
    for source in AVA.sources:
        if source.members:
            body, source = archive_of(source)
        elif "file_names" in source.path:
            splits = ("test",) if "test" in source.path else ("train", "val")
            body = "".join(f"{name}\n" for split in splits for name in MOVIES[split]).encode()
            source = dataclasses.replace(source, blob=blob_id(body))
        else:
            body = text_of(source.path)
        path = f"/{source.url.partition('//')[2]}"
        server.files[path] = body
        sources.append(dataclasses.replace(source, url=server.url + path))
    movies = {}
    for kind, entry in AVA.movies.items():
        splits = ("test",) if kind == "test" else ("train", "val")
        names = [name for split in splits for name in MOVIES[split]]
        movies[kind] = dataclasses.replace(entry, url=f"{server.url}/{kind}", count=len(names))
        num_seconds = 3 if kind == "test" else LAST_SECOND  # nobody reads those of test
        server.files |= {
            f"/{kind}/{name}": write_movie(folder, name, num_seconds) for name in names
        }
    return Table(tuple(sources), movies, {split: len(names) for split, names in MOVIES.items()})
