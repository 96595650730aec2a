"""The command line of the evaluator: what it prints and writes, and how it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ava_det.evaluation import PROTOCOLS

RunTool = Callable[..., tuple[int, str, str]]
BOX = "0.1,0.2,0.5,0.8"
MAP = "".join(
    f'label {{\n  name: "{name}"\n  label_id: {number}\n  label_type: {kind}\n}}\n'
    for number, name, kind in (
        (1, "bend", "PERSON_MOVEMENT"),
        (2, "stand", "PERSON_MOVEMENT"),
        (64, "talk", "PERSON_INTERACTION"),
    )
)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Ten keyframes with one person each who stands, and bends in the first five; detections get
    two of these wrong.
    """
    truth = []
    found = []
    for second in range(902, 912):
        truth.append(f"v,{second:04d},{BOX},2,0")
        truth += [f"v,{second:04d},{BOX},1,0"] * (second < 907)
        found.append(f"v,{second:04d},{BOX},2,{0.5 + second / 10000}")
        found.append(f"v,{second:04d},{BOX},1,{0.9 - second / 2000}")
    found += [f"v,0950,{BOX},1,0.9", f"v,0902,{BOX},70,0.9", "v,0902,0.2,0.2,0.2,0.2,1,0.9"]
    (tmp_path / "gt.csv").write_text("\n".join(truth) + "\n")
    (tmp_path / "det.csv").write_text("\n".join(found) + "\n")
    (tmp_path / "excluded.csv").write_text("v,0911\n")
    (tmp_path / "map.pbtxt").write_text(MAP)
    return {name: tmp_path / name for name in ("gt.csv", "det.csv", "excluded.csv", "map.pbtxt")}


def arguments(files: dict[str, Path], *more: object) -> list[object]:
    paired = (
        ("--annotations", "gt.csv"),
        ("--detections", "det.csv"),
        ("--label-map", "map.pbtxt"),
    )
    return [part for option, name in paired for part in (option, files[name])] + list(more)


def test_it_prints_and_writes_the_result(
    files: dict[str, Path], run_tool: RunTool, tmp_path: Path
) -> None:
    code, out, err = run_tool(
        "evaluate", *arguments(files, "--json", tmp_path / "m.json", "--iou", 0.5, 0.75)
    )
    assert (code, err) == (0, "")
    result = json.loads((tmp_path / "m.json").read_text())
    assert result["mAP"] == pytest.approx(1.0)
    assert result["tie_interval"] == [result["mAP"]] * 2
    assert result["per_class"]["64"] == {"name": "talk", "AP": None, "num_gt": 0, "num_det": 0}
    assert result["per_class"]["1"] == {"name": "bend", "AP": 1.0, "num_gt": 5, "num_det": 10}
    assert result["counts"] == {
        "ignored": 1,
        "excluded": 0,
        "capped": 0,
        "invalid": 1,
        "tied": 0,
        "off_list": 1,
    }
    assert result["by_group"] == {"person movement": 1.0, "person interaction": None}
    assert set(result["by_iou"]) == {"0.75"}
    for text in (
        "frame mAP 1.0000 at IoU 0.5, activitynet-2020, 10 keyframes",
        "mean of person movement",
        "1  off-list",
    ):
        assert text in out
    assert "undefined        0         0  64 talk" in out


def test_all_protocols_side_by_side(
    files: dict[str, Path], run_tool: RunTool, tmp_path: Path
) -> None:
    more = ("--protocol", "all", "--json", tmp_path / "m.json", "--excluded", files["excluded.csv"])
    code, out, _ = run_tool("evaluate", *arguments(files, *more))
    assert code == 0
    results = json.loads((tmp_path / "m.json").read_text())
    assert list(results) == list(PROTOCOLS)
    assert [results[name]["counts"]["excluded"] for name in PROTOCOLS] == [0, 2, 2, 2, 2]
    assert all(name in out for name in PROTOCOLS)
    assert "protocol activitynet-2020 does not use an exclusion list" in out


def test_a_protocol_that_refuses_does_not_stop_the_others(
    files: dict[str, Path], run_tool: RunTool, tmp_path: Path
) -> None:
    with files["gt.csv"].open("a") as file:
        file.write("v,0960\n")
    code, out, _ = run_tool(
        "evaluate", *arguments(files, "--protocol", "all", "--json", tmp_path / "m.json")
    )
    assert code == 0
    results = json.loads((tmp_path / "m.json").read_text())
    assert results["activitynet-2020"]["num_keyframes"] == 11
    for name in list(PROTOCOLS)[1:]:
        assert list(results[name]) == ["error"]
        assert "gt.csv, line 16: " in results[name]["error"]
        assert f"{name:17} error: " in out
    files["gt.csv"].write_text(f"v,0902,{BOX},,\n")
    code, _, err = run_tool("evaluate", *arguments(files, "--protocol", "all"))
    assert code == 2
    assert "mmaction2: " in err


def test_a_comparison_lists_the_gains(
    files: dict[str, Path], run_tool: RunTool, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    other = tmp_path / "other.csv"
    other.write_text(f"v,0902,{BOX},1,0.9\nv,0902,{BOX},2,0.9\n")
    more = ("--compare", other, "--gt-boxes", files["det.csv"], "--report", tmp_path / "report")
    code, out, _ = run_tool("evaluate", *arguments(files, *more))
    assert code == 0
    gains = out[out.index("gain in AP over") :].splitlines()
    assert gains[1].split() == ["+0.9000", "2", "stand"]
    assert gains[2].split() == ["+0.8000", "1", "bend"]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Gains by class" in page
    assert "mAP with ground-truth boxes" in page


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "det.csv",
            "video_id,timestamp,x1,y1,x2,y2,action_id,score\n",
            "det.csv, line 1: expected a number as timestamp",
        ),
        (
            "det.csv",
            f"v,0902,{BOX},1,0.9,7\n",
            "det.csv, line 1: expected 2, 7 or 8 columns, found 9",
        ),
        (
            "det.csv",
            f"v,0902,{BOX},1,0.9\nv,0902,0.1,x,0.5,0.8,1,0.9\n",
            "det.csv, line 2: expected a number as y1",
        ),
        (
            "det.csv",
            f"v,0902,{BOX},1,0.9\nv,0902,{BOX},80,3_",
            "det.csv, line 2: expected a number as score, found '3_'",
        ),
        (
            "gt.csv",
            f"v,0902,{BOX},1,0\nv,0902,{BOX},80,3_",
            "gt.csv, line 2: expected a number as person_id, found '3_'",
        ),
        (
            "gt.csv",
            "v,0902,0.5,0.8,0.1,0.2,1,0\n",
            "gt.csv, line 1: expected x1 <= x2 and y1 <= y2, found an inverted",
        ),
        ("map.pbtxt", "", "map.pbtxt: expected a label map"),
        ("excluded.csv", "v\n", "excluded.csv, line 1: expected video_id,timestamp"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(
    name: str,
    content: str,
    expected: str,
    files: dict[str, Path],
    run_tool: RunTool,
    tmp_path: Path,
) -> None:
    files[name].write_text(content)
    more = (
        "--excluded",
        files["excluded.csv"],
        "--protocol",
        "activitynet-2019",
        "--json",
        tmp_path / "m.json",
    )
    code, out, err = run_tool("evaluate", *arguments(files, *more))
    assert (code, out) == (2, "")
    assert expected in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize(
    ("content", "mean_ap", "counts", "warning"),
    [
        (f"v,0902,{BOX},1,0.9\r\nv,0902,{BOX},2,0.8\r\n", 0.15, {}, None),
        (f"v,0902,{BOX},1\nv,0902,{BOX},2\n", 0.15, {}, "all 2 detection scores are 1"),
        (f"v,0902,{BOX},1,nan\nv,0902,{BOX},2,inf\n", 0.15, {}, "not within 0..1"),
        ("v,0902,10,20,50,80,1,0.9\n", 0.0, {}, "looks like pixels"),
        ("v,0902,0.5,0.8,0.1,0.2,1,0.9\n", 0.0, {"invalid": 1}, "boxes are inverted"),
        ("", 0.0, {}, "no rows"),
    ],
)
def test_odd_detections_are_scored_as_the_protocol_says(
    content: str,
    mean_ap: float,
    counts: dict[str, int],
    warning: str | None,
    files: dict[str, Path],
    run_tool: RunTool,
) -> None:
    files["det.csv"].write_bytes(content.encode())
    output = files["det.csv"].parent / "m.json"
    code, out, _ = run_tool("evaluate", *arguments(files, "--json", output))
    assert code == 0
    result = json.loads(output.read_text())
    assert result["mAP"] == pytest.approx(mean_ap)
    assert {name: result["counts"][name] for name in counts} == counts
    assert (
        warning is None or f"warning: {next(w for w in result['warnings'] if warning in w)}" in out
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_missing_gpu_is_one_sentence(files: dict[str, Path], run_tool: RunTool) -> None:
    code, _, err = run_tool("evaluate", *arguments(files, "--device", "cuda"))
    assert code == 2
    assert (
        err == "error: --device cuda: expected a CUDA device, "
        "found none that this torch build can use\n"
    )


def test_mistakes_on_the_command_line(
    files: dict[str, Path], run_tool: RunTool, tmp_path: Path
) -> None:
    cases = [
        (("--protocol", "coco"), "invalid choice: 'coco'"),
        (("--iou", "50"), "IoU threshold: expected above 0 and at most 1, found 50"),
        (
            ("--protocol", "all", "--report", tmp_path / "r"),
            "--report: expected one --protocol, found all",
        ),
        (("--compare", tmp_path / "none.csv"), "none.csv: no such file"),
    ]
    for more, expected in cases:
        code, _, err = run_tool("evaluate", *arguments(files, *more))
        assert code == 2
        assert expected in err
        assert "Traceback" not in err


def test_a_list_that_cannot_be_read_is_refused_also_where_it_is_not_used(
    files: dict[str, Path], run_tool: RunTool
) -> None:
    files["excluded.csv"].write_text("video_id,timestamp\nv,0911\n")
    code, _, err = run_tool("evaluate", *arguments(files, "--excluded", files["excluded.csv"]))
    assert code == 2
    assert "excluded.csv, line 1: expected a row such as movie,902" in err
    files["excluded.csv"].unlink()
    assert run_tool("evaluate", *arguments(files, "--excluded", files["excluded.csv"]))[0] == 2


def test_swapped_files_are_refused_where_that_is_certain(
    files: dict[str, Path], run_tool: RunTool, tmp_path: Path
) -> None:
    swapped = {**files, "gt.csv": files["det.csv"], "det.csv": files["gt.csv"]}
    code, _, err = run_tool("evaluate", *arguments(swapped))
    assert code == 2
    assert "det.csv: column 8 holds 0.9, a score" in err.replace("0.5902", "0.9")
    assert run_tool("evaluate", *arguments({**files, "gt.csv": files["det.csv"]}))[0] == 2
    code, _, err = run_tool("evaluate", *arguments({**files, "det.csv": files["gt.csv"]}))
    assert code == 2
    assert "annotations were given as --detections" in err
    counted = tmp_path / "counted.csv"  # scores of 0 and 1 may be meant so
    counted.write_text("".join(f"v,{902 + n:04d},{BOX},1,{n % 3}\n" for n in range(9)))
    code, out, _ = run_tool("evaluate", *arguments({**files, "det.csv": counted}))
    assert code == 0
    assert "whole numbers from 0 to 2, as person ids are" in out
