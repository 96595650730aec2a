"""A web server with a planted AVA, and the modules that fetch it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from ava_det.commands import prepare_ava
from tests.support.range_server import Server, build_handler


@pytest.fixture(scope="session")
def prepare() -> ModuleType:
    """The module of `ava-det prepare-ava`."""
    return prepare_ava


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), build_handler(state))
    state.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    from ava_det.datasets.ava import download

    monkeypatch.setattr(download, "FIRST_WAITS", (0, 0))
    monkeypatch.setattr(download, "WAITS", (0, 0, 0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def fetch(tmp_path: Path, server: Server) -> Callable[..., list[Exception]]:
    """Fetches paths of the server into tmp_path, two at a time."""
    from ava_det.datasets.ava.download import Item, fetch_all

    def run(*paths: str, blob: str | None = None) -> list[Exception]:
        items = [Item(server.url + path, tmp_path / path.removeprefix("/"), blob) for path in paths]
        return list(fetch_all(items, 2))

    return run
