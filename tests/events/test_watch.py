"""What is done when an event happens: lines, pictures, clips, commands and webhooks, failing ones
too.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ava_det.events import Deed, Rule
from ava_det.events import webhook as webhook_module
from ava_det.events.expression import parse_expression
from ava_det.events.live_clip import LiveRecorder
from ava_det.events.rules import JsonLine, PostWebhook, RunCommand, SaveClip, SavePicture
from ava_det.events.watch import EventWatch
from ava_det.structures import Detections, Keyframe
from ava_det.video.file import VideoReader

NAMES = {1: "stand", 2: "fall down"}
THRESHOLDS = {1: 0.5, 2: 0.5}
PICTURE = np.full((48, 64, 3), 90, np.uint8)


def detect(second: float, fall: float = 0.9) -> Detections:
    boxes = torch.tensor([[0.25, 0.25, 0.75, 0.75]])
    keyframe = Keyframe("a video", 900 + second, boxes, None, torch.tensor([0.9]), (64, 48))
    scores = torch.tensor([[0.2, fall]])
    return Detections(boxes, scores, keyframe.person_scores, torch.tensor([7]), keyframe)


def rule(*deeds: Deed) -> Rule:
    return Rule("a fall", parse_expression("fall down", NAMES, THRESHOLDS), deeds)


def run(*deeds: Deed, times: int = 1, **settings: Any) -> EventWatch:
    """Events at the seconds 0, 2, 4, ...; returns the closed watch."""
    settings.setdefault("write_clip", lambda target, begin, end: None)
    watch = EventWatch([rule(*deeds)], NAMES, THRESHOLDS, 5, 900.0, **settings)
    with watch:
        for second in range(2 * times):
            watch.add(detect(second, 0.9 if second % 2 == 0 else 0.1), lambda: PICTURE)
    assert watch.counts == {"a fall": times}
    return watch


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("ava_det"), "propagate", True)
    monkeypatch.setattr(webhook_module, "FIRST_PAUSE", 0.01)


class Hook:
    """A web server: what it was sent, and what it answers, one after the other (then 200)."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.answers: list[int | Callable[[BaseHTTPRequestHandler], None]] = []
        self.url = ""


@pytest.fixture
def hook() -> Iterator[Hook]:
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            length = int(self.headers["Content-Length"])
            state.bodies.append(json.loads(self.rfile.read(length)))
            answer = state.answers.pop(0) if state.answers else 200
            if callable(answer):
                answer(self)
                return
            self.send_response(answer)
            self.send_header("Location", f"{state.url}elsewhere")
            self.end_headers()

        do_GET = do_POST

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()


def test_lines_say_what_happened(tmp_path: Path) -> None:
    path = tmp_path / "new" / "e.jsonl"
    run(JsonLine(path), SavePicture(tmp_path / "p"), times=2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["time"] for line in lines] == [0, 2]
    assert lines[1] == {
        "rule": "a fall",
        "video": "a video",
        "time": 2.0,
        "start": 2.0,
        "timestamp": 902.0,
        "persons": [
            {
                "track_id": 7,
                "box_fraction": [0.25, 0.25, 0.75, 0.75],
                "score": 0.9,
                "actions": [{"id": 2, "name": "fall down", "score": 0.9}],
            }
        ],
        "picture": str(tmp_path / "p" / "a-fall_a-video_2.000_7.png"),
    }
    picture = cv2.imread(lines[1]["picture"])
    assert picture.shape == PICTURE.shape
    assert (picture != 90).any()  # the overlay is on it
    run(JsonLine(path), is_live=True)
    assert json.loads(path.read_text().splitlines()[2])["utc"].endswith("+00:00")


def test_commands_get_the_event_and_no_shell(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code = (
        "import sys, pathlib;"
        f"pathlib.Path({str(tmp_path / 'out')!r}).write_text(repr(sys.argv[1:]) + sys.stdin.read())"
    )
    arguments = ("{rule}|{video}", "{time} {persons}", "$(touch x); `id`", "{clip}")
    run(SaveClip(tmp_path, 1, 1), RunCommand((sys.executable, "-c", code, *arguments), 60))
    said, _, line = (tmp_path / "out").read_text().partition("{")
    clip = str(tmp_path / "a-fall_a-video_0.000_7.mp4")
    assert said == repr(["a fall|a video", "0 7", "$(touch x); `id`", clip])
    assert json.loads("{" + line)["rule"] == "a fall"
    assert warnings(caplog) == []


def test_commands_that_fail_are_said_and_stop_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = (sys.executable, "-c", "import sys; sys.exit('no printer')")
    slow = ("sh", "-c", "sleep 20")  # whose child outlives it
    began = time.monotonic()
    run(
        RunCommand(failing, 60),
        RunCommand((str(tmp_path / "nothing"),), 60),
        RunCommand(slow, 0.2),
        JsonLine(tmp_path / "e.jsonl"),
        times=2,
    )
    assert time.monotonic() - began < 15
    said = "\n".join(warnings(caplog))
    assert f"event rule 'a fall': command {sys.executable}: ended with code 1: no printer" in said
    assert "nothing: [Errno 2]" in said or "No such file" in said
    assert "command sh: took more than 0.2 s" in said
    assert said.count("failed 2 times") == 3
    assert len((tmp_path / "e.jsonl").read_text().splitlines()) == 2


def test_what_cannot_be_written_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")

    def write_clip(*_: object) -> None:
        raise ValueError("no frame is left")

    folder = tmp_path / "file" / "x"
    run(JsonLine(folder / "e"), SavePicture(folder), SaveClip(folder, 1, 1), write_clip=write_clip)
    said = warnings(caplog)
    assert [one.split(":")[1].strip() for one in said] == ["json", "picture", "clip"]


def test_clips_are_of_the_seconds_around(tmp_path: Path) -> None:
    asked: list[tuple[str, float, float]] = []
    one = Rule(
        "r", parse_expression("fall down", NAMES, {}), (SaveClip(tmp_path, 2, 3),), duration=1
    )
    watch = EventWatch(
        [one],
        NAMES,
        THRESHOLDS,
        5,
        900.0,
        lambda target, begin, end: asked.append((target.name, begin, end)),
    )
    with watch:
        for second in (10, 11, 12):
            watch.add(detect(second), lambda: PICTURE)
    assert asked == [("r_a-video_11.000_7.mp4", 8, 14)]


def test_a_webhook_is_sent_the_event(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    run(PostWebhook(hook.url, 5, 0), times=3)
    assert sorted(body["time"] for body in hook.bodies) == [0, 2, 4]
    assert warnings(caplog) == []


def test_a_webhook_is_tried_again(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    def hang_up(request: BaseHTTPRequestHandler) -> None:
        request.connection.close()

    hook.answers = [503, 429, hang_up, 200]
    run(PostWebhook(hook.url, 5, 3))
    assert len(hook.bodies) == 4
    assert warnings(caplog) == []
    hook.answers = [500, 500, 500]
    run(PostWebhook(hook.url, 5, 1))
    assert len(hook.bodies) == 6
    assert warnings(caplog) == ["event rule 'a fall': webhook 127.0.0.1: answered 500"]


@pytest.mark.parametrize("status", [404, 302, 307])
def test_what_is_final_is_not_tried_again_and_no_redirect_followed(
    hook: Hook, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    hook.answers = [status]
    run(PostWebhook(f"{hook.url}?secret=1", 5, 3))
    assert len(hook.bodies) == 1
    assert warnings(caplog) == [f"event rule 'a fall': webhook 127.0.0.1: answered {status}"]


def test_a_slow_webhook_costs_its_time_limit(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    """One that does not answer, and one that sends a byte now and then."""
    done = threading.Event()

    def wait(_: BaseHTTPRequestHandler) -> None:
        done.wait(20)

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not done.wait(0.1):
            request.wfile.write(b"X")

    for answer in (wait, drip):
        hook.answers = [answer]
        began = time.monotonic()
        run(PostWebhook(hook.url, 0.4, 0))
        assert time.monotonic() - began < 5
    done.set()
    sentence = "event rule 'a fall': webhook 127.0.0.1: did not answer within 0.4 s"
    assert warnings(caplog) == [sentence, sentence]


def test_a_webhook_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    run(PostWebhook("http://127.0.0.1:9/", 2, 1), times=2)
    assert "could not be reached (Connection refused)" in warnings(caplog)[0]
    assert "failed 2 times" in warnings(caplog)[1]


def test_too_many_slow_ones_are_left_out_and_the_video_goes_on(
    hook: Hook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ava_det.events.watch.MAX_WAITING", 3)
    monkeypatch.setattr("ava_det.events.watch.CLOSE_SECONDS", 0.1)
    release = threading.Event()

    def wait(_: BaseHTTPRequestHandler) -> None:
        release.wait(20)

    hook.answers = [wait] * 9
    began = time.monotonic()
    run(PostWebhook(hook.url, 0.4, 5), times=9)
    assert time.monotonic() - began < 6
    release.set()
    said = "\n".join(warnings(caplog))
    assert "3 earlier ones are not done yet" in said
    assert "failed 9 times" in said  # six that found no place, three that had no answer in time


def test_a_live_clip_waits_for_its_end(tmp_path: Path) -> None:
    recorder = LiveRecorder(keep=4.0, fps=10, matrix="bt601")
    for number in range(60):
        recorder.add(number / 10, np.full((48, 64, 3), 2 * number, np.uint8))
    assert abs(float(recorder.find(3.04).mean()) - 60) < 3
    assert abs(float(recorder.find(0.0).mean()) - 2 * 19) < 3  # the oldest that is held
    writing = threading.Thread(target=recorder.write_clip, args=(tmp_path / "c.mp4", 5.0, 6.5))
    writing.start()
    time.sleep(0.1)
    assert not (tmp_path / "c.mp4").exists()
    for number in range(60, 70):
        recorder.add(number / 10, np.full((48, 64, 3), 2 * number, np.uint8))
    writing.join(10)
    with VideoReader(tmp_path / "c.mp4") as reader:
        frames = [(seconds, float(picture.mean())) for seconds, picture in reader.frames()]
    assert len(frames) == 15
    assert [value for _, value in frames] == pytest.approx([2 * n for n in range(50, 65)], abs=4)
    recorder.close()  # a clip whose end never comes is as long as there are frames
    recorder.write_clip(tmp_path / "d.mp4", 6.0, 99)
    with pytest.raises(ValueError, match="no frame is left"):
        recorder.write_clip(tmp_path / "e.mp4", 0, 1)
