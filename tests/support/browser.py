"""Drives a headless Chromium by its DevTools protocol, over a pipe: no port, no library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import pytest

NAMES = ("chromium", "google-chrome", "chromium-browser")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --remote-debugging-pipe "
    "--disable-dev-shm-usage --autoplay-policy=no-user-gesture-required about:blank"
)
SECONDS = 40.0  # for an answer; a machine may be very busy


def find_browser() -> str:
    """The browser, or a skip that says which is missing."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip(f"needs a browser: {NAMES[0]} (apt-get install chromium)")


class Browser:
    """One tab of a headless Chromium; use it in a `with` block."""

    def __init__(self, width: int = 1280, height: int = 800, is_dark: bool = False) -> None:
        self._size = width, height
        self._is_dark = is_dark
        self._number = 0
        self._received = b""
        self.errors: list[str] = []  # of scripts of the pages

    def __enter__(self) -> Self:
        browser = find_browser()  # before anything is opened: a skip closes nothing
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_browser, self._send_to = os.pipe()
        self._receive_from, from_browser = os.pipe()

        def place_pipes() -> None:
            one, other = os.dup(to_browser), os.dup(from_browser)
            os.dup2(one, 3)
            os.dup2(other, 4)

        self._process = subprocess.Popen(
            [browser, f"--user-data-dir={self._folder.name}", *FLAGS.split()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=place_pipes,
            close_fds=False,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime"):
            self.call(f"{domain}.enable")
        self.resize(*self._size)
        theme = [{"name": "prefers-color-scheme", "value": "dark" if self._is_dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=theme)
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        os.close(self._send_to)
        os.close(self._receive_from)
        self._folder.cleanup()

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of a method of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._send_to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + SECONDS
        while True:
            answer = self._receive(until, method)
            if answer.get("method") == "Runtime.exceptionThrown":
                details = answer["params"]["exceptionDetails"]
                what = details.get("exception", {}).get("description", details["text"])
                self.errors.append(what)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _receive(self, until: float, method: str) -> Any:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._receive_from], [], [], until - time.monotonic())
            assert ready, f"the browser did not answer {method}"
            part = os.read(self._receive_from, 1 << 20)
            assert part, "the browser has ended"
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def open(self, address: str | Path) -> None:
        """Goes to a page, a file's or another."""
        url = address.resolve().as_uri() if isinstance(address, Path) else address
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of an expression, awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str) -> Any:
        """The value of an expression, as soon as it is true."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
            value = answer["result"].get("value")
            if "exceptionDetails" not in answer and value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}; {self.errors}")

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: str = "") -> None:
        """Presses a key, by the name that pages see."""
        text = {"text": key} if len(key) == 1 else {}
        numbers = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9}
        number = numbers.get(key, ord(key.upper()[0]))
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=code or key,
                windowsVirtualKeyCode=number,
                **(text if kind == "keyDown" else {}),
            )

    def screenshot(self, path: Path | None = None) -> np.ndarray:
        """What is seen, RGB uint8 [H, W, 3]."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path is not None:
            path.write_bytes(data)
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return picture[..., ::-1]
