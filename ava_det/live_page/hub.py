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
MAX_KEPT = 200  # keyframes, and as many events of rules, that a new client is told
MAX_ACTIONS = 1000  # that a new client is told: minutes of several persons, for the timeline


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
        self._alarms: deque[dict[str, Any]] = deque(maxlen=MAX_KEPT)
        self._actions: dict[int, dict[str, Any]] = {}  # by id, in the order in which they began
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

    def publish_actions(self, actions: list[dict[str, Any]]) -> None:
        """Passes on what begins, goes on or ends at a keyframe, from any thread.

        It is one message, however many persons there are. An end replaces its begin.
        """
        if not actions:
            return
        with self._lock:
            self._actions.update((one["id"], one) for one in actions)
            while len(self._actions) > MAX_ACTIONS:
                del self._actions[next(iter(self._actions))]
        self._call(self._messages, ("actions", actions))

    def publish_alarm(self, event: dict[str, Any]) -> None:
        """Passes an event of a rule on, from any thread, without the files that are written."""
        alarm = {key: value for key, value in event.items() if key not in ("picture", "clip")}
        with self._lock:
            self._alarms.append(alarm)
        self._call(self._messages, ("alarm", alarm))

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

    def actions(self) -> list[dict[str, Any]]:
        """Returns the last actions, in the order in which they began."""
        with self._lock:
            return list(self._actions.values())

    def alarms(self) -> list[dict[str, Any]]:
        """Returns the last events of rules, oldest first."""
        with self._lock:
            return list(self._alarms)

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
