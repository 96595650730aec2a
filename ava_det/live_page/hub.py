"""Passes what one thread finds to all clients of a page, and holds none of it for a slow one.

Threads publish; clients wait on the loop of the server. A client has a mailbox: one of pictures
holds the newest alone, one of messages is closed once too many wait in it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

MAX_WAITING = 64  # messages of a client that does not take them
MAX_KEPT = 200  # keyframes and events that a new client is told


class Mailbox:
    """Holds what a client has not taken yet.

    Args:
        limit: Items that may wait; with 1 a new item takes the place of the old one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[Any] = deque()
        self._filled = asyncio.Event()
        self.is_closed = False
        self.is_overrun = False

    def put(self, item: Any) -> None:
        """Adds an item, on the loop's thread."""
        if self.is_closed:
            return
        if len(self._items) >= self._limit:
            if self._limit > 1:
                self.is_overrun = True
                self._items.clear()
                self.close()
                return
            self._items.popleft()
        self._items.append(item)
        self._filled.set()

    def close(self) -> None:
        """Ends the wait of the client."""
        self.is_closed = True
        self._filled.set()

    async def take(self, seconds: float) -> Any:
        """Returns the next item; None where none came within `seconds` or it is closed."""
        if not self._items:
            self._filled.clear()
            if not self.is_closed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._filled.wait(), seconds)
        return self._items.popleft() if self._items else None


class Hub:
    """Joins the thread that watches with the clients of the server.

    Attributes:
        num_dropped: Clients that were too slow.
        is_ended: Whether the source has ended.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pictures: set[Mailbox] = set()
        self._messages: set[Mailbox] = set()
        self._lock = Lock()
        self._keyframes: deque[dict[str, Any]] = deque(maxlen=MAX_KEPT)
        self._events: deque[dict[str, Any]] = deque(maxlen=MAX_KEPT)
        self.num_dropped = 0
        self.is_ended = False

    def begin(self) -> None:
        """Is called on the loop before anybody is served."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Ends the streams of all clients, on the loop's thread."""
        self._loop = None
        for mailbox in (*self._pictures, *self._messages):
            mailbox.close()

    @property
    def has_viewers(self) -> bool:
        """Returns whether anybody looks at the pictures."""
        return bool(self._pictures)

    @property
    def num_clients(self) -> int:
        """Returns how many streams are open."""
        return len(self._pictures) + len(self._messages)

    def publish_picture(self, jpeg: bytes) -> None:
        """Passes a picture on, from any thread."""
        self._call(self._pictures, jpeg)

    def publish_keyframe(self, keyframe: dict[str, Any]) -> None:
        """Passes the detections of a keyframe on, from any thread."""
        with self._lock:
            self._keyframes.append(keyframe)
        self._call(self._messages, ("keyframe", keyframe))

    def publish_event(self, event: dict[str, Any]) -> None:
        """Passes the begin or end of an action on, from any thread; an end replaces its begin."""
        with self._lock:
            kept = next((one for one in self._events if one["id"] == event["id"]), None)
            if kept is None:
                self._events.append(event)
            else:
                kept.update(event)
        self._call(self._messages, ("event", event))

    def publish_end(self) -> None:
        """Says that the source has ended, from any thread."""
        self.is_ended = True
        self._call(self._messages, ("end", {}))

    def _call(self, mailboxes: set[Mailbox], item: Any) -> None:
        loop = self._loop
        if loop is None:
            return

        def deliver() -> None:
            for mailbox in list(mailboxes):
                mailbox.put(item)

        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(deliver)

    def keyframes(self, since: float = -1.0) -> list[dict[str, Any]]:
        """Returns the last keyframes later than `since`, seconds since the first frame."""
        with self._lock:
            return [one for one in self._keyframes if one["time"] > since]

    def events(self) -> list[dict[str, Any]]:
        """Returns the last events, oldest first."""
        with self._lock:
            return [dict(one) for one in self._events]

    @contextmanager
    def pictures(self) -> Iterator[Mailbox]:
        """Provides a mailbox of the newest picture."""
        with self._subscribed(self._pictures, Mailbox(1)) as mailbox:
            yield mailbox

    @contextmanager
    def messages(self) -> Iterator[Mailbox]:
        """Provides a mailbox of messages: a name and a value."""
        with self._subscribed(self._messages, Mailbox(MAX_WAITING)) as mailbox:
            yield mailbox

    @contextmanager
    def _subscribed(self, mailboxes: set[Mailbox], mailbox: Mailbox) -> Iterator[Mailbox]:
        mailboxes.add(mailbox)
        if self._loop is None:
            mailbox.close()
        try:
            yield mailbox
        finally:
            mailboxes.discard(mailbox)
            self.num_dropped += mailbox.is_overrun
