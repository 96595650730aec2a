"""A file that is read is never written, whatever it is called by."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ava_det.files import require_other_files


@pytest.mark.parametrize("name", ["same", "symlink", "hard link", "relative", "through a folder"])
def test_a_source_is_recognized_behind_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source, other = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("all there is")
    if name == "symlink":
        other.symlink_to(source)
    elif name == "hard link":
        os.link(source, other)
    elif name == "relative":
        monkeypatch.chdir(tmp_path)
        other = Path("./in.csv")
    elif name == "through a folder":
        (tmp_path / "folder").mkdir()
        other = tmp_path / "folder" / ".." / "in.csv"
    target = source if name == "same" else other
    with pytest.raises(ValueError, match=r"--json: expected another file than --annotations reads"):
        require_other_files({"--json": target}, {"--boxes": None, "--annotations": [source]})


def test_another_case_is_the_same_file_where_the_system_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("all there is")
    require_other_files({"--json": tmp_path / "IN.csv"}, {"--annotations": source})
    # as on a file system that does not tell cases apart
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setattr(os.path, "samefile", lambda a, b: str(a).lower() == str(b).lower())
    with pytest.raises(ValueError, match=r"in\.csv as .*IN\.csv would be overwritten"):
        require_other_files({"--json": tmp_path / "IN.csv"}, {"--annotations": source})


def test_what_is_no_file_is_no_source(tmp_path: Path) -> None:
    sources = {"--weights": "pyslowfast/SLOW_8x8_R50", "--boxes": None, "--videos": []}
    require_other_files({"--output": [tmp_path / "new.csv", tmp_path / "other.csv"]}, sources)
