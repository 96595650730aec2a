"""Decodes with a hardware decoder, where it gives the frames that software gives.

Clips, boxes and overlays are computed from the frames as software decodes them. A decoder of
H.264 or HEVC has no freedom in what it returns, but drivers have faults, and frames come in
another layout. So the first frames of each file are decoded both ways and compared, before the
hardware is used for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available

from ava_det.video.containers import choose_video_stream, describe_av_error, open_container
from ava_det.video.reader import VideoError

NUM_COMPARED = 8  # frames
MAX_DIFFERENCE = 1  # levels of 255
DOWNLOADED = "nv12"  # Y, and below it U and V in turns: what devices give of 8 bits and 4:2:0
PLANAR = "yuv420p"


def require_device(kind: str) -> None:
    """Raises VideoError, in one sentence, unless a device of this kind can decode here.

    Args:
        kind: One of `ava_det.choices.HARDWARE_DECODERS`.
    """
    known = hwdevices_available()
    if kind not in known:
        raise VideoError(
            f"hwaccel {kind}: PyAV's FFmpeg was built without it, expected one of "
            f"{', '.join(known) or 'none'}"
        )
    try:
        HWAccel(kind).create(av.Codec("h264", "r"))
    except (av.FFmpegError, NotImplementedError, OSError) as error:
        raise VideoError(
            f"hwaccel {kind}: no such device can be opened here ({describe_av_error(error)})"
        ) from None


def check_decoder(path: Path, choice: int | None, kind: str | None, notes: list[str]) -> str | None:
    """Returns `kind` where it decodes a file as software does; else None, and adds why to `notes`.

    Args:
        path: The video file.
        choice: Which of its video streams, as for `choose_video_stream`.
        kind: See `require_device`; None for software.
        notes: As `FrameReader.notes`.
    """
    fault = None if kind is None else _find_fault(path, choice, kind)
    if fault is None:
        return kind
    notes.append(f"is decoded by software, not by {kind}: {fault}")
    return None


def _find_fault(path: Path, choice: int | None, kind: str) -> str | None:
    """Decodes the first frames by the device and by software, and compares them.

    Returns:
        Why the device is not used for this file, as the end of a sentence; None where every frame
        has the time of software's, and no level differs by more than MAX_DIFFERENCE.
    """
    software = _decode_first(path, choice, None)
    hardware = _decode_first(path, choice, kind)
    try:
        for expected, frame in zip(software, hardware, strict=True):
            fault = _compare(expected, frame)
            if fault is not None:
                return fault
    except (av.FFmpegError, NotImplementedError, RuntimeError, OSError, VideoError) as error:
        return f"the device fails ({describe_av_error(error)})"
    except ValueError:
        return "the device gives another number of frames"
    return None


def _compare(expected: av.VideoFrame, frame: av.VideoFrame) -> str | None:
    """Returns how a frame of a device differs from software's, None where it does not."""
    if expected.format.name != PLANAR:
        return f"its frames are {expected.format.name}, expected {PLANAR}"
    if frame.format.name != DOWNLOADED:
        return f"the device gives {frame.format.name}, expected {DOWNLOADED}"
    if (frame.pts, frame.width, frame.height) != (expected.pts, expected.width, expected.height):
        return "the device gives frames of other times or sizes"
    levels = expected.to_ndarray().astype(np.int16) - make_planar(frame).to_ndarray()
    difference = int(np.abs(levels).max())
    if difference > MAX_DIFFERENCE:
        return f"a frame of the device differs by {difference} levels, expected {MAX_DIFFERENCE}"
    return None


def make_planar(frame: av.VideoFrame) -> av.VideoFrame:
    """Rearranges a frame that a device gave as software gives it; all others stay as they are.

    Levels and tags do not change.
    """
    if frame.format.name != DOWNLOADED:
        return frame
    planar = frame.reformat(format=PLANAR)
    planar.colorspace = frame.colorspace
    planar.color_range = frame.color_range
    return planar


def _decode_first(path: Path, choice: int | None, kind: str | None) -> Iterator[av.VideoFrame]:
    """Yields the first frames of a file, by a device or, where `kind` is None, by software."""
    with open_container(path, kind) as container:
        stream = choose_video_stream(container, path, choice)
        frames = (frame for packet in container.demux(stream) for frame in packet.decode())
        yield from islice(frames, NUM_COMPARED)
