"""docs/events.md: its recipes on persons whose actions are known, and its Python on a video."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ava_det.events import load_rules
from ava_det.events.watch import EventWatch
from ava_det.formats.label_map import load_label_map
from ava_det.structures import Detections, Keyframe
from ava_det.video.cut import cut_video
from ava_det.video.file import VideoReader
from ava_det.video.writer import VideoWriter
from tests.support.scripted_predictor import FPS, HEIGHT, WIDTH, ScriptedDetector, make_predictor

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/events.md").read_text("utf-8")
NAMES = load_label_map(ROOT / "configs/ava/actions.pbtxt")
FALL, HUG, FIGHT, SIT, STAND = 5, 70, 64, 11, 12

Person = tuple[int, float, dict[int, float]]  # track, x of the feet, action id -> score


def recipe(name: str) -> str:
    [text] = re.findall(rf"<!-- {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return text


def keyframe(second: float, persons: list[Person]) -> Detections:
    count = len(persons)
    boxes = torch.tensor([[x - 0.05, 0.2, x + 0.05, 0.8] for _, x, _ in persons]).reshape(-1, 4)
    scores = torch.zeros(count, 80)
    for row, (_, _, actions) in enumerate(persons):
        for action_id, score in actions.items():
            scores[row, action_id - 1] = score
    one = Keyframe("door", second, boxes, None, torch.full((count,), 0.9), (WIDTH, HEIGHT))
    tracks = torch.tensor([track for track, _, _ in persons], dtype=torch.int64)
    return Detections(boxes, scores, one.person_scores, tracks, one)


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Runs a recipe on a keyframe a second, beside a video of 20 s; returns its JSON lines."""
    monkeypatch.chdir(tmp_path)
    with VideoWriter("door.mp4", WIDTH, HEIGHT, FPS) as writer:
        for index in range(20 * FPS):
            writer.write(np.full((HEIGHT, WIDTH, 3), index, np.uint8), index / FPS)

    def run(text: str, seconds: list[list[Person]]) -> list[dict[str, Any]]:
        Path("rules.yaml").write_text(text)
        thresholds = dict.fromkeys(NAMES, 0.5)
        rules = load_rules("rules.yaml", NAMES, thresholds)

        def write_clip(target: Path, begin: float, end: float) -> None:
            cut_video("door.mp4", target, begin, end)

        with EventWatch(rules, NAMES, thresholds, 5, 0.0, write_clip) as watch:
            for second, persons in enumerate(seconds):
                picture = np.full((HEIGHT, WIDTH, 3), 10 * second, np.uint8)
                watch.add(keyframe(second, persons), partial(np.copy, picture))
        lines = Path("events.jsonl")
        return [json.loads(one) for one in lines.read_text().splitlines()] if lines.exists() else []

    return run


def read_span(path: str) -> tuple[int, int]:
    """Brightness of the first and the last frame of a clip: their numbers in the video."""
    with VideoReader(path) as reader:
        values = [round(float(picture.mean())) for _, picture in reader.frames()]
    return values[0], values[-1]


def test_the_names_of_the_label_map() -> None:
    assert [NAMES[number].split("(")[0].strip() for number in (FALL, SIT, STAND)] == [
        "fall down",
        "sit",
        "stand",
    ]
    assert [NAMES[number].split("(")[0].strip() for number in (HUG, FIGHT)] == ["hug", "fight/hit"]


def test_a_fall(
    watch: Callable[..., list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "notify-send"
    program.write_text('#!/bin/sh\nprintf "%s|" "$@" >> told\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    standing, fallen = (3, 0.5, {STAND: 0.9}), (3, 0.5, {FALL: 0.8})
    other = (4, 0.2, {STAND: 0.9})
    seconds = [[standing, other], [fallen, other], [other], [fallen, other], [fallen]]
    [line] = watch(recipe("fall"), [*seconds, *[[standing]] * 2, [fallen], [fallen]])
    # seen again after two seconds, which is more than max_gap, and silent in the minute after
    assert (line["rule"], line["start"], line["time"]) == ("fall", 3, 4)
    assert [person["track_id"] for person in line["persons"]] == [3]
    assert Path(line["picture"]).is_file()
    assert (tmp_path / "told").read_text() == "fall|person 3 of door at 4 s|"


def test_a_crowd(watch: Callable[..., list[dict[str, Any]]]) -> None:
    def people(*places: float) -> list[Person]:
        return [(number, x, {}) for number, x in enumerate(places, 1)]

    lines = watch(
        recipe("crowd"),
        [
            people(0.6, 0.7, 0.3, 0.2),  # two in the zone, two beside it
            people(0.6, 0.7, 0.8),
            people(0.6, 0.7, 0.8),
            people(0.6, 0.7),
            *[people(0.6, 0.7, 0.8, 0.1)] * 5,
        ],
    )
    [line] = lines
    assert (line["start"], line["time"], len(line["persons"])) == (4, 6, 3)
    begin, end = read_span(line["clip"])
    # from the key picture before to 16 s, and the pictures after on which these depend
    assert begin <= 1 and 16 * FPS - 3 <= end <= 17 * FPS


def test_two_persons(watch: Callable[..., list[dict[str, Any]]], tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    text = recipe("two").replace("127.0.0.1:8080", f"127.0.0.1:{server.server_port}")
    alone = [(1, 0.3, {FIGHT: 0.9, HUG: 0.9}), (2, 0.4, {STAND: 0.9})]
    fight = [(1, 0.3, {FIGHT: 0.45}), (2, 0.4, {FIGHT: 0.5})]
    hug = [(1, 0.3, {HUG: 0.6}), (2, 0.4, {HUG: 0.5}), (3, 0.8, {STAND: 0.9})]
    [line] = watch(text, [alone, fight, fight, alone, hug, hug])
    server.shutdown()
    server.server_close()
    assert (line["rule"], line["time"]) == ("hug", 4)
    assert [person["track_id"] for person in line["persons"]] == [1, 2]
    [told] = heard
    assert (told["rule"], told["time"], len(told["persons"])) == ("fight", 1, 2)
    assert Path(told["clip"]).is_file()


def test_the_python_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with VideoWriter("ramp.mp4", WIDTH, HEIGHT, FPS) as writer:  # brightness 60 * second
        for index in range(4 * FPS):
            writer.write(np.full((HEIGHT, WIDTH, 3), 6 * index, np.uint8), index / FPS)
    everywhere = {second: [([16.0, 12.0, 32.0, 48.0], 0.9)] for second in range(4)}
    predictor = make_predictor(ScriptedDetector(everywhere))
    predictor.label_map = {1: "bright", 2: "left", 3: "right"}
    Path("rules.yaml").write_text(
        "rules: [{name: light, when: bright > 0.6, do: [{json: e.jsonl}]}]"
    )
    names: dict[str, Any] = {"predictor": predictor, "video": Path("ramp.mp4")}
    exec(recipe("run"), names)
    assert capsys.readouterr().out == "2.0 s: light\n"
    assert not Path("e.jsonl").exists()
