"""Does what `ava-det serve` does: serves a live source or a folder of videos."""

from __future__ import annotations

import argparse
import re
import secrets
import socket
from contextlib import ExitStack
from pathlib import Path

from ava_det.config import ConfigError
from ava_det.demo.actions import choose_actions, choose_thresholds
from ava_det.demo.event_rules import choose_events
from ava_det.demo.options import DisplayOptions
from ava_det.live_page.access import LOCAL_NAMES, is_local
from ava_det.live_page.app import Served, make_app
from ava_det.live_page.camera import Camera
from ava_det.live_page.hub import Hub
from ava_det.live_page.library import Library
from ava_det.live_page.server import Server, open_socket
from ava_det.live_page.worker import ModelWorker
from ava_det.operations.demo import load_predictor
from ava_det.video.folder import open_video
from ava_det.video.sources import Source, find_source, key_by_id

MEGABYTE = 1_000_000
TOP = 5  # actions of a person


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det serve` and returns its exit code."""
    source = find_source(args.video)
    if args.events is not None and not shows_live(source):
        raise ConfigError(
            f"--events: expected a live source or a file as --video, received {args.video}"
        )
    if source.is_single:
        with open_video(source.videos[0]):  # a file that is no video is said before the weights
            pass
    token = choose_token(args.token, args.host)
    with ExitStack() as opened:
        listening = opened.enter_context(open_socket(args.host, args.port))
        predictor = load_predictor(args)
        actions = choose_actions(args.classes, predictor.label_map)
        thresholds = choose_thresholds(args.threshold, actions, predictor.thresholds)
        events = choose_events(args, source.videos, predictor, thresholds)
        display = DisplayOptions(actions, thresholds, TOP, events=events)
        worker = ModelWorker(predictor, display)
        opened.callback(worker.close)
        served = make_served(args, source, worker)
        if served.camera is not None:
            opened.callback(served.camera.close)
        app = make_app(served, token, [*LOCAL_NAMES, args.host])
        shown = hide_login(args.video)
        print(f"serving {shown} at {format_address(listening, args.host, token)}", flush=True)
        Server(app, served.hub).run(sockets=[listening])
    return 0


def shows_live(source: Source) -> bool:
    """Returns whether a source has the live page: a camera, a stream, or a file at its own pace."""
    return source.live is not None or (source.is_single and not source.videos[0].is_dir())


def choose_token(token: str | None, host: str) -> str | None:
    """Returns the token that clients must know: the one given, else a random one off this machine.

    Raises:
        ValueError: The token is empty, or has characters that no cookie holds.
    """
    if token is not None and (not token.isascii() or not token.replace("-", "a").isalnum()):
        raise ValueError("--token: expected letters, digits and dashes, received another text")
    if token is None and not is_local(host):
        return secrets.token_urlsafe(18).replace("_", "-")
    return token


def make_served(args: argparse.Namespace, source: Source, worker: ModelWorker) -> Served:
    """Opens what is served: a live source, or the videos of a folder.

    Raises:
        VideoError: The source does not answer, or two videos have the same id.
    """
    hub = Hub()
    limit = args.max_upload * MEGABYTE
    name = Path(args.video).name or args.video
    if shows_live(source):
        camera = Camera(source.live or str(source.videos[0]), worker, hub, args.every, args.smooth)
        return Served(hide_login(source.live or name), hub, worker, camera, None, limit)
    videos = key_by_id(source.videos)
    library = Library(videos, worker, args.every)
    return Served(name, hub, worker, None, library, limit)


def hide_login(name: str) -> str:
    """Returns the name of a source for its page, without the user and the password of a URL."""
    return re.sub("//[^/]*@", "//", name)


def format_address(listening: socket.socket, host: str, token: str | None) -> str:
    """Formats the address to open."""
    port = listening.getsockname()[1]
    if host in ("0.0.0.0", "::"):
        name = socket.gethostname()
    else:
        name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
