"""Manifests: ids, lines, shards, lists that a user makes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_det.archive.agenda import Agenda
from ava_det.archive.manifest import (
    Entry,
    Manifest,
    format_manifest,
    make_entry,
    read_list,
)
from ava_det.jobs.ids import make_id

PATHS = st.lists(st.text("aA/.%~é\udcff -", min_size=1, max_size=120), unique=True, max_size=8)


def manifest_of(entries: list[Entry]) -> Manifest:
    return Manifest(io.BytesIO(b"".join(format_manifest("/videos", entries))), "manifest.jsonl")


@given(PATHS)
def test_different_paths_have_different_ids_that_are_file_names(paths: list[str]) -> None:
    ids = [make_id(path) for path in paths]
    assert len(set(ids)) == len(paths)
    for one in ids:
        assert len(one) <= 180 and "/" not in one and not one.startswith(".") and one.isascii()


def test_an_id_can_be_read() -> None:
    assert make_id("cam1/monday 1.mp4") == "cam1%2Fmonday%201.mp4"
    long = "a" * 300
    assert make_id(long) != make_id(long + "b")


@given(PATHS)
def test_a_manifest_says_what_was_put_in(paths: list[str]) -> None:
    entries = [make_entry(path, number, 1.5) for number, path in enumerate(paths)]
    manifest = manifest_of(entries)
    assert manifest.root == "/videos"
    assert list(manifest) == entries
    index = manifest.index()
    assert [manifest.read_at(int(offset)) for offset in index.offsets] == entries


def test_shards_are_parts_of_the_whole() -> None:
    manifest = manifest_of([make_entry(f"v{number}.mp4", number, 0) for number in range(200)])
    parts = [manifest.index((part, 7)) for part in range(1, 8)]
    assert sorted(np.concatenate([part.offsets for part in parts])) == sorted(
        manifest.index().offsets
    )
    assert min(map(len, parts)) > 10


def test_an_agenda_has_the_longest_first_and_leaves_out_what_is_done() -> None:
    sizes = [3, 9, 1, 9, 5]
    entries = [make_entry(f"v{number}", size, 0) for number, size in enumerate(sizes)]
    agenda = Agenda(manifest_of(entries).index(), done=["v4", "other"])
    assert (agenda.num_done, agenda.num_bytes, len(agenda)) == (1, 22, 4)
    first = agenda.take()
    agenda.put_last(first)
    second = agenda.take()
    agenda.put_first(second)
    taken = [agenda.take().path for _ in range(4)]
    assert (first.path, taken, agenda.take()) == ("v1", ["v3", "v0", "v2", "v1"], None)


def test_a_line_that_is_damaged_is_named() -> None:
    good = b"".join(format_manifest("/v", [make_entry("a", 1, 0)]))
    with pytest.raises(ValueError, match=r"m\.jsonl, line 3: expected a JSON object"):
        Manifest(io.BytesIO(good + b"half a li"), "m.jsonl").index()
    with pytest.raises(ValueError, match=r"m\.jsonl, line 3: .* found no 'path'"):
        list(Manifest(io.BytesIO(good + b'{"id": "x"}\n'), "m.jsonl"))
    with pytest.raises(ValueError, match=r"m\.jsonl, line 1"):
        Manifest(io.BytesIO(b""), "m.jsonl")


def test_a_list_takes_paths_and_urls_and_objects(tmp_path: Path) -> None:
    (tmp_path / "a b.mp4").write_bytes(b"12345")
    os.utime(tmp_path / "a b.mp4", (100, 200.25))
    listed = tmp_path / "videos.txt"
    listed.write_text(
        'a b.mp4\n\ns3://bucket/c.mp4\n{"path": "s3://bucket/d.mp4", "size": 7, "mtime": 3}\n'
    )
    assert [(one.path, one.size, one.mtime) for one in read_list(listed)] == [
        ("a b.mp4", 5, 200.25),
        ("s3://bucket/c.mp4", 0, 0.0),
        ("s3://bucket/d.mp4", 7, 3.0),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a path"),
        ("gone.mp4", "line 1: .*gone.mp4: No such file"),
        ("s3://b/a\n\ns3://b/a", "line 3: s3://b/a is listed twice"),
        ("{half", "line 1: expected a path or a JSON object"),
        ('{"path": 3}', "line 1: expected path"),
        ('{"path": "s3://a", "size": "big"}', "line 1: expected path and size"),
        ('{"path": "s3://a", "mtime": "now"}', "line 1: expected mtime"),
    ],
)
def test_a_list_with_a_mistake_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "videos.txt").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_list(tmp_path / "videos.txt")
