"""Opens media files whatever their names, and chooses the video stream to decode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.stream import Disposition

from ava_det.video.declared_end import describe_unreadable
from ava_det.video.reader import VideoError

# Covers and thumbnails. Some writers mark them so, others only choose a codec of pictures.
PICTURES = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
# FFmpeg's names of formats that say what they are; those of bare pictures and text answer to almost
# anything.
CONTAINERS = {
    "asf",
    "avi",
    "dv",
    "flv",
    "matroska",
    "mov",
    "mpeg",
    "mpegts",
    "mxf",
    "nut",
    "ogg",
    "rm",
    "wtv",
}
# Before 19 PyAV refuses a file whose titles are not UTF-8, unless this option replaces them.
TOLERANT: dict[str, str] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
PICTURE_CODECS = {"mjpeg", "png", "bmp", "gif", "tiff", "webp"}


def to_url(path: str | Path) -> str:
    """Returns the path as a URL for FFmpeg, which would take `12:30.mp4` for a protocol."""
    return f"file:{path}"


def open_container(path: str | Path, hwaccel: str | None = None) -> av.container.InputContainer:
    """Opens a media file; its titles need not be UTF-8.

    Args:
        path: The file.
        hwaccel: The kind of device that decodes its videos, see hardware.py; None for software,
            which also decodes what the device cannot.

    Raises:
        VideoError: The file cannot be opened, in one sentence with FFmpeg's reason.
    """
    try:
        accelerator = None if hwaccel is None else HWAccel(hwaccel)
        return av.open(to_url(path), hwaccel=accelerator, **TOLERANT)
    except UnicodeEncodeError:
        raise VideoError(f"{str(path)!r}: expected a file name in UTF-8, rename the file") from None
    except (av.FFmpegError, OSError) as error:
        reason = describe_unreadable(Path(path)) or describe_av_error(error)
        raise VideoError(f"{path}: cannot be opened as a video ({reason})") from None


def choose_video_stream(
    container: av.container.InputContainer, name: str | Path, number: int | None = None
) -> av.VideoStream:
    """Chooses the video stream to decode.

    Args:
        container: The file, from `open_container`.
        name: The file's name in errors.
        number: Counts the video streams from 0, as FFmpeg's `v:0` does; None takes the first that
            is no picture (a cover or a thumbnail).

    Raises:
        VideoError: There is no such stream, or FFmpeg has no decoder for it.
    """
    streams = container.streams.video
    if not streams:
        raise VideoError(f"{name}: holds no video stream")
    if number is None:
        stream = min(streams, key=rank_stream)
    elif 0 <= number < len(streams):
        stream = streams[number]
    else:
        raise VideoError(
            f"{name}: expected one of its video streams ({list_streams(streams)}), "
            f"received stream {number}"
        )
    if stream.codec_context is None:
        raise VideoError(f"{name}: this FFmpeg has no decoder for its video stream")
    return stream


def is_video_container(path: str | Path) -> bool:
    """Opens a file and returns whether it is a container with a film, whatever its name."""
    try:
        with av.open(to_url(path), **TOLERANT) as container:
            is_known = bool(CONTAINERS & set(container.format.name.split(",")))
            return is_known and any(rank_stream(stream) == 0 for stream in container.streams.video)
    except (av.FFmpegError, OSError, ValueError):
        return False


def describe_choice(
    container: av.container.InputContainer, taken: av.VideoStream, number: int | None
) -> tuple[str, ...]:
    """Says which of several films in one file is decoded, if the user did not choose one.

    Args:
        container: The file.
        taken: The stream that is decoded.
        number: The stream the user asked for, None where there was no such choice.

    Returns:
        At most one sentence; none where the file has one film, whatever pictures it has.
    """
    streams = container.streams.video
    if number is not None or sum(rank_stream(one) == 0 for one in streams) < 2:
        return ()
    return (
        f"holds several video streams ({list_streams(streams)}): {streams.index(taken)} is taken; "
        "demo, detect and transcode choose another by --stream",
    )


def rank_stream(stream: av.VideoStream) -> int:
    """Ranks a stream: 0 a film, 1 what may be a picture, 2 a marked cover or thumbnail."""
    if stream.disposition & PICTURES:
        return 2
    return int(stream.codec_context is None or stream.codec_context.name in PICTURE_CODECS)


def list_streams(streams: Sequence[av.VideoStream]) -> str:
    """Describes streams by their numbers, codecs and sizes."""
    described = []
    for number, stream in enumerate(streams):
        context = stream.codec_context
        what = (
            "unknown to this FFmpeg"
            if context is None
            else f"{context.name} {context.width}x{context.height}"
        )
        described.append(f"{number}: {what}{', a picture' if rank_stream(stream) == 2 else ''}")
    return "; ".join(described)


def describe_av_error(error: Exception) -> str:
    """Returns FFmpeg's reason for an error, without its number and the file's name."""
    return str(getattr(error, "strerror", None) or error).strip()
