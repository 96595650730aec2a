"""Finds videos: in a folder by their ids, or from the text after --video."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ava_det.video.containers import is_video_container
from ava_det.video.reader import VideoError

URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
VIDEO_SUFFIXES = (
    {".mp4", ".m4v", ".mov", ".qt", ".f4v", ".3gp", ".3g2"}  # MPEG-4 and its kin
    | {".mkv", ".webm", ".avi", ".divx", ".flv", ".ogv", ".ogm", ".gif", ".nut", ".ivf", ".y4m"}
    | {".asf", ".wmv", ".wtv", ".rm", ".rmvb"}  # Microsoft, RealNetworks
    | {".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".vob", ".tod"}  # MPEG program streams
    | {".ts", ".mts", ".m2t", ".m2ts"}  # MPEG transport streams
    | {".h264", ".264", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg", ".dv", ".mxf"}  # cameras
)
SOURCE_CODE = {".ts", ".mts"}  # TypeScript uses these suffixes too: such files are opened to see
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png"}
# These files are never opened to see what they are: a folder may hold very many of them.
OTHER_SUFFIXES = (
    PICTURE_SUFFIXES
    | {".bmp", ".heic", ".tif", ".tiff", ".webp", ".wav", ".mp3", ".m4a", ".srt", ".vtt"}
    | {".lrv", ".thm"}  # a camera's small twins of its videos
    | {".txt", ".md", ".log", ".csv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".pbtxt", ".py"}
    | {".npy", ".npz", ".pkl", ".pt", ".pth", ".gz", ".zip"}
)
MAX_NAMED = 5  # files
ENOUGH_NAMES = 1000  # names that are enough to tell a folder of pictures from one of videos


@dataclass(frozen=True)
class VideoFolder:
    """Describes what a folder holds.

    Attributes:
        path: The folder.
        videos: Video files and folders of pictures.
        others: What is no video.
    """

    path: Path
    videos: list[Path]
    others: list[Path]

    def describe_others(self) -> str | None:
        """Counts and names what is no video; None where everything is."""
        if not self.others:
            return None
        names = [
            f"{path.relative_to(self.path)}{'/' if path.is_dir() else ''}"
            for path in self.others[:MAX_NAMED]
        ]
        more = f" and {len(self.others) - MAX_NAMED} more" if len(self.others) > MAX_NAMED else ""
        number = (
            "1 entry is no video and is"
            if len(self.others) == 1
            else f"{len(self.others)} entries are no videos and are"
        )
        return f"{self.path}: {number} left out: {', '.join(names)}{more}"


def video_id_of(path: Path) -> str:
    """Returns the id of a video: the name of its file without a video's extension.

    The id of a folder of pictures is its whole name; that of a stream's URL without a path is its
    host, without the user and the password.
    """
    name = path.name if path.is_dir() else cut_video_suffix(path.name)
    if str(path.parent).endswith(":"):  # such as rtsp:, of which Path keeps one slash
        name = name.rpartition("@")[2]
    # tables are UTF-8, names on disk need not be
    return os.fsencode(name).decode("utf-8", "replace")


def cut_video_suffix(name: str) -> str:
    """Removes a known video extension from a file name.

    What follows any other dot is part of the name, as in `cam.front`.
    """
    return Path(name).stem if Path(name).suffix.lower() in VIDEO_SUFFIXES else name


def find_videos(video_dir: str | Path) -> dict[str, Path]:
    """Finds the videos of a folder, files and folders of pictures, by video id.

    Where it holds none itself, those in its folders are taken, such as one for each class.
    """
    videos = scan_folder(video_dir).videos or scan_folder(video_dir, recursive=True).videos
    return key_by_id(videos)


def key_by_id(videos: Iterable[Path]) -> dict[str, Path]:
    """Maps video ids to videos.

    Raises:
        VideoError: Two videos have the same id.
    """
    by_id: dict[str, Path] = {}
    for path in videos:
        other = by_id.setdefault(video_id_of(path), path)
        if other != path:
            raise VideoError(
                f"{other} and {path} have the same video id {video_id_of(path)}, "
                "expected one of them"
            )
    return by_id


def scan_folder(folder: str | Path, recursive: bool = False) -> VideoFolder:
    """Sorts what a folder holds into videos (files and folders of pictures) and others.

    Args:
        folder: Hidden files in it are passed over.
        recursive: Whether folders within it are read too.

    Raises:
        VideoError: There is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise VideoError(f"{folder}: no such folder of videos")
    videos: list[Path] = []
    others: list[Path] = []
    for path in _list_entries(folder, recursive):
        is_video = is_frame_folder(path) if path.is_dir() else is_video_file(path)
        (videos if is_video else others).append(path)
    return VideoFolder(folder, videos, others)


def _list_entries(folder: Path, recursive: bool) -> Iterable[Path]:
    """Yields the entries of a folder in the order of their names, without hidden ones."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in entries:
        if recursive and path.is_dir() and not path.is_symlink() and not is_frame_folder(path):
            yield from _list_entries(path, recursive)
        else:
            yield path


def is_video_file(path: Path) -> bool:
    """Returns whether a file is a video, by its extension or, in doubt, by its content."""
    suffix = path.suffix.lower()
    if suffix in OTHER_SUFFIXES or not path.is_file():
        return False
    return (suffix in VIDEO_SUFFIXES and suffix not in SOURCE_CODE) or is_video_container(path)


def is_frame_folder(folder: Path) -> bool:
    """Returns whether a folder is a video of pictures: it holds some, and no video."""
    with os.scandir(folder) as entries:
        suffixes = {
            os.path.splitext(entry.name)[1].lower()
            for entry in itertools.islice(entries, ENOUGH_NAMES)
        }
    return bool(suffixes & PICTURE_SUFFIXES) and not suffixes & VIDEO_SUFFIXES


@dataclass(frozen=True)
class Source:
    """Describes what a user asked to read.

    Attributes:
        videos: The files, or folders of pictures.
        is_single: Whether one video was asked for, not a job over several.
        live: A webcam's number or a URL; then there are no videos.
        root: The folder that was asked for, None where it was none.
        left_out: A sentence about what in the folder is no video, None where everything is.
    """

    videos: list[Path] = field(default_factory=list)
    is_single: bool = False
    live: str | None = None
    root: Path | None = None
    left_out: str | None = None


def find_source(text: str, recursive: bool = False) -> Source:
    """Finds the videos that a user's text names.

    The text is a file, a folder of videos, a folder of pictures, a glob, a webcam's number or a
    URL.

    Args:
        text: As a user gives it.
        recursive: Whether folders within a folder are read too.

    Raises:
        VideoError: There is nothing of the kind, or two videos have the same name but for the
            extension.
    """
    path = Path(text)
    if not path.exists() and (URL.match(text) or text.isdecimal()):
        return Source(live=text)
    if path.is_dir() and not is_frame_folder(path):
        folder = scan_folder(path, recursive)
        left_out = folder.describe_others()
        if left_out is not None and any(other.is_dir() for other in folder.others):
            left_out += "; --recursive reads folders within it"
        if not folder.videos:
            raise VideoError(
                f"{path}: the folder holds no video" + (f"; {left_out}" if left_out else "")
            )
        for parent in {video.parent for video in folder.videos}:
            key_by_id(video for video in folder.videos if video.parent == parent)
        return Source(folder.videos, root=path, left_out=left_out)
    if path.exists() or not glob.has_magic(text):
        return Source([path], is_single=True)
    paths = [Path(name) for name in sorted(glob.glob(text, recursive=True))]
    if not paths:
        raise VideoError(f"{text}: no file of that pattern")
    return Source(list(key_by_id(paths).values()))
