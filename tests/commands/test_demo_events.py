"""`--events` of the demo, on a file, a folder and a live source."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
from pathlib import Path

import av
import cv2
import pytest

from ava_det.messages.counts import format_count
from ava_det.video.file import VideoReader
from tests.support.quiet_server import QuietHandler
from tests.support.tool_runs import RunTool, assert_mistake

RULES = """
rules:
  - name: somebody
    count: 1
    duration: 1
    do:
      - json: found/e.jsonl
      - picture: found
      - clip: {folder: found, before: 1, after: 1}
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(RULES)
    return tmp_path / "rules.yaml"


def lines() -> list[dict[str, object]]:
    return [json.loads(line) for line in Path("found/e.jsonl").read_text().splitlines()]


def test_a_file(demo: RunTool, rules: Path, video: Path) -> None:
    code, out, err = demo("--events", rules, "--json", "d.jsonl", "--every", "0.5")
    assert code == 0, err
    found = lines()
    keyframes = [json.loads(line) for line in Path("d.jsonl").read_text().splitlines()]
    held = None
    expected = []
    for one in keyframes:  # a second way to find them
        held = (one["time"] if held is None else held) if one["persons"] else None
        if held is not None and one["time"] - held == 1.0:
            expected.append((held, one["time"]))
    assert expected
    assert [(one["start"], one["time"]) for one in found] == expected
    assert (
        out.splitlines()[-1] == f"{format_count(len(expected), 'event')}: somebody {len(expected)}"
    )
    for one in found:
        assert cv2.imread(str(one["picture"])).shape[1] == keyframes[0]["width"]
        with VideoReader(str(one["clip"])) as clip:
            assert 1.5 <= clip.find_end() <= 9
    assert "utc" not in found[0]


@pytest.mark.slow
def test_a_camera(demo: RunTool, rules: Path, video: Path, tmp_path: Path) -> None:
    """A video on a web server, which is played at its own pace."""
    (tmp_path / "www").mkdir()
    with av.open(str(video)) as source, av.open("www/v.ts", "w") as target:
        copied = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    handler = functools.partial(QuietHandler, directory=str(tmp_path / "www"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v.ts"
    code, out, err = demo("--video", url, "--events", rules, "--every", "0.5", "--end", 7)
    server.shutdown()
    server.server_close()
    assert code == 0, err
    found = lines()
    assert found and str(found[0]["utc"]).endswith("+00:00")
    assert f"{format_count(len(found), 'event')}: somebody" in out
    assert Path(str(found[0]["picture"])).stat().st_size > 1000
    with VideoReader(str(found[0]["clip"])) as clip:
        assert 0.5 < clip.find_end() <= 3.5


def test_mistakes(demo: RunTool, rules: Path, video: Path, tmp_path: Path) -> None:
    assert_mistake(demo("--events", tmp_path / "none.yaml"), "none.yaml: no such file")
    rules.write_text(RULES.replace("count: 1", "when: fly"))
    assert_mistake(demo("--events", rules), "rules.yaml: rule 'somebody': when:", "'fly'")
    copied = Path(shutil.copy(video, tmp_path / "v.mp4"))
    rules.write_text(RULES.replace("found/e.jsonl", "v.mp4"))
    assert_mistake(demo("--video", copied, "--events", rules), "json", "would be overwritten")
    (tmp_path / "again.mp4").symlink_to(copied)  # a folder of two videos
    assert_mistake(demo("--video", tmp_path, "--events", rules), "--events: expected one of")
