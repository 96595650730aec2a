"""The prepared form of videos, to train one's own weights on: small, evenly timed, cheap to enter
at every second.

    ava-det transcode --videos DIR --output DIR [--fps 15] [--short-side 320]

Frame k is the picture of the source nearest to k / fps seconds after its first one, so moments are
what they were and annotations, start_second and configs stay. A key picture stands where the window
of a second begins: a clip of 64 ticks starts 32/30 s before its keyframe, at 15 fps at frame 15 s -
16, so that nothing is decoded that is not in it. Published weights have seen other pictures (larger
ones, at another rate): the file says what it is, and `ava_det.video.file.VideoReader.is_prepared`
tells.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import PictureType
from tqdm import tqdm

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.files import atomic_path, require_other_files
from ava_det.video.containers import open_container, to_url
from ava_det.video.decoding import DecodedFrame, FrameDecoder
from ava_det.video.file import PREPARED_TAG
from ava_det.video.pictures import find_square_size, fit_picture, have_same_shape
from ava_det.video.reader import VideoError
from ava_det.video.sources import key_by_id, scan_folder
from ava_det.video.tone import ToneMapper, is_hdr

logger = logging.getLogger("ava_det")

CRF = 18  # closer to the source than JPEG at quality 1, measured
WINDOW_START = Fraction(32, 30)  # seconds a clip of 64 ticks begins before its keyframe
ANNOTATED = (902, 1798)  # the first and last keyframe of a whole AVA movie
MARGIN = 12  # seconds around them that the longest clips stay within


class TranscodeError(ValueError):
    """A sentence naming the video that cannot be prepared, and why."""


@dataclass(frozen=True)
class Form:
    """What a prepared video is like. fps: frames a second, whole. short_side: pixels; nothing is
    enlarged.
    """

    fps: int = 15
    short_side: int = 320

    @property
    def key_phase(self) -> int:
        """Frames whose number is this, modulo fps, are key pictures."""
        return math.floor(-WINDOW_START * self.fps) % self.fps

    def tag(self, source: Path) -> str:
        """What a prepared video says of itself: the form, and the file it was made of."""
        facts = {"fps": self.fps, "short_side": self.short_side, "crf": CRF}
        return json.dumps({**facts, "source": source.name, "source_bytes": source.stat().st_size})


def transcode_video(source: Path, target: Path, form: Form) -> bool:
    """Makes the prepared form of one video; False if it is there already. The file is whole or
    absent.

    Of a whole AVA movie (one that reaches past its last keyframe) the first frame and the annotated
    quarter of an hour are kept, with their times; anything shorter is kept from end to end. Raises
    TranscodeError.
    """
    tag = form.tag(source)
    if _read_tag(target) == tag:
        return False
    try:
        with _Source(source) as video, atomic_path(target) as temporary:
            first, last = video.choose_span()
            numbers = _write(Path(temporary), _pick(video, form, first, last), video, form, tag)
            if video.end < min(last, video.duration or 0) - 2:
                raise video.damage()
            _check(Path(temporary), numbers, form, source)
            for note in video.notes:
                logger.warning(f"{source}: {note}")
    except VideoError as error:
        raise TranscodeError(str(error)) from None
    except av.FFmpegError as error:
        raise TranscodeError(
            f"{source}: cannot be transcoded ({error.strerror or error})"
        ) from None
    return True


class _Source:
    """The frames of a video with their exact seconds since the first, as ava_det.video.file counts
    them.

    duration: seconds, or None where the file does not say. end: seconds of the last frame read so far. size: width and
    height of the first frame with square pixels. notes: what was made up or changed. Pictures that damage has touched
    are an error: a copy of them would look like whole ones.
    """

    def __init__(self, path: Path):
        self.path = path
        self.duration: float | None = None
        self.end = Fraction(-1)
        self._decoder = FrameDecoder(path)
        first = next(self._decoder.frames(), None)
        if first is None:
            raise TranscodeError(f"{path}: no frame of it can be decoded")
        self.head = first
        self.size = find_square_size(*first.shape)
        self._map_tones = ToneMapper()
        self.first = self._make_standard(first)
        self.duration = self._find_duration()

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.close()

    @property
    def notes(self) -> list[str]:
        return self._decoder.notes

    def choose_span(self) -> tuple[int, float]:
        """The seconds to keep, besides the first frame."""
        if self.duration is not None and self.duration >= ANNOTATED[1]:
            return ANNOTATED[0] - MARGIN, ANNOTATED[1] + MARGIN
        return 0, math.inf

    def frames_from(self, second: Fraction) -> Iterator[tuple[Fraction, DecodedFrame]]:
        """Every frame from the last one at or before `second`, give or take: (seconds, frame)."""
        if second > 0:
            self._decoder.seek(self.head.ticks + math.floor(second / self._decoder.tick))
            frames = self._timed(second)
            head = next(frames, None)
            if head is not None and head[0] <= second:
                yield head
                yield from frames
                return
            # some containers land after the moment asked for
        self._decoder.reopen()
        yield from self._timed(second)

    def make_picture(self, found: DecodedFrame, width: int, height: int) -> av.VideoFrame:
        """A frame as it is encoded: yuv420p of that size, with square pixels, of the standard range."""
        if have_same_shape(find_square_size(*found.shape), self.size):
            frame = self._make_standard(found)
            return frame.reformat(width, height, "yuv420p", interpolation="BICUBIC")
        picture = self._make_standard(found).to_ndarray(format="rgb24")
        fitted = fit_picture(picture, find_square_size(*found.shape), (width, height))
        frame = av.VideoFrame.from_ndarray(fitted, format="rgb24")
        return frame.reformat(format="yuv420p", dst_colorspace=self.first.colorspace)

    def damage(self) -> TranscodeError:
        where = f"after {float(self.end):.1f} s" + (
            f" of {self.duration:.1f} s" if self.duration else ""
        )
        return TranscodeError(f"{self.path}: is cut off or damaged {where}")

    def _make_standard(self, found: DecodedFrame) -> av.VideoFrame:
        return self._map_tones(found.frame) if is_hdr(found.frame) else found.frame

    def _timed(self, begin: Fraction) -> Iterator[tuple[Fraction, DecodedFrame]]:
        """Whole frames after a seek for `begin`; what comes before it may be incomplete."""
        self.end = Fraction(-1)
        begun = False
        for found in self._decoder.frames():
            seconds = (found.ticks - self.head.ticks) * self._decoder.tick
            if self._decoder.broken and begun:
                raise self.damage()
            self._decoder.broken = False
            begun |= seconds <= begin
            if seconds > self.end and seconds >= 0:  # a repeated or backward time is no new moment
                self.end = seconds
                yield seconds, found
        if self._decoder.broken:
            raise self.damage()

    def _find_duration(self) -> float | None:
        index = self._decoder.index
        if index is not None:
            return float((index.end - index.first) * self._decoder.tick)
        stream = self._decoder.stream
        tagged = stream.metadata.get("DURATION", "")
        if stream.duration is not None:
            return float(stream.duration * self._decoder.tick)
        if tagged.count(":") == 2:  # Matroska says it of each stream in words
            hours, minutes, seconds = tagged.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        length = self._decoder.container.duration
        return length / av.time_base if length else None


def _pick(
    video: _Source, form: Form, first: float, last: float
) -> Iterator[tuple[int, DecodedFrame]]:
    """(number, frame) for the frames of the prepared video: the nearest in time, the earlier of two
    equally near.
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
    path: Path, frames: Iterator[tuple[int, DecodedFrame]], video: _Source, form: Form, tag: str
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
            if not numbers:  # the colors are what they were: their names go along
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
    """Raises TranscodeError unless the file has just those frames, at their times, and its key
    pictures in place.
    """
    with open_container(path) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        found = [packet.pts * stream.time_base * form.fps for packet in packets]
        keys = [
            int(number) for number, packet in zip(found, packets, strict=True) if packet.is_keyframe
        ]
    expected = [number for number in numbers if number == 0 or number % form.fps == form.key_phase]
    if found != numbers or keys != expected:
        raise TranscodeError(
            f"{source}: expected {len(numbers)} frames in what was written, found {len(found)}"
        )


def _read_tag(path: Path) -> str | None:
    try:
        with open_container(path) as container:
            return container.metadata.get(PREPARED_TAG)
    except VideoError:
        return None


def transcode_folder(videos: Path, output: Path, form: Form, num_jobs: int) -> None:
    """Prepares every video of a folder, one process each. Raises TranscodeError after the last if
    any failed.
    """
    folder = scan_folder(videos)
    if (left_out := folder.describe_others()) is not None:
        logger.warning(left_out)
    named = key_by_id(folder.videos)
    jobs = [(path, output / f"{video_id}.mp4", form) for video_id, path in named.items()]
    if not jobs:
        raise TranscodeError(f"{videos}: expected videos in it")
    require_other_files(
        {"--output": [target for _, target, _ in jobs]},
        {"--videos": [path for path, _, _ in jobs]},
    )
    output.mkdir(parents=True, exist_ok=True)
    # Fresh interpreters: forking a process that may hold FFmpeg threads can hang.
    with multiprocessing.get_context("spawn").Pool(min(num_jobs, len(jobs))) as pool:
        results = list(
            tqdm(pool.imap_unordered(_run, jobs), total=len(jobs), desc="transcoding", unit="video")
        )
    failures = [result for result in results if isinstance(result, str)]
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    print(
        f"{output}: {sum(result is True for result in results)} videos made, {results.count(False)} there already"
    )
    if failures:
        raise TranscodeError(
            f"{len(failures)} of {len(jobs)} videos of {videos} could not be prepared"
        )


def _run(job: tuple[Path, Path, Form]) -> bool | str:
    try:
        return transcode_video(*job)
    except (TranscodeError, OSError) as error:
        return str(error)


def parse_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The form, as options."""
    parser.add_argument(
        "--fps",
        type=parse_count,
        default=Form.fps,
        help=f"of the prepared form, frames a second ({Form.fps})",
    )
    parser.add_argument(
        "--short-side",
        type=parse_count,
        default=Form.short_side,
        metavar="PIXELS",
        help=f"of the prepared form ({Form.short_side}; nothing is enlarged)",
    )


def make_parser() -> ToolParser:
    parser = ToolParser("ava-det transcode", __doc__)
    parser.add_argument(
        "--videos", type=Path, required=True, metavar="DIR", help="folder of videos"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--jobs", type=parse_count, default=os.cpu_count() or 1, metavar="N", help="processes"
    )
    add_options(parser)
    return parser


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(argv)
    transcode_folder(
        options.videos, options.output, Form(options.fps, options.short_side), options.jobs
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
