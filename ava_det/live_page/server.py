"""Runs the server until Ctrl-C, and closes everything then."""

from __future__ import annotations

import logging
import socket
import sys

import uvicorn
from starlette.applications import Starlette

from ava_det.live_page.hub import Hub

CLOSE_SECONDS = 2  # for requests that are being answered
STUCK_SECONDS = 20  # after which the system gives up a client that takes nothing
BACKLOG = 64
MAX_PORT = 65535


class Server(uvicorn.Server):
    """A server that ends its streams before it waits for them.

    Args:
        app: The application.
        hub: Whose streams are ended; None where there are none.
    """

    def __init__(self, app: Starlette, hub: Hub | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                ws="none",
                timeout_graceful_shutdown=CLOSE_SECONDS,
            )
        )
        self._hub = hub
        # A client that was dropped is no fault of the server, and needs no lines of its own.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the streams, then the server."""
        if self._hub is not None:
            self._hub.close()
        await super().shutdown(sockets)


def open_socket(host: str, port: int) -> socket.socket:
    """Opens the socket to listen on; the system picks the port for 0.

    Raises:
        ValueError: The address is none of this machine, or the port is none or taken.
    """
    if port > MAX_PORT:  # the system would take its last 16 bits
        raise ValueError(f"--port: expected a number up to {MAX_PORT}, received {port}")
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
    except OSError as error:
        raise ValueError(f"--host: cannot listen on {host!r} ({error.strerror})") from None
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform == "linux":  # connections take it over
        milliseconds = 1000 * STUCK_SECONDS
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        reason = error.strerror
        raise ValueError(f"--port: cannot listen on {host}:{port} ({reason})") from None
    return listening
