"""Small files: whole under their name, or the old content."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path

import pytest

from ava_det.files import hash_file, write_json, write_text


def test_text_is_utf8_with_the_line_ends_it_has(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.csv", "é,1\n2\r\n")
    assert (tmp_path / "new" / "a.csv").read_bytes() == b"\xc3\xa9,1\n2\r\n"


def test_what_json_cannot_say_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"mAP": 0.5, "name": "\udcff"})  # a file name that is not UTF-8
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"mAP": math.nan})
    assert json.loads(path.read_text(encoding="utf-8")) == {"mAP": 0.5, "name": "\udcff"}
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize("step", ["touch", "open", "replace"])
def test_an_interrupt_at_any_step_leaves_no_temporary_file(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch = Path.touch

    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    def touch_and_interrupt(path: Path, **options: bool) -> None:
        touch(path, **options)
        raise KeyboardInterrupt

    if step == "touch":
        monkeypatch.setattr(Path, "touch", touch_and_interrupt)
    elif step == "open":
        monkeypatch.setattr(Path, "open", interrupt)
    else:
        monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "a.csv", "1\n")
    assert not list(tmp_path.iterdir())


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    name = 250 * "a"  # the temporary one would have 264, of which a file system takes 255
    with pytest.raises(OSError, match=rf"File name too long: '[^']*/{name}'$"):
        write_text(tmp_path / name, "1\n")


def test_a_new_file_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.csv", "1\n")
    finally:
        os.umask(before)
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o640


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert hash_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()
