"""Writes the index of a folder of pages: every video, with what happened in it."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ava_det.files import write_text
from ava_det.pages import render_page

logger = logging.getLogger("ava_det")

INDEX = "index.html"
SUMMARY = re.compile(r'<script type="application/json" id="summary">(.*?)</script>', re.DOTALL)


def write_index(folder: str | Path) -> Path | None:
    """Writes `index.html`, from which each page of the folder is opened.

    It reads the summary that each page carries, so that pages of earlier runs are in it too. Videos
    are sorted by how long something happens in them, and by an action where one is chosen.

    Args:
        folder: Holds the pages, also in folders within it.

    Returns:
        The index, or None where the folder holds no page of a video.
    """
    folder = Path(folder)
    videos = []
    for path in sorted(folder.rglob("*.html")):
        if path.name == INDEX or path.name.startswith("."):
            continue
        summary = _read_summary(path)
        if summary is None:
            logger.warning(f"{path}: no page of a video, and is left out of the index")
            continue
        videos.append({**summary, "page": quote(path.relative_to(folder).as_posix())})
    if not videos:
        return None
    videos.sort(key=lambda video: -_busy_seconds(video))
    page = render_page(
        "index.html",
        title=folder.resolve().name or "videos",
        videos=videos,
        actions=_list_actions(videos),
        scripts=("theme.js", "index.js"),
    )
    path = folder / INDEX
    write_text(path, page)
    return path


def _read_summary(path: Path) -> dict[str, Any] | None:
    found = SUMMARY.search(path.read_text(encoding="utf-8", errors="replace"))
    if found is None:
        return None
    try:
        summary = json.loads(found[1])
    except ValueError:
        return None
    wanted = {"title", "duration", "persons", "keyframes", "actions", "thumbnail"}
    return summary if isinstance(summary, dict) and wanted <= summary.keys() else None


def _busy_seconds(video: dict[str, Any]) -> float:
    """Returns the seconds of all segments of a video."""
    return float(sum(seconds for _, _, _, seconds in video["actions"]))


def _list_actions(videos: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """Lists all actions, the most frequent first: name, color and number of videos."""
    found: dict[str, tuple[str, int]] = {}
    for video in videos:
        for name, color, _, _ in video["actions"]:
            found[name] = (color, found.get(name, (color, 0))[1] + 1)
    rows = [(name, color, count) for name, (color, count) in found.items()]
    return sorted(rows, key=lambda row: (-row[2], row[0]))
