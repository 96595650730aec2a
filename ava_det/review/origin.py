"""Refuses what pages of other origins ask for: they could decide in the user's place."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class SameOrigin:
    """Lets through requests of the server's own pages, of programs, and of an address typed in.

    Browsers name the page that asks in `Origin` where something is sent, and say in
    `Sec-Fetch-Site` whose page it is. A page's own address can still be opened from anywhere.

    Args:
        app: What is guarded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, or answers it with the reason why not."""
        if scope["type"] == "http" and _is_foreign(Headers(scope=scope)):
            refusal = JSONResponse({"error": "expected a request of this server's own pages"}, 403)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_foreign(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return True
    is_other = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
    return is_other and headers.get("sec-fetch-mode") != "navigate"
