"""Where videos are found: in a folder by their ids, or by what the text after --video means."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ava_det.video.reader import VideoError

URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
VIDEO_SUFFIXES = {".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".ts"}


def find_videos(video_dir: str | Path) -> dict[str, Path]:
    """The videos of a folder by video id: files (their name without its extension) and folders of
    pictures.
    """
    folder = Path(video_dir)
    if not folder.is_dir():
        raise VideoError(f"{folder}: no such folder of videos")
    videos: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        is_folder = path.is_dir()
        if path.suffix.lower() in VIDEO_SUFFIXES or (is_folder and holds_pictures(path)):
            video_id = path.name if is_folder else path.stem
            if video_id in videos:
                raise VideoError(
                    f"{path}: {videos[video_id].name} has the same video id, expected one file for each"
                )
            videos[video_id] = path
    return videos


def holds_pictures(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.lower().endswith((".jpg", ".jpeg", ".png")) for entry in entries)


@dataclass(frozen=True)
class Source:
    """videos: the files (or folders of pictures). is_single: one video was asked for, not a job
    over several.

    live: a webcam's number or a URL; then there are no videos.
    """

    videos: list[Path] = field(default_factory=list)
    is_single: bool = False
    live: str | None = None


def find_source(text: str) -> Source:
    """A file, a folder of videos, a folder of pictures, a glob, a webcam's number, a URL.

    Raises VideoError where there is nothing of the kind, or where two videos have the same name but
    for the extension.
    """
    path = Path(text)
    if URL.match(text) or (text.isdecimal() and not path.exists()):
        return Source(live=text)
    if path.is_dir() and not holds_pictures(path):
        videos = list(find_videos(path).values())
        if not videos:
            raise VideoError(f"{path}: the folder holds no video")
        return Source(videos)
    if path.exists() or not glob.has_magic(text):
        return Source([path], is_single=True)
    found = [Path(name) for name in sorted(glob.glob(text, recursive=True))]
    if not found:
        raise VideoError(f"{text}: no file of that pattern")
    by_name: dict[str, Path] = {}
    for video in found:
        if by_name.setdefault(video.stem, video) != video:
            raise VideoError(
                f"{video}: {by_name[video.stem]} has the same name, so would their results"
            )
    return Source(found)
