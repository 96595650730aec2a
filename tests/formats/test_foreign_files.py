"""Files that are no CSV of ours: what they are, and the remedy, in the refusal."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ava_det.formats.ava_csv import (
    load_annotations,
    load_box_rows,
    load_detections,
    load_excluded,
)
from ava_det.formats.ava_csv.foreign import describe_foreign_file

ROWS = [f"clip{i},{i:04d},0.1,0.1,0.4,0.9,{i % 3 + 1},0" for i in range(2, 6)]
TEXT = "\n".join(ROWS) + "\n"
VIA = {"project": {"pname": "x"}, "attribute": {}, "file": {}, "metadata": {}}
COCO = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}
STUDIO = [{"annotations": [{"result": [{"from_name": "box", "type": "videorectangle"}]}]}]


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


def indexed(start: int, header: str = "") -> bytes:
    return (header + "".join(f"{i},{row}\n" for i, row in enumerate(ROWS, start))).encode()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (TEXT.replace(",", ";").encode(), "separated by semicolons: write commas"),
        (TEXT.replace(",", "\t").encode(), "separated by tabs: write commas"),
        (TEXT.replace(",", " ").encode(), "separated by blanks: write commas"),
        (TEXT.replace(",", ";").replace(".", ",").encode(), "semicolons, with decimal commas"),
        (indexed(0), "a column that counts the rows: write it without (in pandas: index=False)"),
        (indexed(1), "a column that counts the rows"),
        (indexed(0, ",video_id,timestamp,x1,y1,x2,y2,action,person\n"), "counts the rows"),
        (("# mine\n" + TEXT).encode(), "begun by a comment (#): delete that line"),
        (TEXT.encode("utf-16"), "text in UTF-16: save it as 'CSV UTF-8 (comma delimited)'"),
        (TEXT.encode("utf-16-le"), "text in UTF-16"),
        (TEXT.replace("clip", "视频").encode("gbk"), "text in GBK or another encoding"),
        (TEXT.replace("clip", "é").encode("latin-1"), "that is not UTF-8: save it as"),
        (json.dumps(VIA).encode(), "a VIA 3 project, which is not read here"),
        (json.dumps(COCO, indent=1).encode(), "a COCO file, which is not read here"),
        (json.dumps(STUDIO).encode(), "an export of Label Studio, which is not read here"),
        (b'{"a": 1}', "JSON, which is not read here"),
        (b"# Exported using VGG Image Annotator (http://x)\n", "a CSV of VIA 3"),
        (b"<?xml version='1.0'?>\n<annotations></annotations>", "an XML export of CVAT"),
        (pickle.dumps({"gttubes": {}}), "a pickle of tubes"),
        (pickle.dumps({"v,1": []}), "a pickle: only person boxes are read from one"),
        (workbook(), "an Excel workbook: save it as"),
        (b"PAR1" + bytes(8), "a Parquet file"),
        (gzip.compress(TEXT.replace(",", ";").encode(), mtime=0), "separated by semicolons"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-9], "compressed by gzip and damaged"),
        (b"BZh91AY&SY", "compressed by bzip2: unpack it"),
        (b"\xfd7zXZ\x00\x00\x04", "compressed by xz: unpack it"),
        (b"\x28\xb5\x2f\xfd\x04", "compressed by zstd: unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "fetch the file with `git lfs pull`"),
        (b"<!DOCTYPE html>\n<html>404</html>", "a web page (HTML)"),
    ],
)
def test_the_kind_and_the_remedy_are_named(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    found = describe_foreign_file(path)
    assert found is not None
    assert expected in found


@pytest.mark.parametrize("load", [load_annotations, load_detections, load_box_rows])
def test_every_reader_says_so(load: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for content, words in (
        (TEXT.replace(",", ";").encode(), "columns, found 1; the file is separated by semicolons"),
        (TEXT.encode("utf-16"), "expected UTF-8 text; the file is text in UTF-16"),
        (json.dumps(VIA).encode(), "the file is a VIA 3 project"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"rows\.csv") as refused:
            load(path)
        assert words in str(refused.value)


def test_a_plain_csv_with_a_bad_row_is_not_taken_for_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for rows in (
        [*ROWS, "clip9,0009,0.1"],
        ["1,0002,0.1,0.1,0.4,0.9,1,0", "2,0002,0.1,0.1,0.4,0.9,1,x"],  # ids that are numbers
        ["a;b,0002,0.1,0.1,0.4,0.9,1,x"],
        ["视频,0002,0.1,0.1,0.4,0.9,1,x"],
    ):
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        assert describe_foreign_file(path) is None
        with pytest.raises(ValueError, match=r"rows\.csv, line \d: expected"):
            load_annotations(path)


@pytest.mark.parametrize("number", ["0", "-1", "0.0"])
@pytest.mark.parametrize("empty", [False, True])
def test_ids_count_from_1(number: str, empty: bool, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    first = "v,0001,0.1,0.1,0.4,0.9,,0\n" if empty else ""  # empty: a person without an action
    path.write_text(f"{first}v,0002,0.1,0.1,0.4,0.9,1,0\nv,0003,0.1,0.1,0.4,0.9,{number},0\n")
    line = 3 if empty else 2
    with pytest.raises(
        ValueError,
        match=rf"rows\.csv, line {line}: expected an action id from 1 on, found -?\d; ids count",
    ):
        load_annotations(path)
    refused: dict[int, str] = {}
    assert load_annotations(path, refused).action_ids.tolist()[-1] == int(float(number))
    assert not refused
    assert len(load_detections(path)) if not empty else True  # results are warned of, not refused


def test_an_empty_action_is_nobodys_zero(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("v,0001,0.1,0.1,0.4,0.9,,0\nv,0002\n")
    assert load_annotations(path).action_ids.tolist() == [0, 0]


@pytest.mark.parametrize("second", ["0902", "902.5", "902.0"])
def test_compressed_files_are_read_alike(second: str, tmp_path: Path) -> None:
    text = f"v,{second},0.1,0.1,0.4,0.9,1,0.5\n\n"
    plain = tmp_path / "rows.csv"
    packed = tmp_path / "rows.csv.gz"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    one, other = load_detections(plain), load_detections(packed)
    assert one.timestamps.tolist() == other.timestamps.tolist() == [float(second)]
    assert one.forms == other.forms
    packed.write_bytes(gzip.compress(f"v,{second}\n".encode()))
    assert load_excluded(packed) == {("v", f"{float(second):.6f}")}
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"rows\.csv\.gz, after line \d: the compressed file is"):
        load_excluded(packed)
    with pytest.raises(ValueError, match=r"rows\.csv\.gz"):
        load_annotations(packed)
