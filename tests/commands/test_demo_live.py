"""The demo on what is live: a camera that speaks RTSP, a file on a web server, ffmpeg as a source,
nothing there.
"""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import pytest

from ava_det.messages.counts import format_count
from tests.support.quiet_server import QuietHandler
from tests.support.rtsp_camera import RtspCamera
from tests.support.tool_runs import RunTool, assert_mistake


@pytest.fixture
def watch(demo: RunTool, tmp_path: Path) -> Callable[[str, float], None]:
    """Runs the demo on a URL to `end`, and checks all that it wrote."""

    def run(url: str, end: float) -> None:
        overlay = tmp_path / "live.mp4"
        lines = tmp_path / "live.jsonl"
        code, out, err = demo(
            "--video", url, "--output", overlay, "--json", lines, "--every", "0.5", "--end", end
        )
        assert code == 0, err
        closing = re.search(r"([\d.]+) s watched, (\d+) frames dropped", err)
        assert closing is not None
        records = [json.loads(line) for line in lines.read_text().splitlines()]
        assert 1 <= len(records) <= 2 * end + 1
        times = [record["time"] for record in records]
        assert times == sorted(set(times))
        assert f"on {format_count(len(records), 'keyframe')};" in out
        with av.open(str(overlay)) as made:
            seconds = [frame.time for frame in made.decode(video=0)]
        assert seconds == sorted(set(seconds))
        assert end - 1.5 < seconds[-1] < end
        assert len(seconds) > 5

    return run


def test_an_rtsp_camera(watch: Callable[[str, float], None], video: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copy(video, tmp_path / "camera.mp4"))
    with RtspCamera(copied) as camera:
        watch(camera.url, 4)


def test_a_file_on_a_web_server(
    watch: Callable[[str, float], None], video: Path, tmp_path: Path
) -> None:
    # it can be read from the front, by a server that knows no ranges
    served = tmp_path / "served.ts"
    with av.open(str(video)) as source, av.open(str(served), "w") as target:
        copied = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            watch(f"http://127.0.0.1:{server.server_port}/{served.name}", 3)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/live.ts", "udp://127.0.0.1:{port}", "tcp://127.0.0.1:{port}"]
)
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")
def test_streams_of_ffmpeg(watch: Callable[[str, float], None], video: Path, url: str) -> None:
    """In an endless loop, as a camera is; with HTTP and TCP it waits for who looks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = url.format(port=port)
    listens = not address.startswith("udp")
    target = f"{address}?listen=1" if address.startswith("tcp") else address
    listen = ["-listen", "1"] if address.startswith("http") else []
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-re",
        "-stream_loop",
        "-1",
        "-i",
        str(video),
        "-c",
        "copy",
        "-f",
        "mpegts",
    ]
    with subprocess.Popen([*command, *listen, target], stderr=subprocess.DEVNULL) as sender:
        try:
            if listens:
                wait_for_listener(port)
            watch(address, 4)
        finally:
            sender.kill()


def wait_for_listener(port: int) -> None:
    """Without a connection: ffmpeg takes one only."""
    table = Path("/proc/net/tcp")
    deadline = time.monotonic() + 30
    if not table.exists():
        time.sleep(3)
        return
    while (
        not re.search(rf": \w+:{port:04X} 00000000:0000 0A", table.read_text())
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)


def test_no_camera_is_a_sentence(demo: RunTool, tmp_path: Path) -> None:
    if sys.platform == "linux" and Path("/dev/video63").exists():
        pytest.skip("this machine has 64 cameras")
    assert_mistake(
        demo("--video", "63", "--output", tmp_path / "o.mp4"), "webcam 63: cannot be opened"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and nobody listens there
        port = free.getsockname()[1]
        assert_mistake(
            demo("--video", f"rtsp://127.0.0.1:{port}/x", "--output", tmp_path / "o.mp4"),
            str(port),
            "opened",
        )
    assert not list(tmp_path.glob("o*"))


def test_no_screen_is_a_sentence(demo: RunTool) -> None:
    try:
        cv2.namedWindow("a screen?")
    except cv2.error:
        assert_mistake(demo("--show"), "--show: this OpenCV has no windows, or there is no screen")
    else:
        cv2.destroyAllWindows()
        pytest.skip("this machine has a screen")
