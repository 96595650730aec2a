"""Label maps in the forms people have: read where they mean one thing, else refused with the
line.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ava_det.formats.label_map import load_label_map

TWO = {1: "walk", 2: "raise hand"}


def load(folder: Path, text: str) -> dict[int, str]:
    path = folder / "map.txt"
    path.write_text(text, encoding="utf-8")
    return load_label_map(path)


@pytest.mark.parametrize(
    "text",
    [
        "1: walk\n2: raise hand\n",
        "\ufeff1: walk\r\n\r\n2: raise hand\r\n",
        "# mine\n1,walk\n2,raise hand",
        "1 walk\n2 raise hand",
        "1: 'walk'\n2: \"raise hand\"",
        "walk\nraise hand\n",
        'item: {\n name: "walk"\n id: 1\n}\nitem: { name: "raise hand" id: 2 }',
        'item { name: walk id: 1 } item { name: "raise hand" id: 2 }',
        '{"1": "walk", "2": "raise hand"}',
        '{"walk": 1, "raise hand": 2}',
        '["walk", "raise hand"]',
        '{"categories": [{"id": 1, "name": "walk"}, {"id": 2, "name": "raise hand"}]}',
        "names: [walk, raise hand]",
        "nc: 2\nnames:\n  1: walk\n  2: raise hand",
        "- walk\n- raise hand\n",
    ],
)
def test_other_forms_are_read(text: str, tmp_path: Path) -> None:
    assert load(tmp_path, text) == TWO


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0: walk\n1: talk", "line 1: expected an id of 1 or more, found 0 for 'walk'; ids count"),
        ('item { name: "background" id: 0 }', "ids count from 1: delete the entry"),
        ('{"0": "walk"}', "ids count from 1: add 1 to every id, here and in the annotations"),
        ("names:\n  0: person", "ids count from 1"),
        ("item {\n  name: raise hand\n  id: 1\n}", "line 2: write the name in double quotes"),
        ("item {\n  name: “walk”\n  id: 1\n}", "line 2: write the name in double quotes"),
        ("1: walk\n1: talk", "line 2: expected every id once, found 1 twice"),
        ("walk: 1\ntalk: 2", "line 1: expected item"),
        ("walk,1\ntalk,2", "line 1: expected item"),
        ("id,name\n1,walk", "line 1: expected item"),
        ("404: Not Found", "line 1: expected item"),
        ("<html><body>", "line 1: expected item"),
        ('{"walk": {"id": 1}}', "line 1: expected item"),
        ("[" * 100_000, "line 1: expected item"),
        ("1:\n2: talk", "line 1: expected item"),
        ("\x00\x01", "line 1: expected item"),
    ],
)
def test_what_may_mean_several_things_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"map\.txt") as refused:
        load(tmp_path, text)
    assert expected in str(refused.value)


def test_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_bytes('item { name: "走" id: 1 }'.encode("gbk"))
    with pytest.raises(ValueError, match=r"map\.pbtxt: expected a label map in UTF-8 text, found"):
        load_label_map(path)


def test_a_compressed_map_is_read(tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt.gz"
    path.write_bytes(gzip.compress(b'item {\r\n  name: "walk"\r\n  id: 1\r\n}\r\n'))
    assert load_label_map(path) == {1: "walk"}
