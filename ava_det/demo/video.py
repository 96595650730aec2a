"""One video of the demo: every frame drawn on and encoded, keyframes written, nothing kept longer
than needed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
import torch
from tqdm import tqdm

from ava_det.formats.result_files import DetectionsCsv, DetectionsJson
from ava_det.inference.predictor import Predictor
from ava_det.inference.prefetch import prefetch
from ava_det.inference.streaming import ShownFrame
from ava_det.structures import Detections
from ava_det.video.folder import open_video
from ava_det.video.live import LiveSource
from ava_det.video.planes import planes_to_rgb
from ava_det.video.reader import FrameReader
from ava_det.video.writer import VideoWriter
from ava_det.visualization import ContactSheet, Overlay, Surface, Window

logger = logging.getLogger("ava_det")

DRAWN_AHEAD = 4  # frames that wait for the encoder


@dataclass(frozen=True)
class Outputs:
    """The files one video becomes; None for those nobody asked for."""

    video: Path | None
    csv: Path | None
    json: Path | None
    sheet: Path | None

    def paths(self) -> list[Path]:
        return [path for path in (self.video, self.csv, self.json, self.sheet) if path is not None]


@dataclass(frozen=True)
class DisplayOptions:
    """What is shown. label_map: action id to name. thresholds: of the actions that are shown. topk:
    a person's most.
    """

    label_map: Mapping[int, str]
    thresholds: Mapping[int, float]
    topk: int


@dataclass(frozen=True)
class SamplingOptions:
    """When to look, seconds of the file: `every` so often from `start` to `end`; scores averaged
    over `smooth`.

    stream: which video stream of a file, as for `VideoReader`.
    """

    every: float
    start: float
    end: float
    smooth: float
    stream: int | None = None


@dataclass
class VideoSummary:
    """What a video held. seconds: of the file, of the last frame that was written."""

    num_keyframes: int = 0
    num_persons: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Drawn:
    """A frame of the result: its seconds in the file, its planes (yuv.py), None where no picture is
    written.
    """

    seconds: float
    planes: np.ndarray | None
    keyframes: list[Detections]


def process_live(
    predictor: Predictor,
    name: str,
    sampling: SamplingOptions,
    outputs: Outputs,
    display: DisplayOptions,
    stop: Event,
    window: Window | None,
) -> tuple[VideoSummary, int]:
    """Watches a webcam or a URL until it ends, `moments.end` is reached or `stop` is set; returns
    frames dropped too.

    Raises VideoError for a source that does not answer.
    """
    summary = VideoSummary()
    overlay = Overlay(display.label_map, display.thresholds, display.topk)
    with (
        LiveSource(name, predictor.live_seconds, predictor.start_second, sampling.stream) as source,
        ExitStack() as files,
    ):
        watcher = predictor.watch_live(source, sampling.every, sampling.smooth, stop)
        reader = source.hold()
        writer, tables = _open_files(files, reader, outputs, display, sampling)
        for frame in watcher.frames():
            summary.seconds = frame.seconds - source.start_second
            if summary.seconds >= sampling.end:
                break
            for keyframe in frame.keyframes:
                _count(summary, keyframe, tables)
            planes = paint(frame, overlay, reader)
            if writer is not None:
                writer.write_planes(planes, summary.seconds)
            if window is not None and not window.show(planes_to_rgb(planes, reader.matrix), 0.0):
                break
    return summary, watcher.num_dropped


def _count(
    summary: VideoSummary, keyframe: Detections, tables: list[DetectionsCsv | DetectionsJson]
) -> None:
    """Notes a keyframe, in the tables too."""
    summary.num_keyframes, summary.num_persons = (
        summary.num_keyframes + 1,
        summary.num_persons + len(keyframe.boxes),
    )
    for table in tables:
        table.write(keyframe)


def process_video(
    predictor: Predictor,
    video: Path,
    sampling: SamplingOptions,
    outputs: Outputs,
    display: DisplayOptions,
    stop: Event,
    window: Window | None = None,
    keep_when_stopped: bool = True,
    quiet: bool = False,
) -> VideoSummary:
    """Writes the outputs of a video, each whole or not at all.

    stop: when it is set, the frames done so far become the result; without `keep_when_stopped`
    there is none. Raises VideoError for a file that cannot be read, ValueError for boxes that do
    not fit it, KeyboardInterrupt where it was stopped and nothing is kept.
    """
    summary = VideoSummary()
    stopped = False
    sheet = (
        ContactSheet(display.label_map, display.thresholds, display.topk) if outputs.sheet else None
    )
    with open_video(video, predictor.start_second, sampling.stream) as reader, ExitStack() as files:
        writer, tables = _open_files(files, reader, outputs, display, sampling)
        shown = predictor.watch(
            reader, sampling.every, sampling.start, sampling.end, sampling.smooth, stop
        )
        frames = _draw(shown, display, sheet, reader, wanted=bool(writer or window))
        span = min(reader.find_end() - reader.start_second, sampling.end) - sampling.start
        bar = files.enter_context(
            tqdm(total=round(span * reader.fps), desc=video.stem[:30], unit="frame", disable=quiet)
        )
        for drawn in prefetch(frames, DRAWN_AHEAD, stop):
            for keyframe in drawn.keyframes:
                _count(summary, keyframe, tables)
            if window is not None and drawn.planes is not None:
                picture = planes_to_rgb(drawn.planes, reader.matrix)
                stopped = not window.show(picture, drawn.seconds - sampling.start)
            if writer is not None and drawn.planes is not None:
                writer.write_planes(drawn.planes, drawn.seconds - sampling.start)
            summary.seconds = drawn.seconds
            bar.update()
            if stopped:
                break
        if stop.is_set() and not (keep_when_stopped and bar.n):
            raise KeyboardInterrupt
        if writer is not None and writer.sound_fault:
            logger.warning(f"{video}: its sound could not be taken over ({writer.sound_fault})")
        if sheet is not None and outputs.sheet is not None and summary.num_keyframes:
            sheet.save(outputs.sheet)
    return summary


def _open_files(
    files: ExitStack,
    reader: FrameReader,
    outputs: Outputs,
    display: DisplayOptions,
    sampling: SamplingOptions,
) -> tuple[VideoWriter | None, list[DetectionsCsv | DetectionsJson]]:
    """The writers of what was asked for, closed and put under their names with `files`."""
    writer = None
    tables = list[DetectionsCsv | DetectionsJson]()
    if outputs.csv:
        tables.append(files.enter_context(DetectionsCsv(outputs.csv, list(display.label_map))))
    if outputs.json:
        table = DetectionsJson(
            outputs.json, display.label_map, display.thresholds, reader.start_second
        )
        tables.append(files.enter_context(table))
    if outputs.video:
        sound = (reader.path, reader.clock_start + sampling.start) if reader.has_audio else None
        writer = VideoWriter(
            outputs.video, reader.width, reader.height, reader.fps, sound, reader.matrix
        )
        files.enter_context(writer)
    return writer, tables


def _draw(
    frames: Iterator[ShownFrame],
    display: DisplayOptions,
    sheet: ContactSheet | None,
    reader: FrameReader,
    wanted: bool,
) -> Iterator[_Drawn]:
    """Frames with the people on them; where no picture is `wanted`, their keyframes only."""
    torch.set_flush_denormal(
        True
    )  # a switch of each thread: vanishing values cost a CPU a hundred times an ordinary one
    overlay = Overlay(display.label_map, display.thresholds, display.topk)
    for frame in frames:
        seconds = frame.seconds - reader.start_second
        if sheet is not None:
            for keyframe in frame.keyframes:
                sheet.add(frame.picture.rgb(None), keyframe, seconds)
        yield _Drawn(seconds, paint(frame, overlay, reader) if wanted else None, frame.keyframes)


def paint(frame: ShownFrame, overlay: Overlay, reader: FrameReader) -> np.ndarray:
    """The planes of a frame with the people on it."""
    planes = frame.picture.planes(reader.matrix)
    if frame.detections is not None:
        overlay.draw_on(
            Surface.of_planes(planes, reader.width, reader.height, reader.matrix), frame.detections
        )
    return planes
