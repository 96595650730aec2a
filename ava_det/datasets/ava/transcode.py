"""Makes small videos of constant frame rate, quick to seek, for training: the prepared form.

commands/transcode.py describes it for users.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import PictureType

from ava_det.datasets.ava.prepared_form import CRF, Form
from ava_det.datasets.ava.source_video import SourceVideo, TranscodeError
from ava_det.files import atomic_path, require_other_files
from ava_det.interrupts import run_in_workers
from ava_det.messages.counts import format_count
from ava_det.video.containers import open_container, to_url
from ava_det.video.decoding import DecodedFrame
from ava_det.video.file import PREPARED_TAG
from ava_det.video.reader import VideoError
from ava_det.video.sources import key_by_id, scan_folder

logger = logging.getLogger("ava_det")

ANNOTATED = (902, 1798)  # seconds of the first and the last keyframe of a whole AVA movie
MARGIN = 12  # seconds before and after them, more than the longest clips reach

Job = tuple[Path, Path, Form, int | None]  # as the arguments of transcode_video


def transcode_video(source: Path, target: Path, form: Form, stream: int | None = None) -> bool:
    """Makes the prepared form of one video, unless it exists already.

    Of a whole AVA movie (one that is longer than its last keyframe) the first frame and the
    annotated quarter of an hour are kept, with their times; a shorter video is kept entirely.

    Args:
        source: The video.
        target: The file to write; it is written completely or not at all.
        form: Frame rate and size.
        stream: Which video stream, from 0; None takes the first that is no picture.

    Returns:
        True, or False where the target is already this form of this source.

    Raises:
        TranscodeError: The video cannot be read, or is damaged.
    """
    tag = form.tag(source, stream)
    if _read_tag(target) == tag:
        return False
    try:
        with SourceVideo(source, stream) as video, atomic_path(target) as temporary:
            first, last = _choose_span(video)
            numbers = _write(Path(temporary), _pick(video, form, first, last), video, form, tag)
            if video.end < min(last, video.duration or 0) - 2:
                raise video.damage()
            _check(Path(temporary), numbers, form, source)
            for note in video.notes:
                logger.warning(f"{source}: {note}")
    except VideoError as error:
        reason = str(error).removeprefix(f"{source}: ")
        raise TranscodeError(f"{source}: cannot be transcoded: {reason}") from None
    except av.FFmpegError as error:
        raise TranscodeError(
            f"{source}: cannot be transcoded ({error.strerror or error})"
        ) from None
    return True


def _choose_span(video: SourceVideo) -> tuple[int, float]:
    """Chooses the first and the last second to keep, besides the first frame."""
    if video.duration is not None and video.duration >= ANNOTATED[1]:
        return ANNOTATED[0] - MARGIN, ANNOTATED[1] + MARGIN
    return 0, math.inf


def _pick(
    video: SourceVideo, form: Form, first: float, last: float
) -> Iterator[tuple[int, DecodedFrame]]:
    """Yields the frames of the prepared video with their numbers.

    Each is the frame nearest in time, the earlier of two that are equally near.
    """
    fps = form.fps
    number = math.floor(first * form.fps)
    if number:
        yield 0, video.head
        number -= (number - form.key_phase) % fps  # a key picture comes first
    previous: tuple[Fraction, DecodedFrame] | None = None
    for seconds, frame in video.frames_from(Fraction(number, fps)):
        while previous and Fraction(number, fps) <= (previous[0] + seconds) / 2:
            if number > last * fps:
                return
            yield number, previous[1]
            number += 1
        previous = (seconds, frame)
    while previous and number < previous[0] * fps + Fraction(1, 2):
        yield number, previous[1]
        number += 1


def _write(
    path: Path, frames: Iterator[tuple[int, DecodedFrame]], video: SourceVideo, form: Form, tag: str
) -> list[int]:
    """Encodes numbered frames as H.264 in MP4; returns their numbers."""
    scale = min(Fraction(form.short_side, min(video.size)), Fraction(1))
    width, height = (2 * round(side * scale / 2) for side in video.size)
    numbers: list[int] = []
    with av.open(
        to_url(path), "w", format="mp4", options={"movflags": "use_metadata_tags"}
    ) as container:
        container.metadata[PREPARED_TAG] = tag
        options = {
            "crf": str(CRF),
            "tune": "fastdecode",
            "bf": "0",
            "sc_threshold": "0",
            "forced-idr": "1",
        }
        stream = container.add_stream("libx264", rate=form.fps, options=options)
        stream.width = width
        stream.height = height
        stream.pix_fmt = "yuv420p"
        stream.gop_size = form.fps
        stream.codec_context.thread_count = 1
        if video.first.rotation:
            stream.set_display_rotation(video.first.rotation)
        for number, frame in frames:
            picture = video.make_picture(frame, width, height)
            if not numbers:  # the colors are not converted, so their description is copied
                context = stream.codec_context
                context.colorspace = picture.colorspace
                context.color_range = picture.color_range
                context.color_primaries = picture.color_primaries
                context.color_trc = picture.color_trc
            is_key = number % form.fps == form.key_phase
            picture.pts = number
            picture.time_base = Fraction(1, form.fps)
            picture.pict_type = PictureType.I if is_key else PictureType.NONE
            container.mux(stream.encode(picture))
            numbers.append(number)
        container.mux(stream.encode())
    return numbers


def _check(path: Path, numbers: list[int], form: Form, source: Path) -> None:
    """Raises TranscodeError unless the file has exactly these frames, times and key pictures."""
    with open_container(path) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        written = [packet.pts * stream.time_base * form.fps for packet in packets]
        keys = [
            int(number)
            for number, packet in zip(written, packets, strict=True)
            if packet.is_keyframe
        ]
    expected = [number for number in numbers if number == 0 or number % form.fps == form.key_phase]
    if written != numbers or keys != expected:
        raise TranscodeError(
            f"{source}: expected {len(numbers)} frames in what was written, found {len(written)}"
        )


def _read_tag(path: Path) -> str | None:
    try:
        with open_container(path) as container:
            tag: str | None = container.metadata.get(PREPARED_TAG)
            return tag
    except VideoError:
        return None


def transcode_folder(
    videos: Path, output: Path, form: Form, num_jobs: int, stream: int | None = None
) -> None:
    """Makes the prepared form of every video of a folder, in parallel.

    Args:
        videos: The folder of videos.
        output: The folder to write.
        form: Frame rate and size.
        num_jobs: Number of processes.
        stream: Which video stream of the files, from 0; None takes the first that is no picture.

    Raises:
        TranscodeError: Some videos could not be prepared; raised after the others are done.
        ChildProcessError: A process was killed; what was done stays.
    """
    folder = scan_folder(videos)
    if (left_out := folder.describe_others()) is not None:
        logger.warning(left_out)
    named = key_by_id(folder.videos)
    jobs = [(path, output / f"{video_id}.mp4", form, stream) for video_id, path in named.items()]
    if not jobs:
        raise TranscodeError(f"{videos}: expected videos in it")
    require_other_files(
        {"--output": [job[1] for job in jobs]},
        {"--videos": [job[0] for job in jobs]},
    )
    output.mkdir(parents=True, exist_ok=True)
    kept = f"they stay in {output}, and the same command goes on"
    results = run_in_workers(_run, jobs, min(num_jobs, len(jobs)), "transcoding", kept)
    failures = [result for result in results if isinstance(result, str)]
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    print(
        f"{output}: {format_count(sum(result is True for result in results), 'video')} made, "
        f"{results.count(False)} there already"
    )
    if failures:
        raise TranscodeError(
            f"{len(failures)} of {len(jobs)} videos of {videos} could not be prepared"
        )


def _run(job: Job) -> bool | str:
    """Prepares one video in a process of the pool; returns the sentence of an error."""
    try:
        return transcode_video(*job)
    except (TranscodeError, OSError) as error:
        return str(error)
