"""Sends streams without end: pictures as multipart JPEG, messages as server-sent events.

Plain ASGI, since each part must be sent within a time: a client that does not take its parts is
dropped, and costs one part of memory until then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from ava_det.live_page.hub import Hub

SEND_SECONDS = 5.0  # for a client to take a part
QUIET_SECONDS = 10.0  # after which a comment shows whether the client is still there
BOUNDARY = "ava-det-picture"


class Stream:
    """Answers one request with parts until they end, the client leaves or is too slow.

    Args:
        hub: Counts those that are too slow.
        media_type: Of the answer.
        parts: The parts.
    """

    def __init__(self, hub: Hub, media_type: str, parts: AsyncIterator[bytes]) -> None:
        self._hub = hub
        self._media_type = media_type
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the parts."""
        headers = [
            (b"content-type", self._media_type.encode("ascii")),
            (b"cache-control", b"no-store"),
        ]
        sending = asyncio.ensure_future(self._send(send, headers))
        leaving = asyncio.ensure_future(_wait_until_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._parts.aclose()  # type: ignore[attr-defined]

    async def _send(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for part in self._parts:
            message = {"type": "http.response.body", "body": part, "more_body": True}
            try:
                await asyncio.wait_for(send(message), SEND_SECONDS)
            except TimeoutError:
                self._hub.num_dropped += 1
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait_until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def pictures(hub: Hub) -> AsyncIterator[bytes]:
    """Yields the newest picture, again and again, as parts of multipart/x-mixed-replace."""
    with hub.pictures() as mailbox:
        while not mailbox.is_closed:
            jpeg = await mailbox.take(QUIET_SECONDS)
            if jpeg is not None:
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}"
                yield head.encode("ascii") + b"\r\n\r\n" + jpeg + b"\r\n"


async def messages(hub: Hub, state: Mapping[str, Any]) -> AsyncIterator[bytes]:
    """Yields server-sent events: first the state as it is, then what happens.

    Args:
        hub: Passes on what happens.
        state: What a page needs to begin with, without what the hub keeps.
    """
    with hub.messages() as mailbox:
        begin = {
            **state,
            "keyframes": hub.keyframes()[-1:],
            "actions": hub.actions(),
            "alarms": hub.alarms(),
            "isEnded": hub.is_ended,
        }
        yield _format("state", begin)
        while not mailbox.is_closed:
            message = await mailbox.take(QUIET_SECONDS)
            yield b": still here\n\n" if message is None else _format(*message)


def _format(name: str, value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode()
