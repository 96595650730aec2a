"""A web server that knows about ranges, and has faults on demand."""

from __future__ import annotations

import contextlib
from http.server import BaseHTTPRequestHandler


class Server:
    """Serves `files` (path -> bytes) on this machine, with faults on demand.

    log: (method, path, Range header) of every request. cut: path -> how many more answers break off
    in the middle. status: path -> a status to answer with. ranges: whether it knows about them.
    grows: paths whose length is announced differently when they are fetched. etag: part of the tag
    of every file.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.log: list[tuple[str, str, str | None]] = []
        self.cut: dict[str, int] = {}
        self.status: dict[str, int] = {}
        self.grows: set[str] = set()
        self.ranges = True
        self.etag = "1"
        self.url = ""

    def fetched(self) -> list[str]:
        return [path for method, path, _ in self.log if method == "GET"]


def build_handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            wanted = self.headers.get("Range")
            server.log.append((self.command, self.path, wanted))
            status = server.status.get(self.path, 200 if self.path in server.files else 404)
            if status != 200:
                self.send_error(status)
                return
            body = server.files[self.path] + (
                b"more" if with_body and self.path in server.grows else b""
            )
            start = (
                int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
            )
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.send_header("ETag", f'"{server.etag}"')
            self.end_headers()
            if not with_body:
                return
            body = body[start:]
            if server.cut.get(self.path, 0) > 0:
                server.cut[self.path] -= 1
                body = body[: len(body) // 2]
            with contextlib.suppress(ConnectionError):  # the other side has enough
                self.wfile.write(body)
            self.close_connection = True

    return Handler
