"""Processes one video of the demo: draws on every frame and encodes it, and writes the keyframes.

Nothing is kept in memory longer than needed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from threading import Event
from typing import NoReturn, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from ava_det.demo.event_watch import LiveEvents, add_keyframes, count_events, watch_file
from ava_det.demo.options import DisplayOptions, Outputs, SamplingOptions, VideoSummary
from ava_det.demo.tubes_file import TubesFile
from ava_det.events.watch import EventWatch
from ava_det.formats.result_files import DetectionsCsv, DetectionsJson
from ava_det.inference.predictor import Predictor
from ava_det.inference.prefetch import prefetch
from ava_det.inference.streaming import ShownFrame
from ava_det.segments import SegmentsFile
from ava_det.structures import Detections
from ava_det.video.folder import open_video
from ava_det.video.live import LiveSource
from ava_det.video.planes import planes_to_rgb
from ava_det.video.reader import FrameReader
from ava_det.video.writer import VideoWriter
from ava_det.viewer import ViewFile
from ava_det.visualization import ContactSheet, Overlay, Surface, Window

logger = logging.getLogger("ava_det")

# Frames of so many bytes are drawn one after the other, and then encoded one after the other. In
# turns, each stage would find the caches of a core full of the other's code and tables.
GROUP_BYTES = 4 << 20

Frame = TypeVar("Frame")
Table = DetectionsCsv | DetectionsJson | SegmentsFile | ViewFile | TubesFile


@dataclass(frozen=True)
class _Drawn:
    """Describes a frame of the result.

    Attributes:
        seconds: Its time in the file.
        planes: Its YUV planes, None where no picture is written.
        keyframes: The keyframes at this frame.
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
    """Watches a webcam or a URL until it ends, `sampling.end` is reached or `stop` is set.

    Args:
        predictor: Runs the network.
        name: Number of the webcam, or the URL.
        sampling: When keyframes are taken.
        outputs: The result files.
        display: What is drawn.
        stop: Ends the watch.
        window: Shows the frames, or None.

    Returns:
        The summary, and the number of frames that were dropped.

    Raises:
        VideoError: The source does not answer.
    """
    summary = VideoSummary()
    overlay = Overlay(display.label_map, display.thresholds, display.topk)
    with (
        LiveSource(name, predictor.live_seconds, predictor.start_second, sampling.stream) as source,
        ExitStack() as files,
    ):
        watcher = predictor.watch_live(source, sampling.every, sampling.smooth, stop)
        reader = source.make_window()
        writer, tables = _open_files(files, reader, outputs, display, sampling)
        events = LiveEvents(files, display, reader, predictor.live_seconds)
        for frame in watcher.frames():
            summary.seconds = frame.seconds - source.start_second
            if summary.seconds >= sampling.end:
                break
            for keyframe in frame.keyframes:
                _count(summary, keyframe, tables)
            events.add(frame)
            planes = paint(frame, overlay, reader)
            if writer is not None:
                writer.write_planes(planes, summary.seconds)
            if window is not None and not window.show(planes_to_rgb(planes, reader.matrix), 0.0):
                break
    summary.events = count_events(events.watch)
    return summary, watcher.num_dropped


def _count(summary: VideoSummary, keyframe: Detections, tables: list[Table]) -> None:
    """Adds a keyframe to the summary and the tables."""
    summary.num_keyframes += 1
    summary.num_persons += len(keyframe.boxes)
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
    """Writes the outputs of a video, each complete or not at all.

    Args:
        predictor: Runs the network.
        video: The file.
        sampling: Which times are processed.
        outputs: The result files.
        display: What is drawn.
        stop: When it is set, the frames processed so far become the result.
        window: Shows the frames, or None.
        keep_when_stopped: Whether a stopped video has a result.
        quiet: Whether no progress bar is shown.

    Raises:
        VideoError: The file cannot be read.
        ValueError: The boxes of a box file do not fit the video.
        KeyboardInterrupt: It was stopped and nothing is kept.
    """
    summary = VideoSummary()
    actions = display.label_map, display.thresholds, display.topk
    sheet = ContactSheet(*actions) if outputs.sheet else None
    opened = open_video(video, predictor.start_second, sampling.stream, sampling.hwaccel)
    with opened as reader, ExitStack() as files:
        writer, tables = _open_files(files, reader, outputs, display, sampling)
        times = sampling.every, sampling.start, sampling.end, sampling.smooth
        events = watch_file(files, display, reader, sampling.stream)
        wanted = bool(writer or window)
        # No name holds the inner iterators: they end, with their threads, when the outer one does.
        groups = in_groups(
            _draw(predictor.watch(reader, *times, stop), display, sheet, events, reader, wanted),
            reader,
        )
        bar = files.enter_context(_make_progress_bar(video, reader, sampling, quiet))
        for drawn in chain.from_iterable(prefetch(groups, 1, stop)):
            for keyframe in drawn.keyframes:
                _count(summary, keyframe, tables)
            is_open = _output_frame(drawn, reader, sampling.start, writer, window)
            summary.seconds = drawn.seconds
            bar.update()
            if not is_open or stop.is_set():
                break
        summary.events = count_events(events)
        if stop.is_set() and not (keep_when_stopped and bar.n):
            raise KeyboardInterrupt
        if writer is not None and writer.sound_fault:
            logger.warning(f"{video}: its sound could not be taken over ({writer.sound_fault})")
        if sheet is not None and outputs.sheet is not None and summary.num_keyframes:
            sheet.save(outputs.sheet)
    return summary


def _output_frame(
    frame: _Drawn,
    reader: FrameReader,
    start: float,
    writer: VideoWriter | None,
    window: Window | None,
) -> bool:
    """Shows and writes a frame; returns whether the window is still open."""
    if frame.planes is None:
        return True
    seconds = frame.seconds - start
    is_open = window is None or window.show(planes_to_rgb(frame.planes, reader.matrix), seconds)
    if writer is not None:
        writer.write_planes(frame.planes, seconds)
    return is_open


def _make_progress_bar(
    video: Path, reader: FrameReader, sampling: SamplingOptions, quiet: bool
) -> tqdm[NoReturn]:
    """Makes a progress bar over the frames of a video."""
    span = min(reader.find_end() - reader.start_second, sampling.end) - sampling.start
    return tqdm(total=round(span * reader.fps), desc=video.stem[:30], unit="frame", disable=quiet)


def _open_files(
    files: ExitStack,
    reader: FrameReader,
    outputs: Outputs,
    display: DisplayOptions,
    sampling: SamplingOptions,
) -> tuple[VideoWriter | None, list[Table]]:
    """Opens the writers of the wanted files, which appear when `files` closes them."""
    writer = None
    tables = list[Table]()
    if outputs.csv:
        tables.append(files.enter_context(DetectionsCsv(outputs.csv, list(display.label_map))))
    if outputs.json:
        table = DetectionsJson(
            outputs.json, display.label_map, display.thresholds, reader.start_second
        )
        tables.append(files.enter_context(table))
    if outputs.segments:
        segments = SegmentsFile(
            outputs.segments, display.label_map, display.segment_rules(), reader.start_second
        )
        tables.append(files.enter_context(segments))
    if outputs.view:
        view = ViewFile(
            outputs.view,
            reader.path,
            display.label_map,
            display.segment_rules(),
            reader.start_second,
            sampling.stream,
        )
        tables.append(files.enter_context(view))
    if outputs.tubes:
        actions = display.label_map, display.thresholds
        tubes = TubesFile(outputs.tubes, reader, *actions, sampling.every)
        tables.append(files.enter_context(tubes))
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
    events: EventWatch | None,
    reader: FrameReader,
    wanted: bool,
) -> Iterator[_Drawn]:
    """Draws the persons on each frame; without `wanted`, yields only the keyframes."""
    # Each thread has this setting. On a CPU, arithmetic with denormal numbers is a hundred times
    # slower.
    torch.set_flush_denormal(True)
    overlay = Overlay(display.label_map, display.thresholds, display.topk)
    for frame in frames:
        seconds = frame.seconds - reader.start_second
        if sheet is not None:
            for keyframe in frame.keyframes:
                sheet.add(frame.picture.rgb(None), keyframe, seconds)
        add_keyframes(events, frame)
        yield _Drawn(seconds, paint(frame, overlay, reader) if wanted else None, frame.keyframes)


def in_groups(frames: Iterator[Frame], reader: FrameReader) -> Iterator[list[Frame]]:
    """Yields the frames of a video in lists of at least one, about GROUP_BYTES as planes."""
    size = max(GROUP_BYTES // (reader.width * reader.height * 3 // 2), 1)
    while group := list(islice(frames, size)):
        yield group


def paint(frame: ShownFrame, overlay: Overlay, reader: FrameReader) -> np.ndarray:
    """Draws the persons of a frame on it, and returns its YUV planes."""
    planes = frame.picture.planes(reader.matrix)
    if frame.detections is not None:
        overlay.draw_on(
            Surface.of_planes(planes, reader.width, reader.height, reader.matrix), frame.detections
        )
    return planes
