"""A server of a live source or a folder, with a predictor whose answers are known, on a thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np

from ava_det.demo.options import DisplayOptions, EventOptions
from ava_det.events import load_rules
from ava_det.live_page.access import LOCAL_NAMES
from ava_det.live_page.app import Served, make_app
from ava_det.live_page.camera import Camera
from ava_det.live_page.hub import Hub
from ava_det.live_page.library import Library
from ava_det.live_page.server import Server, open_socket
from ava_det.live_page.worker import ModelWorker
from tests.support.numbered_video import write_numbered_video
from tests.support.scripted_predictor import ScriptedDetector, make_predictor

FPS = 10
PEOPLE = [([6.0, 12.0, 32.0, 42.0], 0.9), ([32.0, 6.0, 58.0, 36.0], 0.8)]  # boxes in pixels


class SharedDetector(ScriptedDetector):
    """Finds persons in several videos at once, for it keeps nothing of a video."""

    def begin_video(  # type: ignore[override]
        self, samples: Sequence[np.ndarray]
    ) -> SharedDetector:
        super().begin_video(samples)
        return self


class LiveServer:
    """Use it in a `with` block. url: where it answers.

    Args:
        live: A file or URL that is watched, or None.
        videos: Those of a folder, or None.
        rules: A file of rules of events, or None.
    """

    def __init__(
        self,
        live: str | None = None,
        videos: dict[str, Path] | None = None,
        token: str | None = None,
        max_upload: int = 1_000_000,
        every: float = 0.2,
        rules: Path | None = None,
    ) -> None:
        detector = SharedDetector(dict.fromkeys(range(6), PEOPLE))
        names = {1: "bright", 2: "left", 3: "right"}
        thresholds = dict.fromkeys(names, 0.5)
        events = None
        if rules is not None:
            events = EventOptions(load_rules(rules, names, thresholds), names, thresholds)
        display = DisplayOptions(names, thresholds, 5, events=events)
        self.worker = ModelWorker(make_predictor(detector), display)
        self.hub = Hub()
        self._listening = open_socket("127.0.0.1", 0)
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.camera = None if live is None else Camera(live, self.worker, self.hub, every, 0.0)
        library = None if videos is None else Library(videos, self.worker, 0.5)
        served = Served("test", self.hub, self.worker, self.camera, library, max_upload)
        self._server = Server(make_app(served, token, [*LOCAL_NAMES]), self.hub)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listening]}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType
    ) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server did not end"
        if self.camera is not None:
            self.camera.close()
        self.worker.close()
        self._listening.close()

    def connect(self, path: str, receive_bytes: int = 0) -> socket.socket:
        """A connection that has sent a GET; with a small buffer it is a slow client."""
        connection = socket.socket()
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.connect(("127.0.0.1", self.port))
        connection.settimeout(20)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return connection


def make_video(path: Path, seconds: float, side: int = 0) -> Path:
    """A video whose pictures change; of `side` pixels with noise, which makes large pictures."""
    if not side:
        count = int(seconds * FPS)
        write_numbered_video(path, [Fraction(i, FPS) for i in range(count)], rate=FPS)
        return path
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        noise = random.integers(0, 255, (side, side, 3), dtype=np.uint8)
        for i in range(int(seconds * FPS)):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, i, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
