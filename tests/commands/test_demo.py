"""The contract of demo, on the small synthetic set and with weights that were never trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from ava_det.checkpoint import load_checkpoint, save_checkpoint
from ava_det.config import config_to_dict, load_config
from ava_det.evaluation import evaluate_csv
from ava_det.formats.annotations import AvaRows, load_annotations, load_detections
from ava_det.formats.label_map import load_label_map
from ava_det.messages.counts import format_count
from ava_det.models.build import build_model
from ava_det.video.file import VideoReader
from ava_det.video.writer import VideoWriter
from tests.support.damaged_video import write_damaged

RunTool = Callable[..., tuple[int, str, str]]


@pytest.fixture
def weights(synthetic_config: list[str], synthetic: Path, tmp_path: Path) -> Path:
    config = load_config(synthetic_config[1], synthetic_config[2:])
    torch.manual_seed(0)
    model = build_model(config)
    path = tmp_path / "weights.pt"
    label_map = load_label_map(synthetic / "labelmap.pbtxt")
    save_checkpoint(
        path,
        {"model": model.state_dict(), "config": config_to_dict(config), "label_map": label_map},
    )
    return path


@pytest.fixture
def video(synthetic: Path) -> Path:
    return next((synthetic / "videos").glob("demo_*.mp4"))


@pytest.fixture
def demo(
    run_tool: RunTool, synthetic_config: list[str], weights: Path, video: Path, tmp_path: Path
) -> RunTool:
    """Runs the demo with the settings of the small set, and what is given after them."""

    def run(*arguments: object) -> tuple[int, str, str]:
        given = [str(argument) for argument in arguments]
        defaults = {
            "--video": video,
            "--output": tmp_path / "out.mp4",
            "--weights": weights,
            "--boxes": "motion",
        }
        options = [
            str(text)
            for key, value in defaults.items()
            if key not in given
            for text in (key, value)
        ]
        return run_tool("demo", *synthetic_config, "data.label_map=null", *options, *given)

    return run


def test_a_video_becomes_an_overlay_a_csv_and_a_sheet(
    demo: RunTool, video: Path, tmp_path: Path, weights: Path
) -> None:
    code, out, err = demo(
        "--csv",
        tmp_path / "out.csv",
        "--sheet",
        tmp_path / "out.png",
        "--threshold",
        "0.1",
        "data.min_person_score=0.1",
    )
    assert code == 0, err
    assert "out.csv" in out
    with av.open(str(tmp_path / "out.mp4")) as made, av.open(str(video)) as source:
        ours = made.streams.video[0]
        theirs = source.streams.video[0]
        assert (ours.width, ours.height, ours.frames) == (
            theirs.width,
            theirs.height,
            theirs.frames,
        )
        assert ours.average_rate == theirs.average_rate
        pairs = zip(made.decode(video=0), source.decode(video=0), strict=True)
        changed = [
            np.abs(a.to_ndarray(format="rgb24").astype(int) - b.to_ndarray(format="rgb24")).max()
            for a, b in pairs
        ]
    assert max(changed) > 100  # something is drawn
    rows = load_detections(tmp_path / "out.csv")
    assert set(rows.action_ids) == set(load_checkpoint(weights)["label_map"])
    assert {rows.video_names[index] for index in rows.video_index} == {video.stem}
    assert set(rows.timestamps) <= set(range(900, 909))
    assert (tmp_path / "out.csv").read_text().split(",")[1].startswith("09")
    assert cv2.imread(str(tmp_path / "out.png")) is not None


def test_the_csv_scores_as_test_ava_does(
    demo: RunTool,
    run_tool: RunTool,
    synthetic_config: list[str],
    synthetic: Path,
    weights: Path,
    tmp_path: Path,
) -> None:
    """The same boxes, weights and video: the demo's rows are those that test_ava evaluates."""
    annotated = [line.split(",") for line in (synthetic / "val.csv").read_text().splitlines()]
    video_id = annotated[0][0]
    own = sorted({tuple(row[:6]) for row in annotated if row[0] == video_id})
    boxes = tmp_path / "boxes.csv"
    labeled = tmp_path / "labeled.csv"
    boxes.write_text("".join(",".join(row) + ",,0.95\n" for row in own))
    labeled.write_text("".join(",".join(row) + "\n" for row in annotated if row[0] == video_id))
    code, _, err = demo(
        "--video",
        synthetic / "videos" / f"{video_id}.mp4",
        "--boxes",
        boxes,
        "--csv",
        tmp_path / "demo.csv",
    )
    assert code == 0, err
    arguments = [*synthetic_config, f"data.val.annotations={labeled}", "data.val.excluded=null"]
    code, _, err = run_tool("test_ava", *arguments, "--weights", weights, "--boxes", boxes)
    assert code == 0, err
    ours = load_detections(tmp_path / "demo.csv")
    theirs = load_detections(tmp_path / "run" / "detections.csv")
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["num_keyframes"] > 3

    def table(rows: AvaRows) -> dict[tuple[object, ...], float]:
        columns = (
            rows.video_ids,
            rows.timestamps,
            map(tuple, rows.boxes),
            rows.action_ids,
            rows.scores,
        )
        return {
            key: score
            for *key_parts, score in zip(*columns, strict=True)
            for key in [tuple(key_parts)]
        }

    demo_rows = table(ours)
    test_rows = table(theirs)
    assert demo_rows.keys() == test_rows.keys()
    assert len(demo_rows) == len(own) * len(load_checkpoint(weights)["label_map"])
    for key, score in demo_rows.items():
        assert score == pytest.approx(test_rows[key], abs=1e-5)
    expected = json.loads((tmp_path / "run" / "metrics.json").read_text())["mAP"]
    scored = evaluate_csv(labeled, tmp_path / "demo.csv", synthetic / "labelmap.pbtxt")
    assert scored["mAP"] == pytest.approx(expected, abs=1e-6)
    assert expected > 0


@pytest.mark.parametrize(("width", "height"), [(65, 49), (90, 160)])
def test_odd_portrait_and_silent_empty_scenes(
    demo: RunTool, tmp_path: Path, width: int, height: int
) -> None:
    path = tmp_path / "still.mp4"
    with VideoWriter(path, width - width % 2, height - height % 2, 12) as writer:
        for index in range(7):
            writer.write(
                np.full((height - height % 2, width - width % 2, 3), 77, np.uint8), index / 12
            )
    code, out, err = demo("--video", path, "--csv", tmp_path / "out.csv", "--every", "0.25")
    assert code == 0, err
    assert "0 persons on 3 keyframes" in out
    assert (tmp_path / "out.csv").read_text() == ""
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(list(container.decode(video=0))) == 7


def test_a_file_cut_short_gives_what_it_has(demo: RunTool, video: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.mp4"
    with (
        VideoReader(video) as reader,
        VideoWriter(path, reader.width, reader.height, reader.fps) as writer,
    ):
        for seconds, frame in reader.frames():
            writer.write(frame, seconds)
    # its header, in front, still says 8 s
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    code, _, err = demo("--video", path, "--csv", tmp_path / "out.csv", "data.min_person_score=0.1")
    assert code == 0, err
    with av.open(str(tmp_path / "out.mp4")) as container:
        last = max(frame.time for frame in container.decode(video=0))
    assert 3 < last < 7
    assert 902 <= load_detections(tmp_path / "out.csv").timestamps.max() <= 900 + last + 0.1
    cut = tmp_path / "headless.mp4"
    cut.write_bytes(video.read_bytes()[200:])
    assert_mistake(demo("--video", cut, "--output", tmp_path / "none.mp4"), "headless.mp4")
    assert not (tmp_path / "none.mp4").exists()


VARIABLE = [Fraction(number, 1000) for number in (0, 40, 300, 310, 900, 1400, 1433, 2100)]
UNLIKE = {
    "one frame": ([Fraction(0)], 320, 240, 0),
    "half a second": ([Fraction(index, 25) for index in range(13)], 320, 240, 0),
    "variable rate": (VARIABLE, 320, 240, 0),
    "turned by a phone": ([Fraction(index, 25) for index in range(30)], 320, 240, 90),
    "odd sides": ([Fraction(index, 25) for index in range(30)], 321, 239, 0),
}


@pytest.mark.parametrize("kind", UNLIKE)
def test_unlike_videos_become_overlays_of_the_same_frames(
    demo: RunTool, tmp_path: Path, kind: str
) -> None:
    moments, width, height, rotation = UNLIKE[kind]
    path = tmp_path / "unlike.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width = width
        stream.height = height
        stream.pix_fmt = "yuv444p" if width % 2 else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90000)
        if rotation:
            stream.set_display_rotation(rotation)
        for index, moment in enumerate(moments):
            picture = np.full((height, width, 3), 40, np.uint8)
            picture[40:200, 8 * index % width :][:, :40] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = round(moment * 90000)
            frame.time_base = Fraction(1, 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    code, out, err = demo(
        "--video", path, "--json", tmp_path / "out.jsonl", "--sheet", tmp_path / "out.png"
    )
    assert code == 0, err
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert f"on {format_count(len(records), 'keyframe')};" in out
    assert len(records) == int(moments[-1]) + 1
    upright = (height, width) if rotation else (width, height)
    assert {(record["width"], record["height"]) for record in records} == {upright}
    assert cv2.imread(str(tmp_path / "out.png")) is not None
    with VideoReader(path) as source, VideoReader(tmp_path / "out.mp4") as made:
        assert (made.width, made.height) == tuple(side + side % 2 for side in upright)
        pairs = list(zip(source.frames(), made.frames(), strict=True))
    assert [moment for _, (moment, _) in pairs] == pytest.approx(
        [float(moment) for moment in moments], abs=1e-3
    )
    for (_, before), (_, after) in pairs:
        corner = after[: before.shape[0], : before.shape[1]]
        assert np.median(np.abs(corner.astype(int) - before)) < 12


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_damaged_middle_is_named_and_the_rest_is_shown(
    demo: RunTool, tmp_path: Path, suffix: str
) -> None:
    path = write_damaged(tmp_path / f"damaged{suffix}")
    code, out, err = demo(
        "--video", path, "--csv", tmp_path / "out.csv", "--json", tmp_path / "out.jsonl"
    )
    assert code == 0, err
    assert err.count(f"warning: {path}: damaged from") == 1
    times = [json.loads(line)["time"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert f"on {format_count(len(times), 'keyframe')};" in out
    assert {0.0, 1.0, 2.0, 11.0} <= set(times)
    assert f"{12 - len(times)} keyframes there are left out" in err
    with VideoReader(path) as reader, VideoReader(tmp_path / "out.mp4") as made:
        shown = [seconds for seconds, _ in made.frames()]
        assert shown == pytest.approx([seconds for seconds, _ in reader.frames()], abs=1e-3)
        assert made.lost == ()


def assert_mistake(result: tuple[int, str, str], *words: str) -> None:
    code, _, err = result
    assert code == 2
    assert "Traceback" not in err
    sentence = err.strip().splitlines()[-1]
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--video", "nowhere.mp4"], ["nowhere.mp4"]),
        (["--video", __file__], ["test_demo.py", "cannot be opened"]),
        (["--weights", "nowhere.pt"], ["nowhere.pt"]),
        (["--boxes", "detectron9"], ["detectron9", "motion"]),
        (["--boxes", "gt"], ["gt", "motion"]),
        (["--output", "out.avi"], ["--output", ".mp4", "out.avi"]),
        (["--sheet", "out.jpg"], ["--sheet", ".png"]),
        (["--every", "0"], ["--every", "positive"]),
        (["--every", "soon"], ["--every", "soon"]),
        (["--threshold", "50"], ["--threshold", "0..1"]),
        (["--topk", "0"], ["--topk", "at least 1"]),
        (["model.widht=4"], ["model.widht", "model.width"]),
        (["model.width=8"], ["weights.pt", "does not fit"]),
        (["model.head=classification"], ["model.head", "roi"]),
    ],
)
def test_a_mistake_is_one_sentence(
    demo: RunTool, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    assert_mistake(demo(*arguments), *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["weights.pt"]


def test_a_box_file_of_other_videos_or_seconds_is_a_mistake(
    demo: RunTool, video: Path, tmp_path: Path
) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("other,0902,0.1,0.1,0.5,0.5,,0.9\n")
    assert_mistake(demo("--boxes", boxes), video.stem)
    boxes.write_text(f"{video.stem},0002,0.1,0.1,0.5,0.5,,0.9\n")
    assert_mistake(demo("--boxes", boxes), "data.start_second")
    boxes.write_text(f"{video.stem},0902,0.1,zero,0.5,0.5,,0.9\n")
    assert_mistake(demo("--boxes", boxes), "boxes.csv", "line 1")
    assert not (tmp_path / "out.mp4").exists()


def test_the_source_is_never_overwritten(demo: RunTool, video: Path, tmp_path: Path) -> None:
    before = video.read_bytes()
    assert_mistake(demo("--output", video), "--output", "--video")
    assert video.read_bytes() == before


def test_no_label_map_anywhere_is_a_mistake(demo: RunTool, weights: Path) -> None:
    content = load_checkpoint(weights)
    save_checkpoint(weights, {key: value for key, value in content.items() if key != "label_map"})
    assert_mistake(demo(), "data.label_map")


def test_help(run_tool: RunTool) -> None:
    code, out, _ = run_tool("demo", "--help")
    assert code == 0
    assert all(
        option in out
        for option in ("--video", "--boxes", "--csv", "--sheet", "--every", "--threshold", "--topk")
    )
    assert "ava-det demo --video walk.mp4 --output overlay.mp4" in out  # how to begin


@pytest.mark.needs_shared
def test_real_video_with_its_own_boxes(demo: RunTool, shared_data: Path, tmp_path: Path) -> None:
    labeled = load_annotations(shared_data / "mini_ava" / "val.csv")
    assert len(labeled)
    rows = [
        line.split(",") for line in (shared_data / "mini_ava" / "val.csv").read_text().splitlines()
    ]
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("".join(",".join(row[:6]) + ",,0.9\n" for row in rows))
    video = shared_data / "videos" / "torchcodec_nasa_13013.mp4"
    code, _, err = demo(
        "--video", video, "--boxes", boxes, "data.start_second=0", "--csv", tmp_path / "out.csv"
    )
    assert code == 0, err
    assert set(load_detections(tmp_path / "out.csv").timestamps) == {
        float(row[1]) for row in rows if row[0] == video.stem
    }
