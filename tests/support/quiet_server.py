"""A handler of a web server that says nothing."""

from __future__ import annotations

import http.server


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
