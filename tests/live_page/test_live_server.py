"""The live page over loopback: pictures, events and REST, for two clients of which one is slow."""

from __future__ import annotations

import http.server
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'ava_det[web]'")
pytest.importorskip("starlette", reason="needs starlette: pip install 'ava_det[web]'")
httpx = pytest.importorskip("httpx", reason="needs httpx, which the test extra installs")

from ava_det.video.file import VideoReader  # noqa: E402
from tests.support.browser import Browser  # noqa: E402
from tests.support.live_server import PEOPLE, LiveServer, make_video  # noqa: E402
from tests.support.quiet_server import QuietHandler  # noqa: E402


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    video = make_video(tmp_path_factory.mktemp("live") / "camera.mp4", 25)
    with LiveServer(str(video)) as server:
        yield server


def wait_for(ask: Callable[[], Any], seconds: float = 20.0) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise AssertionError("never came")


def read_events(url: str, wanted: str, count: int) -> list[dict[str, Any]]:
    """The first events of a name, as a browser reads them."""
    found = []
    with httpx.stream("GET", url + "/events", timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: ") and name == wanted:
                found.append(json.loads(line[6:]))
                if len(found) == count:
                    return found
    raise AssertionError(f"the stream ended after {len(found)} of {count} {wanted}")


def test_detections_and_events_are_those_of_the_network(live: LiveServer) -> None:
    def ask() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(live.url + "/detections").json()["keyframes"]
        return found if len(found) >= 3 else []

    keyframes = wait_for(ask)
    times = [one["time"] for one in keyframes]
    assert times == sorted(set(times))
    for keyframe in keyframes:
        boxes = [person["box_fraction"] for person in keyframe["persons"]]
        assert boxes == [
            pytest.approx(np.array(box) / [64, 48, 64, 48], abs=1e-5) for box, _ in PEOPLE
        ]
        assert [person["track_id"] for person in keyframe["persons"]] == [1, 2]
    later = httpx.get(live.url + f"/detections?since={times[1]}").json()["keyframes"]
    assert min(one["time"] for one in later) == times[2]
    assert httpx.get(live.url + "/detections?since=soon").status_code == 422
    told = read_events(live.url, "keyframe", 2)
    assert told[0]["time"] < told[1]["time"]
    [state] = read_events(live.url, "state", 1)
    assert {one["action"] for one in state["actions"]} >= {"left", "right"}
    assert len({one["id"] for one in state["actions"]}) == len(state["actions"])
    assert state["alarms"] == []
    [actions] = read_events(live.url, "actions", 1)
    assert {(one["track"], one["action"]) for one in actions if one["is_going"]} == {
        (person["track_id"], action["name"])
        for person in told[1]["persons"]
        for action in person["actions"]
    }


RULES = """
rules:
  - name: two persons
    count: 2
    duration: 0.4
    do:
      - json: found/e.jsonl
      - picture: found
      - clip: {{folder: found, before: 0.5, after: 0.5}}
      - command: [cp, "{{clip}}", found/copy.mp4]
      - webhook: {hook}
"""


def test_events_of_rules_are_told_and_what_they_say_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    video = make_video(tmp_path / "camera.mp4", 20)
    bodies: list[bytes] = []

    class Hook(QuietHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as hook:
        threading.Thread(target=hook.serve_forever, args=(0.01,), daemon=True).start()
        rules = tmp_path / "rules.yaml"
        rules.write_text(RULES.format(hook=f"http://127.0.0.1:{hook.server_port}"))
        with LiveServer(str(video), rules=rules) as server:
            [alarm] = read_events(server.url, "alarm", 1)
            [state] = read_events(server.url, "state", 1)  # as a client that comes later
            assert state["alarms"] == [alarm]
            found = httpx.get(server.url + "/detections").json()
            assert found["alarms"] == [alarm] and found["actions"]
            assert '<option value="events">' in httpx.get(server.url).text
            wait_for(lambda: Path("found/copy.mp4").exists() and bodies)
        hook.shutdown()
    [line] = [json.loads(one) for one in Path("found/e.jsonl").read_text().splitlines()]
    assert line == json.loads(bodies[0])
    picture, clip = Path(line.pop("picture")), Path(line.pop("clip"))
    assert line == alarm  # without the names of files
    assert (alarm["rule"], [one["track_id"] for one in alarm["persons"]]) == ("two persons", [1, 2])
    assert alarm["time"] - alarm["start"] == pytest.approx(0.4, abs=0.3)
    assert cv2.imread(str(picture)).shape == (48, 64, 3)
    with VideoReader(clip) as reader:
        assert 0.5 < reader.find_end() <= 2.5


def test_pictures_are_jpegs_of_the_source(live: LiveServer) -> None:
    pictures = []
    with httpx.stream("GET", live.url + "/pictures", timeout=20) as answer:
        boundary = answer.headers["content-type"].partition("boundary=")[2]
        data = b""
        for part in answer.iter_bytes():
            data += part
            pictures = data.split(f"--{boundary}\r\n".encode())[1:-1]
            if len(pictures) >= 3:
                break
    for picture in pictures:
        head, _, body = picture.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None and len(body) == int(length[1]) + 2
        assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_the_page_health_and_version(live: LiveServer) -> None:
    page = httpx.get(live.url)
    assert page.status_code == 200 and 'src="/pictures"' in page.text
    health = httpx.get(live.url + "/health").json()
    assert health["status"] == "ok"
    assert re.fullmatch(r"\d+\.\d+\.\d+", httpx.get(live.url + "/version").json()["ava_det"])
    foreign = httpx.get(live.url, headers={"host": "evil.example"})
    assert foreign.status_code == 400
    assert "by its name" in foreign.json()["error"]
    assert httpx.get(live.url + "/videos/a").status_code == 404


def test_a_video_is_predicted_while_the_camera_goes_on(live: LiveServer, tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", 2)
    answer = httpx.post(live.url + "/predict?every=0.5", content=video.read_bytes(), timeout=40)
    assert answer.status_code == 200, answer.text
    keyframes = answer.json()["keyframes"]
    assert [one["time"] for one in keyframes] == [0.0, 0.5, 1.0, 1.5]
    expected = [
        [one.keyframe.timestamp - 900, len(one.boxes)] for one in live.worker.predictor(video, 0.5)
    ]
    assert [[one["time"], len(one["persons"])] for one in keyframes] == expected
    for content, code, words in (
        (b"no video at all", 422, "video"),
        (b"", 422, "expected a video"),
        (b"x" * 1_000_001, 413, "at most 1000000 bytes"),
    ):
        answer = httpx.post(live.url + "/predict", content=content, timeout=40)
        assert answer.status_code == code
        assert words in answer.json()["error"] and "/tmp" not in answer.json()["error"]
    parts = (b"x" * 100_000 for _ in range(11))  # of unknown length
    assert httpx.post(live.url + "/predict", content=parts, timeout=40).status_code == 413
    assert httpx.post(live.url + "/predict?every=0", content=b"x").status_code == 422


def test_a_video_too_many_is_refused_until_another_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ava_det.live_page.worker.MAX_WAITING", 1)
    video = make_video(tmp_path / "a.mp4", 1)
    with LiveServer(videos={"a": video}) as server:
        ask = partial(httpx.post, server.url + "/predict", content=video.read_bytes(), timeout=40)
        with server.worker.turn:  # nothing is done meanwhile
            waiting = server.worker.submit(video, 1.0)
            for answer in (ask(), httpx.get(server.url + "/videos/a")):
                assert answer.status_code == 503
                assert "too many videos wait" in answer.json()["error"]
            assert not waiting.done()
        assert [one["time"] for one in waiting.result(20)] == [0.0]
        wait_for(lambda: ask().status_code == 200)


def watch_with_two_clients(folder: Path, seconds: float) -> tuple[int, float]:
    """Watches large pictures with a quick client and one that takes nothing.

    Returns:
        Pictures that the quick one got in the second half, and megabytes that memory grew then.
    """
    video = make_video(folder / "noise.avi", seconds + 2, side=480)
    with LiveServer(str(video)) as server:
        slow = [server.connect("/pictures", 4096), server.connect("/events", 4096)]
        began = time.monotonic()
        counts = [0, 0]
        memory = []
        quick = server.connect("/pictures")
        while (passed := time.monotonic() - began) < seconds:
            data = quick.recv(1 << 20)
            assert data, "the quick client was dropped"
            counts[passed > seconds / 2] += data.count(b"Content-Length")
            if passed > seconds / 2:
                memory.append(resident_megabytes())
        health = httpx.get(server.url + "/health").json()
        assert health["dropped"] >= 1, "the slow client was not dropped"
        assert health["status"] == "ok"
        for one in (*slow, quick):
            one.close()
    tenth = max(len(memory) // 10, 1)
    return counts[1], float(np.mean(memory[-tenth:]) - np.mean(memory[:tenth]))


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def test_a_slow_client_is_dropped_and_memory_stays_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The short twin of the next one: what fills in a minute there fills in a second here."""
    monkeypatch.setattr("ava_det.live_page.streams.SEND_SECONDS", 0.5)
    monkeypatch.setattr("ava_det.inference.live.SAMPLE_SECONDS", 0.2)
    monkeypatch.setattr("ava_det.inference.live.NUM_SAMPLES", 4)
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc to see the memory of a process")
    pictures, growth = watch_with_two_clients(tmp_path, 6)
    assert pictures > 5
    assert growth < 10  # one of a second's pictures kept would be 7 MB a second


@pytest.mark.slow
def test_five_minutes_stay_in_flat_memory(tmp_path: Path) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc to see the memory of a process")
    pictures, growth = watch_with_two_clients(tmp_path, 300)
    print(f"{pictures} pictures, memory grew by {growth:.1f} MB")
    assert pictures > 300
    assert growth < 10


def test_a_folder_gives_its_videos_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "videos"
    folder.mkdir()
    video = make_video(folder / "a b.mp4", 2)
    with LiveServer(videos={"a b": video}) as server:
        assert 'href="/videos/a%20b"' in httpx.get(server.url).text
        first = httpx.get(server.url + "/videos/a%20b")
        page = wait_for(
            lambda: (
                (answer := httpx.get(server.url + "/videos/a%20b", timeout=20)).status_code == 200
                and answer.text
            )
        )
        assert first.status_code in (200, 202)
        assert '"source":"/videos/a%20b/file"' in page and "new Viewer(content)" in page
        found = httpx.get(server.url + "/videos/a%20b/detections", timeout=20).json()["keyframes"]
        assert [one["time"] for one in found] == [0.0, 0.5, 1.0, 1.5]
        part = httpx.get(server.url + "/videos/a%20b/file", headers={"range": "bytes=10-19"})
        assert part.status_code == 206 and part.content == video.read_bytes()[10:20]
        for path in ("..%2Fsecret.txt", "../secret.txt", "%2e%2e%2fsecret.txt", "a", "a%20b.mp4"):
            for tail in ("", "/file", "/detections"):
                with server.connect(f"/videos/{path}{tail}") as connection:
                    answer = connection.recv(10_000)
                assert b" 404 " in answer.splitlines()[0], (path, tail)
                assert b"secret" not in answer.partition(b"\r\n\r\n")[2]


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    with LiveServer(videos={}, token="abc-123") as server:
        assert httpx.get(server.url).status_code == 401
        assert httpx.post(server.url + "/predict", content=b"x").status_code == 401
        assert httpx.get(server.url + "/?token=abc").status_code == 401
        bearer = {"authorization": "Bearer abc-123", "host": "anything.example"}
        assert httpx.get(server.url + "/health", headers=bearer).status_code == 200
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/?token=abc-123").status_code == 200
            assert client.get("/health").status_code == 200  # by its cookie


def test_a_server_ends_while_clients_are_there(tmp_path: Path) -> None:
    video = make_video(tmp_path / "camera.mp4", 20)
    with LiveServer(str(video)) as server:
        clients = [server.connect(path) for path in ("/pictures", "/events")]
        assert all(client.recv(100) for client in clients)
        began = time.monotonic()
    assert time.monotonic() - began < 8
    for client in clients:
        while client.recv(1 << 16):
            pass
        client.close()


@pytest.mark.slow
def test_a_browser_shows_what_the_server_says(tmp_path: Path) -> None:
    video = make_video(tmp_path / "camera.mp4", 40)
    rules = tmp_path / "rules.yaml"
    rules.write_text(f"rules: [{{name: two persons, count: 2, do: [json: {tmp_path}/e.jsonl]}}]")
    with LiveServer(str(video), rules=rules) as server, Browser() as browser:
        browser.open(server.url)
        browser.wait("window.page && page.keyframe && page.found.size >= 4")
        assert browser.run("byId('status').textContent") == "live"
        assert browser.wait("byId('picture').naturalWidth") == 64
        persons = browser.run("page.boxes.shown")
        assert [person["name"] for person in persons] == ["#1", "#2"]
        size = browser.run("[byId('boxes').clientWidth, byId('boxes').clientHeight]")
        for person, (box, _) in zip(persons, PEOPLE, strict=True):
            expected = np.array(box) / [64, 48, 64, 48] * (size * 2)
            assert np.abs(np.array(person["box"]) - expected).max() < 1
        assert browser.run("page.list.items.some((one) => one.isGoing && one.person === '#2')")
        browser.run("byId('kind').value = 'events'; page.showItems(); 1")
        [alarm] = browser.run("page.list.items")
        assert (alarm["title"], alarm["person"]) == ("two persons", "#1 #2")
        browser.run(
            "byId('kind').value = 'actions'; byId('search').value = '#1'; page.showItems(); 1"
        )
        assert set(browser.run("page.list.items.map((one) => one.person)")) == {"#1"}
        check_timeline(browser)
        check_that_rows_stay(browser)
        assert browser.errors == []


def check_timeline(browser: Browser) -> None:
    """A row of the events and one a person, which go on with the source until they are moved."""
    browser.run("byId('kind').value = 'all'; byId('search').value = ''; page.showItems(); 1")
    rows = browser.run("page.timeline.rows.map((row) => [row.name, [...row.lanes.keys()]])")
    assert rows[0] == ["events", ["two persons"]]
    assert [name for name, _ in rows[1:]] == ["#2", "#1"]
    assert {title for _, titles in rows[1:] for title in titles} >= {"left", "right"}
    bars = browser.run("page.timeline.items.filter((item) => item.isGoing)")
    assert bars and all(bar["end"] > bar["start"] for bar in bars)
    browser.wait("page.timeline.duration > 3")
    browser.run("page.timeline.zoom(2); 1")
    start, end = browser.run("page.timeline.view")
    browser.wait(f"page.timeline.view[1] > {end + 0.5}")
    later = browser.run("page.timeline.view")
    assert later[1] - later[0] == pytest.approx(end - start)
    browser.run("page.timeline.moveView(1, 2.5); 1")
    assert browser.run("byId('follow').getAttribute('aria-pressed')") == "false"
    browser.wait(f"page.timeline.duration > {later[1] + 0.5}")
    assert browser.run("page.timeline.view") == [1, 2.5]
    browser.run("byId('follow').click(); 1")
    assert browser.run("page.timeline.view[1] === page.timeline.duration")


def check_that_rows_stay(browser: Browser) -> None:
    """A row that has the focus keeps it while the list goes on, and a click lists its person."""
    browser.run("page.kept = page.list.rows.at(-1); page.kept.firstElementChild.focus(); 1")
    time = browser.run("page.keyframe.time")
    browser.wait(f"page.keyframe && page.keyframe.time > {time + 0.5}")
    assert browser.run("document.activeElement === page.kept.firstElementChild")
    assert browser.run("page.kept === page.list.rows.at(-1) && page.kept.isConnected")
    starts = browser.run("page.list.rows.map((row) => row.item.start)")
    assert starts == sorted(starts, reverse=True)
    assert browser.run("page.list.rows.every((row, i) => row === byId('list').children[i])")
    browser.run("page.kept.firstElementChild.click(); 1")
    assert browser.run("byId('search').value === page.kept.item.person")
    assert browser.run("page.list.items.every((item) => item.person === byId('search').value)")
