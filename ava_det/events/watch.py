"""Watches the keyframes of one video for events, and does what the rules say.

JSON lines and pictures are written at once. Clips, commands and webhooks run in threads, so that
none of them stops the video. What fails is said and goes no further.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from ava_det.events.describe import describe_event, fill_arguments, name_file
from ava_det.events.engine import Event, EventEngine
from ava_det.events.rules import (
    Deed,
    JsonLine,
    PostWebhook,
    Rule,
    RunCommand,
    SaveClip,
    SavePicture,
)
from ava_det.events.webhook import WebhookError, describe_host, post_event
from ava_det.formats.keyframe_records import make_records
from ava_det.structures import Detections
from ava_det.visualization import Overlay, write_png

logger = logging.getLogger("ava_det")

NUM_THREADS = 4  # of clips and commands, and as many of webhooks
MAX_WAITING = 64  # events of either kind
CLOSE_SECONDS = 30.0  # at the end of the run, for webhooks

WriteClip = Callable[[Path, float, float], Any]  # target, seconds of begin and end
TellEvent = Callable[[dict[str, Any]], None]


class EventWatch:
    """Finds the events of a video and responds to them; use it in a `with` block.

    Args:
        rules: The rules.
        label_map: Action names by 1-based id.
        thresholds: By 1-based id, the score from which an action is drawn and named.
        topk: Most actions drawn for a person.
        start_second: Annotation time, in seconds, of the video's first frame.
        write_clip: Writes a piece of the video: target, begin and end in seconds of the file.
        is_live: Whether the source goes on meanwhile; then what cannot be done in time is left out,
            and events have the time of day.
        tell: Is told each event, as docs/events.md shows it, before anything is done.

    Attributes:
        counts: Events by rule, so far.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        label_map: Mapping[int, str],
        thresholds: Mapping[int, float],
        topk: int,
        start_second: float,
        write_clip: WriteClip,
        is_live: bool = False,
        tell: TellEvent | None = None,
    ) -> None:
        used = {number for rule in rules if rule.when for number in rule.when.actions}
        self._engine = EventEngine(rules)
        self._label_map = label_map
        self._thresholds = thresholds
        self._kept = {**thresholds, **dict.fromkeys(used, 0.0)}
        self._start_second = start_second
        self._write_clip = write_clip
        self._is_live = is_live
        self._tell = tell
        self._overlay = Overlay(label_map, thresholds, topk)
        self._stopped = threading.Event()
        self._failures: Counter[str] = Counter()
        self._free = {name: threading.Semaphore(MAX_WAITING) for name in ("local", "webhook")}
        self._pools = {name: ThreadPoolExecutor(NUM_THREADS, name) for name in self._free}
        self._futures: dict[str, set[Future[None]]] = {name: set() for name in self._free}
        self.counts: Counter[str] = Counter()

    def add(self, detections: Detections, take_picture: Callable[[], np.ndarray]) -> None:
        """Takes the next keyframe.

        Args:
            detections: With track ids.
            take_picture: Returns the keyframe, uint8 RGB [H, W, 3].

        Raises:
            ValueError: A person has no track id, or the keyframe no `frame_size`.
        """
        [record] = make_records([detections], self._label_map, self._kept, self._start_second)
        for event in self._engine.add(record):
            self.counts[event.rule.name] += 1
            self._respond(event, detections, take_picture)

    def _respond(
        self, event: Event, detections: Detections, take_picture: Callable[[], np.ndarray]
    ) -> None:
        value = describe_event(event, self._thresholds)
        if self._is_live:
            value["utc"] = datetime.now(UTC).isoformat(timespec="seconds")
        if self._tell is not None:
            self._tell(value)
        line = json.dumps(value, ensure_ascii=False)
        later: list[Deed] = []
        for deed in event.rule.do:
            if isinstance(deed, JsonLine):
                self._guard(event.rule, deed, partial(_add_line, deed.path, line))
            elif isinstance(deed, SavePicture):
                target = name_file(event, deed.folder, ".png")
                self._guard(
                    event.rule,
                    deed,
                    partial(self._write_picture, target, detections, take_picture),
                )
            elif isinstance(deed, PostWebhook):
                self._submit("webhook", event, [deed], value, line)
            else:
                later.append(deed)
        if later:
            self._submit("local", event, later, value, line)

    def _write_picture(
        self, target: Path, detections: Detections, take_picture: Callable[[], np.ndarray]
    ) -> None:
        write_png(target, self._overlay.draw(take_picture(), detections))

    def _submit(
        self, pool: str, event: Event, deeds: list[Deed], value: dict[str, Any], line: str
    ) -> None:
        """Leaves deeds to a thread; they are done one after the other."""
        may_wait = pool == "local" and not self._is_live
        if not self._free[pool].acquire(blocking=may_wait):
            self._say(event.rule, deeds[0], f"{MAX_WAITING} earlier ones are not done yet")
            return

        def work() -> None:
            try:
                for deed in deeds:
                    self._guard(event.rule, deed, partial(self._do, deed, event, value, line))
            finally:
                self._free[pool].release()

        future = self._pools[pool].submit(work)
        self._futures[pool].add(future)
        future.add_done_callback(self._futures[pool].discard)

    def _do(self, deed: Deed, event: Event, value: dict[str, Any], line: str) -> None:
        if isinstance(deed, SaveClip):
            begin = max(event.start, event.time - event.rule.duration) - deed.before
            target = name_file(event, deed.folder, ".mp4")
            self._write_clip(target, begin, event.time + deed.after)
        elif isinstance(deed, RunCommand):
            _run_command(fill_arguments(deed.arguments, value), line, deed.timeout)
        elif isinstance(deed, PostWebhook):
            post_event(deed, line.encode(), self._stopped)

    def _guard(self, rule: Rule, deed: Deed, do: Callable[[], Any]) -> None:
        """Does something, and says it if that fails."""
        try:
            do()
        except (ValueError, OSError, subprocess.SubprocessError, WebhookError) as error:
            self._say(rule, deed, " ".join(str(error).split()))

    def _say(self, rule: Rule, deed: Deed, reason: str) -> None:
        """Warns of the first failure of each deed; the others are counted."""
        what = _describe_deed(deed)
        key = f"event rule {rule.name!r}: {what}"
        self._failures[key] += 1
        if self._failures[key] == 1:
            logger.warning(f"{key}: {reason}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for clips and commands, and for webhooks up to `CLOSE_SECONDS`."""
        self._pools["local"].shutdown(wait=True)
        wait(list(self._futures["webhook"]), timeout=CLOSE_SECONDS)
        self._stopped.set()
        left = sum(future.cancel() for future in list(self._futures["webhook"]))
        self._pools["webhook"].shutdown(wait=True)
        if left:
            logger.warning(f"events: {left} of them were not sent before the end of the run")
        for key, count in self._failures.items():
            if count > 1:
                logger.warning(f"{key}: failed {count} times")


def _describe_deed(deed: Deed) -> str:
    if isinstance(deed, PostWebhook):
        return f"webhook {describe_host(deed)}"
    if isinstance(deed, RunCommand):
        return f"command {deed.arguments[0]}"
    names = {JsonLine: "json", SavePicture: "picture", SaveClip: "clip"}
    return names[type(deed)]


def _add_line(path: Path, line: str) -> None:
    """Adds a line to a file in one write, so that several processes may do so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(handle, f"{line}\n".encode())
    finally:
        os.close(handle)


def _run_command(arguments: list[str], line: str, timeout: float) -> None:
    """Runs a program with the event on its standard input.

    Raises:
        ValueError: It fails, or takes too long.
        OSError: It cannot be started.
    """
    with tempfile.TemporaryFile() as errors:  # a pipe would wait for what the program started
        try:
            done = subprocess.run(
                arguments,
                input=f"{line}\n".encode(),
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"took more than {timeout:g} s and was ended") from None
        errors.seek(0)
        said = errors.read(10_000).decode("utf-8", "replace").strip().splitlines()[-1:]
    if done.returncode:
        raise ValueError(": ".join([f"ended with code {done.returncode}", *said]))
