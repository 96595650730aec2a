"""What the demo's options mean, and the files it writes beside the overlay."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from ava_det.checkpoint import load_checkpoint, save_checkpoint
from ava_det.demo.actions import choose_actions, choose_thresholds
from ava_det.demo.thresholds import parse_thresholds
from ava_det.video.file import VideoReader
from ava_det.video.sources import find_source
from ava_det.video.writer import VideoWriter
from tests.support.tool_runs import RunTool, assert_mistake
from tests.support.view_cases import read_script

ACTIONS = {12: "stand", 14: "walk", 17: "carry/hold (an object)"}


def test_a_checkpoint_is_enough_and_json_lines_say_what_the_csv_says(
    demo: RunTool, video: Path, tmp_path: Path
) -> None:
    code, out, err = demo(
        "--json", tmp_path / "o.jsonl", "--csv", tmp_path / "o.csv", "--threshold", "0.2"
    )
    assert code == 0, err
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [record["time"] for record in records] == list(range(8))
    assert {record["timestamp"] - record["time"] for record in records} == {900}
    assert {record["video"] for record in records} == {video.stem}
    table = pd.read_csv(tmp_path / "o.csv", header=None)
    persons = 0
    for record in records:
        rows = table[table[1] == record["timestamp"]]
        for person in record["persons"]:
            persons += 1
            x1, y1, x2, y2 = person["box"]
            assert 0 <= x1 < x2 <= record["width"] and 0 <= y1 < y2 <= record["height"]
            assert x1 / record["width"] == pytest.approx(person["box_fraction"][0], abs=1e-4)
            own = rows[
                (rows[2] - person["box_fraction"][0]).abs()
                + (rows[5] - person["box_fraction"][3]).abs()
                < 1e-4
            ]
            scores = dict(zip(own[6], own[7], strict=True))
            assert {action["id"] for action in person["actions"]} == {
                i for i, s in scores.items() if s >= 0.2
            }
            listed = [action["score"] for action in person["actions"]]
            assert listed == sorted(listed, reverse=True)
            for action in person["actions"]:
                assert action["score"] == pytest.approx(scores[action["id"]], abs=1e-5)
            assert person["track_id"] >= 1 and 0.1 <= person["score"] <= 1
    assert persons > 3
    assert f"{persons} persons on 8 keyframes" in out
    frame = pd.read_json(tmp_path / "o.jsonl", lines=True)
    assert list(frame["width"].unique()) == [records[0]["width"]]


def test_a_page_shows_what_the_json_lines_say(demo: RunTool, video: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "o.html"
    code, _, err = demo("--json", tmp_path / "o.jsonl", "--view", page, "--threshold", "0.2")
    assert code == 0, err
    content = read_script(page.read_text(encoding="utf-8"), "data")
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    persons = [person for record in records for person in record["persons"]]
    assert content["times"] == [record["time"] for record in records]
    assert content["tracks"] == [person["track_id"] for person in persons]
    assert content["source"] == os.path.relpath(video, page.parent)
    assert content["segments"]
    assert_mistake(demo("--view", tmp_path / "o.htm"), "--view", ".html")


def test_classes_thresholds_and_label_map_choose(
    demo: RunTool, weights: Path, tmp_path: Path
) -> None:
    names = load_checkpoint(weights)["label_map"]
    first, second = sorted(names)[:2]
    code, _, err = demo(
        "--json",
        tmp_path / "o.jsonl",
        "--csv",
        tmp_path / "o.csv",
        "--classes",
        f"{first},{second}",
        "--threshold",
        f"0,{second}=1",
    )
    assert code == 0, err
    found = {
        action["id"]
        for line in (tmp_path / "o.jsonl").read_text().splitlines()
        for person in json.loads(line)["persons"]
        for action in person["actions"]
    }
    assert found == {first}
    assert set(pd.read_csv(tmp_path / "o.csv", header=None)[6]) == {first, second}
    assert_mistake(demo("--json", tmp_path / "o.jsonl", "--classes", "fly"), "--classes", "fly")
    assert_mistake(
        demo("--json", tmp_path / "o.jsonl", "--threshold", "0.5,fly=0.1"), "--threshold", "fly"
    )
    assert_mistake(
        demo("--json", tmp_path / "o.jsonl", "--threshold", "0.5,walk=2"), "--threshold", "walk=2"
    )
    own = tmp_path / "own.pbtxt"
    own.write_text(f'item {{ name: "hop" id: {first} }}')
    code, _, err = demo("--json", tmp_path / "o.jsonl", "--label-map", own, "--threshold", "0")
    assert code == 0, err
    assert '"hop"' in (tmp_path / "o.jsonl").read_text()


def test_thresholds_of_the_checkpoint_are_the_default(
    demo: RunTool, weights: Path, tmp_path: Path
) -> None:
    content = load_checkpoint(weights)
    chosen = min(content["label_map"])
    stored = dict.fromkeys(content["label_map"], 1.0) | {chosen: 0.0}
    save_checkpoint(weights, {**content, "thresholds": stored})
    code, _, err = demo("--json", tmp_path / "o.jsonl")
    assert code == 0, err
    text = (tmp_path / "o.jsonl").read_text()
    assert f'"id": {chosen},' in text
    assert text.count('"id":') == text.count(f'"id": {chosen},')
    save_checkpoint(weights, {**content, "thresholds": {chosen: 7.0}})
    assert_mistake(demo("--json", tmp_path / "o.jsonl"), "weights.pt", "thresholds")


def test_actions_are_found_by_id_name_and_short_name() -> None:
    assert choose_actions("walk,12", ACTIONS) == {12: "stand", 14: "walk"}
    assert choose_actions("Carry/Hold", ACTIONS) == {17: ACTIONS[17]}
    assert choose_actions(None, ACTIONS) == ACTIONS
    stored = {12: 0.1, 14: 0.2, 17: 0.3}
    assert choose_thresholds(None, ACTIONS, stored) == stored
    assert choose_thresholds("walk=0.9", ACTIONS, stored) == {12: 0.1, 14: 0.9, 17: 0.3}
    assert choose_thresholds("0.5,17=0.6", ACTIONS, stored) == {12: 0.5, 14: 0.5, 17: 0.6}
    assert parse_thresholds("0.4, stand=1") == (0.4, {" stand": 1.0})
    with pytest.raises(ValueError, match="nan"):
        parse_thresholds("nan")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["at least one of --output"]),
        (["--output", "o.mp4", "--start", "5", "--end", "4"], ["--end", "--start"]),
        (["--output", "o.mp4", "--start", "500"], ["start before its end", "500"]),
        (["--output", "o.mp4", "--boxes", "motion", "--detector", "motion"], ["not allowed with"]),
        (["--output", "o.mp4", "--detector", "boxes.csv"], ["--detector", "boxes.csv"]),
        (["--output", "o.mp4", "--video", "no*.mp4"], ["no*.mp4", "pattern"]),
        (
            ["--output", "o.mp4", "--weights", "pyslowfast/pretrain/C2D_8x8_R50"],
            ["--config", "C2D_8x8_R50"],
        ),
    ],
)
def test_a_mistake_is_one_sentence(demo: RunTool, arguments: list[str], words: list[str]) -> None:
    assert_mistake(demo(*arguments), *words)
    assert not Path("o.mp4").exists()


def test_published_weights_are_the_default_and_no_network_is_a_sentence(
    run_tool: RunTool, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVA_DET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    result = run_tool(
        "demo", "--video", video, "--output", tmp_path / "o.mp4", "--detector", "motion"
    )
    assert_mistake(result, "download", "SLOWFAST_32x2_R101_50_50.pkl")
    assert not (tmp_path / "o.mp4").exists()


def write_with_sound(
    path: Path, codec: str, rate: int, seconds: float = 3.0, fps: int = 10
) -> None:
    """Pictures that flash in the second whole second, and a tone in the same second."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=fps)
        pictures.width = 64
        pictures.height = 48
        pictures.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=rate)
        sound.layout = "mono"
        for index in range(round(seconds * fps)):
            frame = np.full((48, 64, 3), 200 if fps <= index < 2 * fps else 20, np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        time = np.arange(round(seconds * rate)) / rate
        wave = 0.5 * np.sin(2 * np.pi * 440 * time) * ((time >= 1) & (time < 2))
        size = sound.codec_context.frame_size or 1024
        for start in range(0, len(wave), size):
            part = wave[None, start : start + size].astype(np.float32)
            kind = "fltp" if codec == "aac" else "s16"
            samples = part if kind == "fltp" else (part * 32767).astype(np.int16)
            block = av.AudioFrame.from_ndarray(samples, format=kind, layout="mono")
            block.sample_rate = rate
            block.pts = start
            block.time_base = Fraction(1, rate)
            container.mux(sound.encode(block))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "rate"), [("a.mp4", "aac", 44100), ("a.mkv", "pcm_s16le", 8000)]
)
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_sound_stays_with_its_pictures(
    demo: RunTool, tmp_path: Path, name: str, codec: str, rate: int, start: float
) -> None:
    write_with_sound(tmp_path / name, codec, rate)
    code, _, err = demo(
        "--video", tmp_path / name, "--output", tmp_path / "o.mp4", "--start", start
    )
    assert code == 0, err
    with av.open(str(tmp_path / "o.mp4")) as made:
        bright = [
            frame.time
            for frame in made.decode(video=0)
            if frame.to_ndarray(format="gray").mean() > 100
        ]
    assert bright[0] == pytest.approx(1 - start, abs=0.01)
    with av.open(str(tmp_path / "o.mp4")) as made:
        stream = made.streams.audio[0]
        assert stream.codec_context.name == "aac"
        loud = [
            frame.time + index / frame.sample_rate
            for frame in made.decode(audio=0)
            for index in np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.1)
        ]
    assert loud[0] == pytest.approx(1 - start, abs=0.06)
    assert loud[-1] == pytest.approx(2 - start, abs=0.06)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_ctrl_c_closes_the_files_with_what_was_done(
    demo: RunTool, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = VideoWriter.write_planes
    written = 0

    def write(self: VideoWriter, *arguments: object) -> None:
        nonlocal written
        real(self, *arguments)  # type: ignore[arg-type]
        written += 1
        if written == 40:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(VideoWriter, "write_planes", write)
    # ignored where tests run in the background
    own = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = threading.active_count()
    code, _, err = demo("--output", tmp_path / "o.mp4", "--json", tmp_path / "o.jsonl")
    assert code == 130
    assert "stopped at" in err
    with av.open(str(tmp_path / "o.mp4")) as made:
        assert len(list(made.decode(video=0))) == 40
    assert [
        json.loads(line)["time"] for line in (tmp_path / "o.jsonl").read_text().splitlines()
    ] == [0, 1, 2]
    assert threading.active_count() == before
    assert signal.signal(signal.SIGINT, own) is signal.default_int_handler


def test_sources(tmp_path: Path, video: Path) -> None:
    assert find_source("0").live == "0"
    assert find_source("rtsp://camera/1").live == "rtsp://camera/1"
    assert find_source(str(video)).is_single
    with pytest.raises(ValueError, match="holds no video"):
        find_source(str(tmp_path))
    for name in ("a.mp4", "b.mkv"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in find_source(str(tmp_path)).videos] == ["a.mp4", "b.mkv"]
    assert [path.name for path in find_source(f"{tmp_path}/*.mkv").videos] == ["b.mkv"]
    (tmp_path / "a.avi").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.mp4"):
        find_source(f"{tmp_path}/*")


@pytest.mark.slow
def test_the_benchmark_says_what_each_stage_costs(
    run_tool: RunTool, weights: Path, video: Path
) -> None:
    figures = weights.parent / "figures.json"
    code, out, err = run_tool(
        "benchmark",
        "demo",
        "--weights",
        weights,
        "--video",
        video,
        "--repeat",
        "1",
        "--json",
        figures,
    )
    assert code == 0, err
    shares = [float(line.split()[-2]) for line in out.splitlines() if line.endswith("%")]
    assert len(shares) == 7
    assert sum(shares) == pytest.approx(100, abs=0.5)
    medians = json.loads(figures.read_text())["medians"]
    with VideoReader(video) as reader:
        assert medians["frames"] == len(reader.frame_seconds())
    assert 0 < medians["bare decoder"] < medians["bare decoder and encoder"]
    assert min(medians.values()) >= 0
    assert "by seeking" in out and "x real time" in out
