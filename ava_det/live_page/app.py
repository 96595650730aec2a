"""Answers requests: pages, the stream of pictures, server-sent events, detections, predictions."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

import ava_det
from ava_det.live_page.access import Access
from ava_det.live_page.camera import Camera
from ava_det.live_page.hub import Hub
from ava_det.live_page.library import Library, address_of
from ava_det.live_page.streams import BOUNDARY, Stream, messages, pictures
from ava_det.live_page.worker import BusyError, ModelWorker
from ava_det.pages import render_page
from ava_det.viewer.content import css_color, describe_actions
from ava_det.visualization.panel import PERSON_COLORS

LIVE_SCRIPTS = ("boxes.js", "items.js", "events_list.js", "timeline.js", "theme.js", "live.js")


@dataclass(frozen=True)
class Served:
    """Holds what a server shows.

    Attributes:
        name: Of the source, as the user gave it.
        hub: Passes on what is seen.
        worker: Runs the network.
        camera: The live source, or None.
        library: The folder of videos, or None.
        max_upload: Most bytes of a video that is sent in.
    """

    name: str
    hub: Hub
    worker: ModelWorker
    camera: Camera | None
    library: Library | None
    max_upload: int


def make_app(served: Served, token: str | None, names: list[str]) -> Starlette:
    """Makes the application.

    Args:
        served: What is shown.
        token: What a client must know; None where only this machine can ask.
        names: Names of this machine.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        served.hub.begin()
        yield

    answers = _Answers(served)
    routes = [
        Route("/", answers.page),
        Route("/health", answers.health),
        Route("/version", answers.version),
        Route("/predict", answers.predict, methods=["POST"]),
    ]
    if served.camera is not None:
        routes += [
            Route("/pictures", answers.pictures),
            Route("/events", answers.events),
            Route("/detections", answers.detections),
        ]
    if served.library is not None:
        routes += [
            Route("/videos/{video_id}", answers.video),
            Route("/videos/{video_id}/file", answers.file),
            Route("/videos/{video_id}/detections", answers.video_detections),
        ]
    guard = Middleware(Access, token=token, names=names)
    return Starlette(
        routes=routes,
        middleware=[guard],
        lifespan=lifespan,
        exception_handlers={HTTPException: _refuse},
    )


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


class _Answers:
    """Answers the requests of one server."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def page(self, _: Request) -> Response:
        served = self._served
        if served.library is not None:
            videos = [(name, address_of(name)) for name in served.library.videos]
            return HTMLResponse(render_page("folder.html", title=served.name, videos=videos))
        assert served.camera is not None
        page = render_page(
            "live.html",
            title=served.name,
            width=served.camera.width,
            height=served.camera.height,
            rules=served.worker.display.events is not None,
            scripts=LIVE_SCRIPTS,
        )
        return HTMLResponse(page, headers={"cache-control": "no-store"})

    async def health(self, _: Request) -> Response:
        hub = self._served.hub
        state = {
            "status": "ended" if hub.is_ended else "ok",
            "clients": hub.num_clients,
            "dropped": hub.num_dropped,
        }
        return JSONResponse(state)

    async def version(self, _: Request) -> Response:
        return JSONResponse({"ava_det": ava_det.__version__})

    async def pictures(self, _: Request) -> Any:
        media = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        return Stream(self._served.hub, media, pictures(self._served.hub))

    async def events(self, _: Request) -> Any:
        state = {
            "personColors": [css_color(color) for color in PERSON_COLORS],
            "classes": describe_actions(self._served.worker.display.label_map),
        }
        parts = messages(self._served.hub, state)
        return Stream(self._served.hub, "text/event-stream; charset=utf-8", parts)

    async def detections(self, request: Request) -> Response:
        since = _number(request, "since", -1.0)
        hub = self._served.hub
        found = {"actions": hub.actions(), "alarms": hub.alarms()}
        return JSONResponse({"keyframes": hub.keyframes(since), **found})

    async def predict(self, request: Request) -> Response:
        """Looks at the video in the body of a request."""
        every = _number(request, "every", 1.0)
        if every < 0.001:
            raise HTTPException(422, f"every: expected 0.001 seconds or more, received {every:g}")
        with tempfile.TemporaryDirectory(prefix="ava-det-") as folder:
            video = Path(folder) / "video"
            await self._receive(request, video)
            try:
                work = self._served.worker.submit(video, every)
                keyframes = await asyncio.wrap_future(work)
            except BusyError as error:
                raise HTTPException(503, str(error)) from None
            except (ValueError, OSError) as error:
                sentence = " ".join(str(error).replace(f"{folder}/", "").split())
                raise HTTPException(422, sentence) from None
        return JSONResponse({"keyframes": keyframes})

    async def _receive(self, request: Request, path: Path) -> None:
        """Writes the body of a request to a file."""
        limit = self._served.max_upload
        sentence = f"expected a video of at most {limit} bytes (--max-upload)"
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise HTTPException(413, sentence)
        size = 0
        with open(path, "wb") as file:
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise HTTPException(413, sentence)
                await asyncio.to_thread(file.write, part)
        if not size:
            raise HTTPException(422, "expected a video as the body of the request, received none")

    async def video(self, request: Request) -> Response:
        library = self._library(request)
        video_id = request.path_params["video_id"]
        work = await self._ask(video_id)
        if not work.done():
            done = library.seconds_done(video_id)
            page = render_page("waiting.html", title=video_id, seconds=f"{done:.0f}")
            return HTMLResponse(page, 202)
        keyframes = await self._result(work)
        return HTMLResponse(await asyncio.to_thread(library.make_page, video_id, keyframes))

    async def video_detections(self, request: Request) -> Response:
        self._library(request)
        work = await self._ask(request.path_params["video_id"])
        return JSONResponse({"keyframes": await self._result(asyncio.wrap_future(work))})

    async def file(self, request: Request) -> Response:
        library = self._library(request)
        path = library.videos[request.path_params["video_id"]]
        if not path.is_file():
            raise HTTPException(404, "a folder of pictures has no file")
        return FileResponse(path)  # knows ranges, by which browsers seek

    async def _ask(self, video_id: str) -> Any:
        assert self._served.library is not None
        try:
            return self._served.library.ask(video_id)
        except BusyError as error:
            raise HTTPException(503, str(error)) from None

    async def _result(self, work: Any) -> Any:
        try:
            return await work if asyncio.isfuture(work) else work.result()
        except (ValueError, OSError) as error:
            raise HTTPException(422, " ".join(str(error).split())) from None

    def _library(self, request: Request) -> Library:
        """Returns the library, where it has the video that is asked for."""
        library = self._served.library
        assert library is not None
        if request.path_params["video_id"] not in library.videos:
            raise HTTPException(404, "no such video in the folder")
        return library


def _number(request: Request, name: str, default: float) -> float:
    """Returns a number of the address.

    Raises:
        HTTPException: It is none.
    """
    text = request.query_params.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise HTTPException(422, f"{name}: expected a number, received {text!r}")
    return value
