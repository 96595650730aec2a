"""Answers the requests of a review: pages, videos, the state, and the steps that are sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from ava_det.live_page.access import Access
from ava_det.review.decisions import parse_step
from ava_det.review.origin import SameOrigin
from ava_det.review.pages import ReviewPages, address_of
from ava_det.review.review import StaleError

MAX_BODY = 10_000  # bytes; a step has about a hundred
# No page is kept, because it would show what was decided before, and none is framed by another
# site, which could lead a user to click on it unseen.
PAGE_HEADERS = {"cache-control": "no-store", "content-security-policy": "frame-ancestors 'none'"}


def make_app(title: str, pages: ReviewPages) -> Starlette:
    """Makes the application, which answers only this machine and its own pages.

    Args:
        title: Of the list of videos.
        pages: What is reviewed.
    """
    answers = _Answers(title, pages)
    routes = [
        Route("/", answers.list),
        Route("/videos/{video_id}", answers.page),
        Route("/videos/{video_id}/file", answers.file),
        Route("/videos/{video_id}/state", answers.state),
        Route("/steps", answers.take_step, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Access, token=None), Middleware(SameOrigin)],
        exception_handlers={HTTPException: _refuse},
    )


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


class _Answers:
    """Answers the requests of one server."""

    def __init__(self, title: str, pages: ReviewPages) -> None:
        self._title = title
        self._pages = pages

    async def list(self, _: Request) -> Response:
        video_ids = list(self._pages.videos)
        if len(video_ids) == 1:
            return RedirectResponse(address_of(video_ids[0]))
        return HTMLResponse(self._pages.make_list(self._title), headers=PAGE_HEADERS)

    async def page(self, request: Request) -> Response:
        video_id = self._video(request)
        try:
            page = await asyncio.to_thread(self._pages.make_page, video_id)
        except (ValueError, OSError) as error:
            raise HTTPException(422, " ".join(str(error).split())) from None
        return HTMLResponse(page, headers=PAGE_HEADERS)

    async def file(self, request: Request) -> Response:
        path = self._pages.videos[self._video(request)]
        if not path.is_file():
            raise HTTPException(404, "a folder of pictures has no file")
        return FileResponse(path)  # knows ranges, by which browsers seek

    async def state(self, request: Request) -> Response:
        state = self._pages.describe_state(self._video(request))
        return JSONResponse(state, headers={"cache-control": "no-store"})

    async def take_step(self, request: Request) -> Response:
        """Takes a step; answers with the state of its video, and the segment it was about."""
        body = await _read_object(request)
        review = self._pages.review
        try:
            count = len(review.candidates)
            step = parse_step(body.get("step"), count, review.label_map, "step")
            number = await asyncio.to_thread(review.take, step, str(body.get("version")))
        except StaleError as error:
            raise HTTPException(409, str(error)) from None
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        except OSError as error:
            sentence = f"{error.filename or 'the disk'}: {error.strerror}"
            raise HTTPException(507, sentence) from None
        video_id = review.candidates[number].segment.video
        place = number - self._pages.numbers[video_id].start
        state = self._pages.describe_state(video_id)
        return JSONResponse({**state, "place": place, "address": address_of(video_id, place)})

    def _video(self, request: Request) -> str:
        """Returns the id of the video that is asked for."""
        video_id: str = request.path_params["video_id"]
        if video_id not in self._pages.videos:
            raise HTTPException(404, "no such video in the review")
        return video_id


async def _read_object(request: Request) -> dict[str, Any]:
    """Reads the JSON object in the body of a request."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind != "application/json":
        raise HTTPException(415, "expected a body of application/json")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"expected a body of at most {MAX_BODY} bytes")
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise HTTPException(422, "expected an object with version and step as the body")
    return value
