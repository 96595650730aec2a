"""Sends events by POST requests, within a time limit, and again where that fails."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit

from ava_det.events.rules import PostWebhook

FIRST_PAUSE = 0.5  # seconds before the first retry; doubles each time


class WebhookError(Exception):
    """Says in a few words why a webhook did not take an event."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: no other address than the rule's is contacted."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


def post_event(hook: PostWebhook, body: bytes, stopped: threading.Event) -> None:
    """Sends an event, and tries again after a failure, with growing pauses.

    An answer of 400 to 499 is final, but for 408 and 429, which ask for another attempt.

    Args:
        hook: Where to, how long and how often.
        body: JSON.
        stopped: No further attempt is made once it is set.

    Raises:
        WebhookError: No attempt succeeded.
    """
    pause = FIRST_PAUSE
    for attempt in range(hook.retries + 1):
        try:
            status = _post_in_time(hook, body)
        except WebhookError:
            if attempt == hook.retries:
                raise
        else:
            if 200 <= status < 300:
                return
            is_final = 400 <= status < 500 and status not in (408, 429)
            if is_final or 300 <= status < 400 or attempt == hook.retries:
                raise WebhookError(f"answered {status}")
        if stopped.wait(pause):
            raise WebhookError("was not reached before the end of the run")
        pause *= 2


def describe_host(hook: PostWebhook) -> str:
    """Returns the host of a webhook; the rest of its address may hold a secret."""
    return str(urlsplit(hook.url).hostname)


def _post_in_time(hook: PostWebhook, body: bytes) -> int:
    """Makes one attempt, in a thread that is left behind when its time is up.

    The limit of a socket counts anew with every byte that arrives.

    Returns:
        The status of the answer.
    """
    answers: list[int | Exception] = []

    def post() -> None:
        try:
            answers.append(_post(hook, body))
        except (OSError, HTTPException, ValueError) as error:
            answers.append(error)

    thread = threading.Thread(target=post, daemon=True, name="webhook")
    thread.start()
    thread.join(hook.timeout)
    if not answers or isinstance(answers[0], TimeoutError):
        raise WebhookError(f"did not answer within {hook.timeout:g} s")
    if isinstance(answers[0], Exception):
        reason: Any = getattr(answers[0], "reason", None) or answers[0]
        if isinstance(reason, TimeoutError):
            raise WebhookError(f"did not answer within {hook.timeout:g} s")
        raise WebhookError(f"could not be reached ({getattr(reason, 'strerror', None) or reason})")
    return answers[0]


def _post(hook: PostWebhook, body: bytes) -> int:
    headers = {"Content-Type": "application/json", "User-Agent": "ava_det"}
    request = urllib.request.Request(hook.url, body, headers, method="POST")
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=hook.timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)
