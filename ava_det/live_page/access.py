"""Decides who may ask: on this machine everybody who names it, elsewhere whoever has the token."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "ava-det-token"
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def is_local(host: str) -> bool:
    """Returns whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """Refuses requests without the token, or without one those that name another machine.

    The second is what a foreign page does whose name was pointed at this machine. The token is
    taken from `Authorization: Bearer`, from `?token=`, or from the cookie that the latter sets.

    Args:
        app: What is guarded.
        token: The token; None where only this machine can ask.
        names: Names of this machine that are taken without a token.
    """

    def __init__(self, app: ASGIApp, token: str | None, names: Iterable[str] = LOCAL_NAMES) -> None:
        self._app = app
        self._token = token
        self._names = set(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, or answers it with the reason why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._token is None:
            if _name_of(headers.get("host", "")) in self._names:
                await self._app(scope, receive, send)
            else:
                refusal = {"error": "expected a request to this machine by its name or address"}
                await JSONResponse(refusal, 400)(scope, receive, send)
            return
        by_address = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        kept = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self._fits(by_address):
            await self._app(scope, receive, self._with_cookie(send))
        elif self._fits(bearer) or (kept is not None and self._fits(kept.value)):
            await self._app(scope, receive, send)
        else:
            refusal = {"error": "expected the token: ?token=..., or Authorization: Bearer ..."}
            await JSONResponse(refusal, 401)(scope, receive, send)

    def _fits(self, token: str) -> bool:
        assert self._token is not None
        return hmac.compare_digest(token.encode("utf-8"), self._token.encode("utf-8"))

    def _with_cookie(self, send: Send) -> Send:
        """Adds the cookie to an answer, so that the page's own requests are let in."""
        cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/".encode("latin-1")

        async def add_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", []), (b"set-cookie", cookie)]
                message = {**message, "headers": headers}
            await send(message)

        return add_cookie


def _name_of(host: str) -> str:
    """Returns the name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
