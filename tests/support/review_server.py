"""A review served on a thread, as `ava-det review` serves it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from ava_det.formats.keyframe_records import read_records
from ava_det.live_page.server import Server, open_socket
from ava_det.review import Review
from ava_det.review.app import make_app
from ava_det.review.pages import ReviewPages
from tests.support.review_cases import LABELS, find_in


def make_pages(folder: Path, names: Sequence[str]) -> ReviewPages:
    """The pages of the inputs of `write_inputs`; the CSV is reviewed.csv beside them."""
    files = [folder / f"{name}.jsonl" for name in names]
    review = Review(find_in(*files), LABELS, folder / "reviewed.csv")
    records = {name: list(read_records(path)) for name, path in zip(names, files, strict=True)}
    return ReviewPages(review, records, {name: folder / "videos" / f"{name}.mp4" for name in names})


class ReviewServer:
    """Use it in a `with` block. url: where it answers."""

    def __init__(self, folder: Path, names: Sequence[str] = ("walk",), port: int = 0) -> None:
        self._listening = open_socket("127.0.0.1", port)
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.review = (pages := make_pages(folder, names)).review
        self._server = Server(make_app("reviewed.csv", pages))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listening]}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server did not end"
        self._listening.close()
