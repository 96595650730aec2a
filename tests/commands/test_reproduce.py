"""The reproduction tool on two short movies with weights drawn from a seed: what it writes, checks
and goes on with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.config import load_config
from ava_det.models.build import build_model

RunTool = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
CONFIG = "configs/ava/pyslowfast/SLOW_8x8_R50.yaml"
SMALL = [
    "model.width=4",
    "data.test_short_side=32",
    "eval.batch_size=4",
    "train.num_workers=0",
    "precision=fp32",
    "device=cpu",
    "data.start_second=900",
]
SECONDS = range(902, 908)


def write_movie(path: Path, seed: int) -> None:
    """Nine seconds of drifting blocks; the first frame is at second 900."""
    picture = (
        np.random.default_rng(seed)
        .integers(0, 255, (12, 16, 3), np.uint8)
        .repeat(4, 0)
        .repeat(4, 1)
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = "yuv420p"
        for number in range(225):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, number, axis=1), format="rgb24")
            frame.pts = number
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture
def movies(tmp_path: Path) -> Path:
    """Two movies, a third that is only annotated, person boxes, ground truth, weights."""
    (tmp_path / "videos").mkdir()
    truth = []
    boxes = []
    for index, name in enumerate(("aaa", "bbb")):
        write_movie(tmp_path / "videos" / f"{name}.mp4", index)
        for second in SECONDS:
            for person, box in enumerate(("0.100,0.100,0.400,0.900", "0.500,0.200,0.900,0.950")):
                truth.append(
                    f"{name},{second:04d},{box},{12 if (second + person) % 2 else 17},{person}"
                )
                boxes.append(
                    f"{name},{second:04d},{box},,{0.95 - 0.3 * (person and second == 903):.2f}"
                )
        # published lists reach beyond the keyframes
        boxes.append(f"{name},0901,0.1,0.1,0.2,0.2,,0.99")
    truth.append("ccc,0902,0.1,0.1,0.4,0.9,12,0")
    (tmp_path / "val.csv").write_text("\n".join(truth) + "\n")
    (tmp_path / "boxes.csv").write_text("\n".join(boxes) + "\n")
    (tmp_path / "excluded.csv").write_text("aaa,0904\n")
    (tmp_path / "map.pbtxt").write_text(
        'item { name: "stand" id: 12 }\nitem { name: "carry/hold (an object)" id: 17 }\n'
    )
    torch.manual_seed(3)
    save_checkpoint(
        tmp_path / "C2D_8x8_R50.pkl",
        {"model": build_model(load_config(CONFIG, SMALL)).state_dict()},
    )
    return tmp_path


def arguments(
    movies: Path, *extra: str, output: str = "out", weights: str = "C2D_8x8_R50.pkl"
) -> list[str]:
    data = [
        f"data.val.annotations={movies}/val.csv",
        f"data.val.boxes={movies}/boxes.csv",
        f"data.val.excluded={movies}/excluded.csv",
        f"data.label_map={movies}/map.pbtxt",
    ]
    base = [
        "--weights",
        f"{movies}/{weights}",
        "--videos",
        f"{movies}/videos",
        "--output",
        f"{movies}/{output}",
    ]
    return [*base, *SMALL, *data, *extra]


def detections(movies: Path, output: str = "out") -> str:
    return "".join(path.read_text() for path in sorted((movies / output / "videos").glob("*.csv")))


def test_a_run_prints_every_protocol_and_writes_a_report(movies: Path, run_tool: RunTool) -> None:
    code, printed, errors = run_tool("reproduce", *arguments(movies))
    assert code == 0, errors
    for protocol in (
        "activitynet-2020",
        "activitynet-2019",
        "activitynet-2018",
        "pyslowfast",
        "mmaction2",
    ):
        assert f"| {protocol} |" in printed
    assert "not comparable: 19.5 is of 64 movies, this is of 2" in printed
    assert "warning: missing movies: 1 of 3, such as ccc" in errors
    assert "warning: wrong cut: aaa, bbb hold about 270 pictures" in errors
    assert "warning: wrong list" in errors
    content = json.loads((movies / "out/report.json").read_text())
    assert content["published"]["mean_ap"] == 0.195
    assert content["num_keyframes"] == 2 * len(SECONDS)
    assert content["num_boxes"] == 4 * len(SECONDS) - 2  # one person a movie is below 0.9
    assert content["results"]["pyslowfast"]["mAP"] > 0
    assert content["settings"]["data.frame_colour"] == "bt601"
    written = (movies / "out/report.md").read_text()
    assert written.startswith(f"# {movies}/C2D_8x8_R50.pkl\n")
    assert "25.000 fps, 64x48, .mp4" in written
    # rows of the box list's keyframes, on its boxes, of the two evaluated classes
    assert len(detections(movies).splitlines()) == 2 * (4 * len(SECONDS) - 2)
    assert "aaa,0904,0.1,0.1,0.4,0.9,12," in detections(movies)


def test_a_run_goes_on_where_it_was_stopped(movies: Path, run_tool: RunTool) -> None:
    assert run_tool("reproduce", *arguments(movies, output="whole"))[0] == 0
    assert run_tool("reproduce", *arguments(movies, "--limit", "1"))[0] == 0
    first = movies / "out/videos/aaa.csv"
    before = first.stat().st_mtime_ns
    code, printed, _ = run_tool("reproduce", *arguments(movies))
    assert code == 0
    assert "1 of 2 movies are there from an earlier run" in printed
    assert first.stat().st_mtime_ns == before
    assert detections(movies) == detections(movies, "whole")


def test_results_of_other_weights_or_boxes_are_not_mixed(movies: Path, run_tool: RunTool) -> None:
    assert run_tool("reproduce", *arguments(movies, "--limit", "1"))[0] == 0
    for extra, differs in (
        ("data.frame_grid=seconds", "settings"),
        (f"data.val.boxes={movies}/other.csv", "boxes"),
    ):
        (movies / "other.csv").write_text("aaa,0902,0.1,0.1,0.2,0.2,,0.99\n")
        code, _, errors = run_tool("reproduce", *arguments(movies, extra))
        assert code == 2
        assert f"holds results of other {differs}; choose another --output" in errors


def test_lost_clips_are_said_and_tried_again(movies: Path, run_tool: RunTool) -> None:
    short = movies / "videos/aaa.mp4"
    whole = short.read_bytes()
    with av.open(str(short), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = "yuv420p"
        for _ in range(100):
            container.mux(
                stream.encode(
                    av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
                )
            )
        container.mux(stream.encode())
    code, printed, _ = run_tool("reproduce", *arguments(movies))
    assert code == 0
    assert "keyframes of aaa got no detections" in printed
    assert (movies / "out/videos/aaa.partial.csv").is_file()
    short.write_bytes(whole)
    assert "keyframes of aaa" not in run_tool("reproduce", *arguments(movies))[1]
    assert sorted(path.name for path in (movies / "out/videos").iterdir()) == ["aaa.csv", "bbb.csv"]


def test_a_log_gives_every_class_to_compare_with(movies: Path, run_tool: RunTool) -> None:
    (movies / "test.log").write_text("'PascalBoxes_PerformanceByCategory/AP@0.5IOU/stand': 0.5")
    assert run_tool("reproduce", *arguments(movies, "--reference", f"{movies}/test.log"))[0] == 0
    assert "| stand |" in (movies / "out/report.md").read_text()
    [[name, here, there]] = json.loads((movies / "out/report.json").read_text())["classes"]
    assert (name, there) == ("stand", 0.5)
    assert 0 < here <= 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--weights", "nobody.pt"], "no published name or file, expected --config"),
        (["--weights", "pyslowfast/SLOWFAST_32x2_R50_SHORT"], "expected --config"),
        (["data.val.boxes=gt"], "expected the published list of person boxes, found no file gt"),
        (["data.start_second=0"], "add data.start_second=900"),
        (["--videos", "{movies}/others"], "expected movies named by the ids of"),
        (["--limit", "0"], "--limit: expected a whole number of at least 1"),
    ],
)
def test_a_mistake_is_one_sentence(
    movies: Path, run_tool: RunTool, change: list[str], sentence: str
) -> None:
    (movies / "others").mkdir()
    write_movie(movies / "others" / "zzz.mp4", 2)
    code, _, errors = run_tool(
        "reproduce", *arguments(movies, *(text.format(movies=movies) for text in change))
    )
    assert code == 2
    assert sentence in errors
    assert "Traceback" not in errors


def test_weights_that_cannot_be_downloaded_are_one_sentence(
    movies: Path, run_tool: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVA_DET_CACHE", str(movies / "cache"))
    monkeypatch.setattr("ava_det.checkpoint.zoo._fetch", _no_network)
    code, _, errors = run_tool(
        "reproduce", *arguments(movies, "--weights", "pyslowfast/SLOW_8x8_R50")
    )
    assert code == 2
    assert "the download failed (no route to host); download https://" in errors.splitlines()[-1]


def _no_network(url: str, path: str) -> None:
    raise OSError("no route to host")


@pytest.mark.slow
def test_processes_share_the_movies(movies: Path, run_tool: RunTool) -> None:
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*launch, "tools/reproduce.py", *arguments(movies)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert run_tool("reproduce", *arguments(movies, output="alone"))[0] == 0
    assert detections(movies) == detections(movies, "alone")
    reports = [json.loads((movies / name / "report.json").read_text()) for name in ("out", "alone")]
    assert reports[0]["results"] == reports[1]["results"]
