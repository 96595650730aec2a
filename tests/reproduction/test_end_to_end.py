"""The published frames and our reading of the original movie, through one network: the same scores,
the same mAP.

Slow: a SlowFast R50 with weights drawn by the parity rule scores one movie from four sources.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ava_det.checkpoint import save_checkpoint
from ava_det.formats.label_map import write_label_map

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "models"))
from tests.support.parity import load_fixture, make_state_dict  # noqa: E402

RunTool = Callable[..., tuple[int, str, str]]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg on the command line"),
]

START = 897
CUT = 900
LAST = 922  # annotation time of the first frame; where the recipe cuts; the last keyframe
FILM = Fraction(24000, 1001)
WIDTH = 640
HEIGHT = 360
BOXES = (
    "0.050,0.200,0.350,0.950",
    "0.300,0.100,0.600,0.800",
    "0.550,0.250,0.950,0.990",
    "0.700,0.050,0.900,0.500",
)
CONFIG = "configs/ava/pyslowfast/SLOWFAST_32x2_R50_SHORT.yaml"


def draw(number: int, texture: np.ndarray) -> np.ndarray:
    """uint8 RGB: a scene that pans and changes its light, with discs that move at speeds of their
    own.
    """
    picture = np.roll(texture, 3 * number, axis=1)[:HEIGHT, :WIDTH] * (
        0.75 + 0.25 * np.sin(number / 40)
    )
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for disc in range(6):
        center_x = (90 * disc + (4 + 3 * disc) * number) % WIDTH
        center_y = HEIGHT / 2 + 120 * np.sin(number / (9 + 4 * disc) + disc)
        inside = (x - center_x) ** 2 + (y - center_y) ** 2 < (18 + 6 * disc) ** 2
        picture[inside] = [(60 * disc) % 256, (200 - 30 * disc) % 256, (90 + 70 * disc) % 256]
    return picture.astype(np.uint8)


def write_movie(path: Path) -> None:
    """23.976 fps, tagged BT.709 as films are."""
    random = np.random.default_rng(7)
    texture = (
        random.integers(30, 220, (HEIGHT // 20, WIDTH // 20, 3))
        .repeat(20, 0)
        .repeat(20, 1)
        .astype(np.float32)
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=FILM, options={"preset": "veryfast", "crf": "18"}
        )
        stream.width = WIDTH
        stream.height = HEIGHT
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = av.video.reformatter.Colorspace.ITU709
        for number in range(int((LAST + 3 - START) * FILM)):
            rgb = av.VideoFrame.from_ndarray(draw(number, texture), format="rgb24")
            frame = rgb.reformat(
                format="yuv420p", dst_colorspace=av.video.reformatter.Colorspace.ITU709
            )
            frame.pts = number
            frame.time_base = 1 / FILM
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def make_sources(folder: Path) -> dict[str, list[str]]:
    """Arm -> the options of the tool: the folder of its movie, and how it is read."""
    for name in ("original", "pictures/movie", "prepared"):
        (folder / name).mkdir(parents=True)
    movie = folder / "original" / "movie.mp4"
    cut = folder / "cut.mp4"
    write_movie(movie)
    first = ["-ss", CUT - START, "-t", 901, "-i", movie, cut]
    second = ["-i", cut, "-r", 30, "-q:v", 1, folder / "pictures/movie/movie_%06d.jpg"]
    for arguments in (first, second):
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, timeout=600
        )
    prepare = [
        sys.executable,
        "data/ava/transcode.py",
        "--videos",
        folder / "original",
        "--output",
        folder / "prepared",
    ]
    subprocess.run(list(map(str, prepare)), check=True, timeout=600, cwd=ROOT, capture_output=True)
    whole = f"data.start_second={START}"
    nearest = ["data.frame_grid=seconds", "data.frame_colour=tagged", "data.box_arithmetic=exact"]
    return {
        "pictures": ["--videos", f"{folder}/pictures", f"data.start_second={CUT}"],
        "original": ["--videos", f"{folder}/original", whole],
        "nearest grid": ["--videos", f"{folder}/original", whole, nearest[0]],
        "nearest grid, tagged color, exact boxes": [
            "--videos",
            f"{folder}/original",
            whole,
            *nearest,
        ],
        "prepared": ["--videos", f"{folder}/prepared", whole],
    }


def load_scores(path: Path) -> np.ndarray:
    """[boxes, 80]"""
    with path.open() as file:
        return np.array([float(row[7]) for row in csv.reader(file)]).reshape(-1, 80)


def write_truth(path: Path, scores: np.ndarray) -> None:
    """Labels that the scores half know: for each action the fifth of the boxes that score best,
    give or take.
    """
    random = np.random.default_rng(1)
    spread = scores.std(axis=0)
    wished = scores + 0.7 * spread * random.standard_normal(scores.shape)
    labels = wished >= np.quantile(wished, 0.8, axis=0)
    rows = []
    for index, (second, box) in enumerate(
        (second, box) for second in range(CUT + 2, LAST + 1) for box in BOXES
    ):
        rows += [
            f"movie,{second:04d},{box},{column + 1},0" for column in np.flatnonzero(labels[index])
        ]
    path.write_text("\n".join(rows) + "\n")


def test_original_and_pictures_score_alike(tmp_path: Path, run_tool: RunTool) -> None:
    sources = make_sources(tmp_path)
    weights = make_state_dict(load_fixture("AVA_SLOWFAST_32x2_R50_SHORT")["keys"])
    save_checkpoint(tmp_path / "random.pyth", {"model_state": weights})
    keyframes = [(second, box) for second in range(CUT + 2, LAST + 1) for box in BOXES]
    (tmp_path / "boxes.csv").write_text(
        "".join(f"movie,{second:04d},{box},,0.99\n" for second, box in keyframes)
    )
    (tmp_path / "truth.csv").write_text(f"movie,0902,{BOXES[0]},1,0\n")
    write_label_map(tmp_path / "map.pbtxt", {number: f"action {number}" for number in range(1, 81)})

    def run(arm: str) -> dict[str, float]:
        output = tmp_path / "out" / arm
        code, _, errors = run_tool(
            "reproduce",
            "--weights",
            f"{tmp_path}/random.pyth",
            "--config",
            CONFIG,
            "--output",
            output,
            *sources[arm],
            "precision=fp32",
            "device=cpu",
            "data.test_short_side=96",
            "train.num_workers=0",
            "eval.batch_size=2",
            f"data.val.annotations={tmp_path}/truth.csv",
            f"data.val.boxes={tmp_path}/boxes.csv",
            "data.val.excluded=null",
            f"data.label_map={tmp_path}/map.pbtxt",
        )
        assert code == 0, errors
        results = json.loads((output / "report.json").read_text())["results"]
        return {protocol: result["mAP"] for protocol, result in results.items()}

    run("pictures")
    run("original")
    scores = {
        arm: load_scores(tmp_path / "out" / arm / "videos/movie.csv")
        for arm in ("pictures", "original")
    }
    # neither has an advantage
    write_truth(tmp_path / "truth.csv", (scores["pictures"] + scores["original"]) / 2)
    reference = run("pictures")["pyslowfast"]
    assert 0.3 < reference < 0.95
    within = {}
    overall = {}
    difference = {}
    for arm in list(sources)[1:]:
        difference[arm] = run(arm)["pyslowfast"] - reference
        both = scores["pictures"], load_scores(tmp_path / "out" / arm / "videos/movie.csv")
        overall[arm] = np.corrcoef(both[0].ravel(), both[1].ravel())[0, 1]
        # of each action over the boxes: most of the overall correlation is the last layer's biases
        centerd = [values - values.mean(axis=0) for values in both]
        within[arm] = np.corrcoef(centerd[0].ravel(), centerd[1].ravel())[0, 1]
        print(
            f"{arm}: {overall[arm]:.6f} overall, {within[arm]:.5f} within actions, mAP "
            f"{100 * difference[arm]:+.2f}"
        )
    assert overall["original"] > 0.999
    assert abs(difference["original"]) < 0.002
    for arm in list(sources)[2:]:
        assert within["original"] > within[arm]
        assert abs(difference["original"]) < abs(difference[arm])
