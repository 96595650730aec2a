"""The requests of a review: what is answered, what is refused, and what a kill costs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'ava_det[web]'")
pytest.importorskip("starlette", reason="needs starlette: pip install 'ava_det[web]'")
httpx = pytest.importorskip("httpx", reason="needs httpx, which the test extra installs")

from ava_det.commands.review import main  # noqa: E402
from ava_det.formats.label_map import write_label_map  # noqa: E402
from ava_det.operations.review import choose_videos  # noqa: E402
from tests.support.review_cases import LABELS, read_journal, write_inputs  # noqa: E402
from tests.support.review_server import ReviewServer  # noqa: E402
from tests.support.view_cases import make_detections, read_script, write_jsonl  # noqa: E402

VIDEOS = ("walk", "other")


@contextmanager
def connect(folder: Path, videos: tuple[str, ...] = VIDEOS) -> Iterator[Any]:
    with ReviewServer(folder, videos) as server, httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_inputs(tmp_path, VIDEOS)


@pytest.fixture
def client(folder: Path) -> Iterator[Any]:
    with connect(folder) as client:
        yield client


def send(client: Any, version: Any, **step: Any) -> Any:
    return client.post("/steps", json={"version": version, "step": step})


def read_state(client: Any, video: str = "walk") -> Any:
    return client.get(f"/videos/{video}/state").json()


def test_steps_are_taken_and_told(client: Any, folder: Path) -> None:
    state = read_state(client)
    count = len(state["actionIds"])
    assert state == {
        "version": state["version"],
        "video": "walk",
        "actionIds": [None] * count,
        "canUndo": False,
        "canRedo": False,
        "decided": 0,
        "total": 2 * count,
        "next": "/videos/other",
    }
    answer = send(client, state["version"], do="decide", segment=count + 2, action_id=7).json()
    assert (answer["video"], answer["place"]) == ("other", 2)
    assert answer["address"] == "/videos/other#segment=3"
    assert answer["actionIds"][:4] == [None, None, 7, None]
    assert (answer["decided"], answer["canUndo"], answer["next"]) == (1, True, "/videos/walk")
    decided = {"do": "decide", "segment": count + 2, "action_id": 7}
    assert read_journal(folder / "reviewed.csv") == [decided]
    answer = send(client, answer["version"], do="undo").json()
    assert (answer["decided"], answer["canUndo"], answer["canRedo"]) == (0, False, True)
    refused = send(client, answer["version"], do="undo")
    assert (refused.status_code, "to undo" in refused.json()["error"]) == (422, True)
    assert read_state(client, "other")["version"] == answer["version"]


def test_a_stale_window_is_told_and_changes_nothing(client: Any, folder: Path) -> None:
    seen_by_both = read_state(client)["version"]
    assert send(client, seen_by_both, do="decide", segment=0, action_id=1).is_success
    before = (folder / "reviewed.csv").read_bytes()
    for version in (seen_by_both, None, 1, "", "nonsense"):
        refused = send(client, version, do="decide", segment=0, action_id=0)
        assert refused.status_code == 409
    assert (folder / "reviewed.csv").read_bytes() == before
    assert read_state(client)["actionIds"][0] == 1


def test_a_server_that_is_started_again_goes_on(folder: Path) -> None:
    with connect(folder) as client:
        version = read_state(client)["version"]
        for segment, action_id in ((0, 1), (1, 0), (2, 7)):
            answer = send(client, version, do="decide", segment=segment, action_id=action_id)
            version = answer.json()["version"]
    with connect(folder) as client:
        state = read_state(client)
        assert (state["version"], state["actionIds"][:3]) == (version, [1, 0, 7])
        answer = send(client, version, do="undo").json()
        assert (answer["place"], answer["actionIds"][:3]) == (2, [1, 0, None])


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_other_origins_are_refused(client: Any, folder: Path, headers: dict[str, str]) -> None:
    version = read_state(client)["version"]
    step = {"do": "decide", "segment": 0, "action_id": 1}
    body = {"version": version, "step": step}
    assert client.post("/steps", json=body, headers=headers).status_code == 403
    assert client.get("/videos/walk/file", headers=headers).status_code == 403
    assert read_journal(folder / "reviewed.csv") == []
    own = {"origin": str(client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    assert client.post("/steps", json=body, headers=own).status_code == 200


def test_an_address_opens_from_anywhere_but_in_no_frame(client: Any) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    answer = client.get("/videos/walk", headers=link)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"
    assert answer.headers["cache-control"] == "no-store"
    refused = client.get("/", headers={"host": "evil.example"})  # a name that points here
    assert refused.status_code == 400


def test_nothing_is_written_but_by_a_whole_post(client: Any, folder: Path) -> None:
    version = read_state(client)["version"]
    step = {"do": "decide", "segment": 0, "action_id": 1}
    text = json.dumps({"version": version, "step": step})
    json_type = {"content-type": "application/json"}
    form_type = {"content-type": "text/plain"}  # what a form of another site can send
    assert client.get("/steps", params={"version": version, **step}).status_code == 405
    assert client.post("/steps", content=text, headers=form_type).status_code == 415
    assert client.post("/steps", content=text[:-1], headers=json_type).status_code == 422
    assert client.post("/steps", content="[]", headers=json_type).status_code == 422
    assert client.post("/steps", content=" " * 20_000, headers=json_type).status_code == 413
    assert send(client, version, do="decide", segment=99, action_id=1).status_code == 422
    assert send(client, version, do="decide", segment=0, action_id=5).status_code == 422
    assert read_journal(folder / "reviewed.csv") == []
    assert (folder / "reviewed.csv").read_bytes() == b""
    assert client.post("/steps", content=text, headers=json_type).status_code == 200


def test_a_disk_that_takes_nothing_is_said(
    client: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    version = read_state(client)["version"]
    with monkeypatch.context() as patch:
        patch.setattr("ava_det.review.review.write_annotations", refuse)
        answer = send(client, version, do="decide", segment=0, action_id=1)
    assert (answer.status_code, answer.json()["error"]) == (
        507,
        "the disk: No space left on device",
    )
    assert send(client, version, do="decide", segment=0, action_id=1).is_success


def test_the_video_is_sent_by_ranges_and_no_other_file(client: Any, folder: Path) -> None:
    whole = (folder / "videos" / "walk.mp4").read_bytes()
    answer = client.get("/videos/walk/file", headers={"range": "bytes=100-199"})
    assert (answer.status_code, answer.content) == (206, whole[100:200])
    assert client.get("/videos/walk/file").content == whole
    for name in ("nobody", "..%2Fwalk.jsonl", "reviewed.csv", "walk.mp4"):
        assert client.get(f"/videos/{name}/file").status_code == 404
        assert client.get(f"/videos/{name}/state").status_code == 404


def test_pages_hold_the_segments_and_the_whole_label_map(client: Any, folder: Path) -> None:
    listed = client.get("/").text
    assert '<a href="/videos/walk">walk</a>' in listed and "/videos/other" in listed
    content = read_script(client.get("/videos/other").text, "data")
    assert content["first"] == len(content["segments"]) == 13
    assert [action_id for action_id, *_ in content["classes"]] == sorted(LABELS)
    assert content["quick"] == [2, 3, 1, 4, 7]  # by their numbers of segments, then by id
    assert content["source"] == "/videos/other/file"


def test_one_video_needs_no_list(tmp_path: Path) -> None:
    with connect(write_inputs(tmp_path), ("walk",)) as client:
        answer = client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "/videos/walk")


def review(folder: Path, *words: object, detections: tuple[str, ...] = ("walk.jsonl",)) -> int:
    options = ["--videos", folder / "videos", "--label-map", folder / "labels.pbtxt"]
    options += ["--output", folder / "reviewed.csv", "--port", 0]
    return main([str(word) for word in (*(folder / name for name in detections), *options, *words)])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--output", "reviewed.txt"], "--output: expected a file name that ends in .csv"),
        (["--label-map", "short.pbtxt"], "expected action 2 to be 'sit </script>' as in"),
        (["--on", "walk=0.99,0.99"], "expected segments to review, found none"),
        (["--videos", "empty"], "--videos: expected 'walk' in empty, found no such video"),
        (["--port", "99999"], "--port: expected a number up to 65535, received 99999"),
    ],
)
def test_a_mistake_is_one_sentence(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: str,
) -> None:
    monkeypatch.chdir(folder)
    write_label_map(folder / "short.pbtxt", {1: "walk"})
    (folder / "empty").mkdir()
    assert review(folder, *words) == 2
    assert expected in capsys.readouterr().err.splitlines()[-1]
    assert not (folder / "reviewed.csv").exists()
    assert not (folder / "reviewed.csv.journal").exists()


@pytest.mark.parametrize("name", ["walk", "walk.mp4"])  # of ava-det demo, and of ava-det label
def test_a_video_of_two_files_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    write_jsonl(folder / "again.jsonl", make_detections(video=name))
    assert review(folder, detections=("walk.jsonl", "again.jsonl")) == 2
    assert f"again.jsonl: {name!r} is a video of " in capsys.readouterr().err


def test_results_of_an_archive_name_videos_by_their_paths(folder: Path) -> None:
    (folder / "videos" / "far").mkdir()
    (folder / "videos" / "walk.mp4").rename(folder / "videos" / "far" / "walk.mp4")
    videos = folder / "videos"
    assert choose_videos(videos, ["far/walk.mp4", "other"]) == {
        "far/walk.mp4": videos / "far" / "walk.mp4",
        "other": videos / "other.mp4",
    }
    for name in ("../walk.jsonl", "walk.mp4", str(videos / "other.mp4")):
        with pytest.raises(ValueError, match="found no such video"):
            choose_videos(videos, [name])


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "ava_det", "review", folder / "walk.jsonl", "--port", "0"]
    command += ["--videos", folder / "videos", "--label-map", folder / "labels.pbtxt"]
    process = subprocess.Popen(
        [*map(str, command), "--output", str(folder / "reviewed.csv")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    return process, line


@pytest.mark.slow
def test_a_killed_command_loses_nothing_and_ctrl_c_says_how_to_go_on(folder: Path) -> None:
    output = folder / "reviewed.csv"
    far = folder / "walk.jsonl"  # as ava-det label writes it
    far.write_text(far.read_text().replace('"video": "walk"', '"video": "walk.mp4"'))
    process, line = start(folder)
    try:
        assert line.startswith("0 of 13 segments decided; review them at http://127.0.0.1:")
        url = line.split()[-1].rstrip("/")
        version = httpx.get(url + "/videos/walk/state").json()["version"]
        step = {"do": "decide", "segment": 0, "action_id": 1}
        assert httpx.post(url + "/steps", json={"version": version, "step": step}).is_success
    finally:
        process.kill()
        process.communicate()
    [line] = output.read_text().splitlines()  # on the other keyframes somebody else is undecided
    assert line.startswith("walk,901.5,")
    process, line = start(folder)
    assert line.startswith("1 of 13 segments decided")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == f"{output}: 1 of 13 segments decided; the same command goes on\n"
