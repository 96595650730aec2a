"""A video in, Detections out: persons at every keyframe, and what they do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event

import numpy as np
import torch
from torch import nn

from ava_det.boxes import clip_boxes, normalise_boxes
from ava_det.data.dataset import ClipReader
from ava_det.data.loader import collate
from ava_det.data.transforms import View, apply_view
from ava_det.detectors import PersonDetector, check_detector
from ava_det.detectors.keyframe_boxes import NUM_SAMPLES, keyframe_grid
from ava_det.inference.batch import predict_batch
from ava_det.inference.live import LiveWatcher
from ava_det.inference.persons import DetectedPersons, ListedPersons, PersonsOfVideo
from ava_det.inference.prefetch import run_ahead
from ava_det.inference.smoothing import ScoreSmoother
from ava_det.inference.streaming import (
    MARGIN_SECONDS,
    FrameQueue,
    KeyframeInput,
    LostKeyframe,
    ShownFrame,
    read_all,
    read_keyframes,
    warn_of_faults,
)
from ava_det.structures import Clip, ClipBatch, Detections, Keyframe, PersonBoxes
from ava_det.tracking.linker import TrackLinker
from ava_det.video.folder import open_video
from ava_det.video.live import LiveSource
from ava_det.video.reader import FrameReader
from ava_det.video.sources import video_id_of

logger = logging.getLogger("ava_det")

WAITING_BYTES = 512 << 20  # of frames that wait for their batch: beyond it a batch is cut short
AHEAD_BYTES = 128 << 20  # of frames that the decoder is ahead


class Predictor:
    """Runs a trained model over whole videos.

    persons: a detector, or the boxes of a file (`load_boxes`); then the file's timestamps are the
    keyframes. clip_reader, short_side: which frames around a keyframe the model sees, and how large
    (pixels). to_device: makes a uint8 batch what the model reads, as `normalise_batch`. The model
    is put into eval mode. num_classes: columns of the action scores. min_person_score: persons
    below are left out. start_second: what the first frame of a video is worth. batch_size:
    keyframes that go through the model together.
    """

    def __init__(
        self,
        model: nn.Module,
        persons: PersonDetector | PersonBoxes,
        clip_reader: ClipReader,
        short_side: int,
        to_device: Callable[[ClipBatch], ClipBatch],
        num_classes: int,
        min_person_score: float,
        start_second: float = 0.0,
        batch_size: int = 8,
        precision: str = "fp32",
    ) -> None:
        self._model = model.eval()
        self._persons = persons if isinstance(persons, Mapping) else check_detector(persons)
        self._clip_reader = clip_reader
        self._view = View(short_side)
        self._to_device = to_device
        self._num_classes = num_classes
        self._min_person_score = min_person_score
        self._start_second = start_second
        self._batch_size = batch_size
        self._precision = precision

    def __call__(
        self,
        video: str | Path,
        every: float = 1.0,
        start: float = 0.0,
        end: float = np.inf,
        stream: int | None = None,
    ) -> Iterator[Detections]:
        """Detections of every keyframe of a video, in order, with track ids; also of those without
        a person.

        every: seconds between keyframes, the first of which is at `start`; not read when boxes come
        from a file. start, end: seconds of the file. stream: which of several video streams, as for
        `VideoReader`. The video is decoded in one pass, a batch ahead of the model, and memory does
        not grow with its length. Several videos may be iterated over at once, in threads too.
        Raises VideoError for a file that cannot be read, ValueError for a box file that does not
        fit the video.
        """
        _check_times(every, start, end)
        return self._iterate(Path(video), every, start, end, stream)

    def _iterate(
        self, video: Path, every: float, start: float, end: float, stream: int | None
    ) -> Iterator[Detections]:
        linker = TrackLinker()
        with open_video(video, self._start_second, stream) as reader:
            persons = self._begin(reader, start)
            timestamps = self._choose_keyframes(reader, persons, every, start, end)
            keyframes = read_keyframes(
                reader, timestamps, self._clip_reader, self._view.short_side, persons.needs_picture
            )
            pending: list[KeyframeInput] = []
            lost = 0
            for keyframe in run_ahead(keyframes, self._batch_size):
                if isinstance(keyframe, LostKeyframe):
                    lost += 1
                    continue
                pending.append(keyframe)
                if len(pending) == self._batch_size:
                    yield from map(linker.link, self._predict(pending, reader, persons))
                    pending = []
            yield from map(linker.link, self._predict(pending, reader, persons))
            warn_of_faults(reader, lost)

    def watch(
        self,
        reader: FrameReader,
        every: float = 1.0,
        start: float = 0.0,
        end: float = np.inf,
        smooth: float = 0.0,
        stop: Event | None = None,
    ) -> Iterator[ShownFrame]:
        """Every frame of a video with who is where on it, in order: decoded once, in a thread of
        its own.

        reader: at start_second. smooth: seconds over which the scores of a person are averaged, 0:
        not at all. Else as `__call__`. Once `stop` is set no further frame comes.
        """
        _check_times(every, start, end, smooth)
        return self._watch(reader, every, start, end, ScoreSmoother(smooth), stop)

    def _watch(
        self,
        reader: FrameReader,
        every: float,
        start: float,
        end: float,
        smoother: ScoreSmoother,
        stop: Event | None,
    ) -> Iterator[ShownFrame]:
        linker = TrackLinker()
        persons = self._begin(reader, start)
        timestamps = self._choose_keyframes(reader, persons, every, start, end)
        first = self._start_second + start
        last = self._start_second + end
        short_side = self._view.short_side
        items = read_all(
            reader, timestamps, self._clip_reader, short_side, persons.needs_picture, first, last
        )
        frames = FrameQueue(timestamps[0] if timestamps else np.inf, tolerance=0.5 / reader.fps)
        pending: list[KeyframeInput] = []
        lost = 0
        depth = min(max(AHEAD_BYTES * 2 // (reader.width * reader.height * 3), 2), 256)

        def predict() -> None:
            found = self._predict(pending, reader, persons)
            frames.add_keyframes(
                [smoother.smooth(linker.link(one)) for one in found], pending[-1].following
            )
            pending.clear()

        for item in run_ahead(items, depth, stop):
            if isinstance(item, KeyframeInput):
                pending.append(item)
            elif isinstance(item, LostKeyframe):
                lost += 1
                if pending:
                    predict()
                frames.add_keyframes([], item.following)
            else:
                frames.add_frame(item)
            if pending and (len(pending) == self._batch_size or frames.num_bytes > WAITING_BYTES):
                predict()
            yield from frames.release()
        if stop is None or not stop.is_set():
            if pending:
                predict()
            yield from frames.release(ended=True)
        warn_of_faults(reader, lost)

    @torch.inference_mode()
    def predict_clip(self, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Action scores float32 [N, C] (after the sigmoid; column = action id - 1) of persons whose
        boxes are known.

        frames: uint8 RGB [T, H, W, 3], T = `num_ticks` frames 1 / `clip_fps` s apart; the boxes
        belong to frame T // 2. boxes: [N, 4] xyxy, pixels of these frames. Raises ValueError where
        a shape or a dtype is another.
        """
        frames = np.asarray(frames)
        if (
            frames.dtype != np.uint8
            or frames.ndim != 4
            or frames.shape[3] != 3
            or len(frames) != self.num_ticks
        ):
            raise ValueError(
                f"frames: expected uint8 [{self.num_ticks}, H, W, 3] ({self.clip_fps:g} a second), received "
                f"{frames.dtype} {list(frames.shape)}"
            )
        pixels = torch.as_tensor(np.asarray(boxes, dtype=np.float32))
        if pixels.ndim != 2 or pixels.shape[1] != 4 or not bool(torch.isfinite(pixels).all()):
            raise ValueError(
                f"boxes: expected finite pixels [N, 4] (xyxy), received {list(pixels.shape)}"
            )
        if bool((pixels[:, 2:] <= pixels[:, :2]).any()):
            raise ValueError("boxes: expected x1 < x2 and y1 < y2 in every row (xyxy)")
        if not len(pixels):
            return np.zeros((0, self._num_classes), np.float32)
        height, width = frames.shape[1:3]
        fractions = normalise_boxes(clip_boxes(pixels, width, height), width, height)
        keyframe = Keyframe(
            "clip", 0.0, fractions, None, torch.ones(len(fractions)), (width, height)
        )
        clip = self._make_clip(frames[:: self._clip_reader.stride], keyframe, (width, height))
        return predict_batch(self._model, self._to_device(collate([clip])), self._precision)[
            0
        ].action_scores.numpy()

    @property
    def num_ticks(self) -> int:
        """Frames `predict_clip` wants: the span of a clip, in ticks of `clip_fps`."""
        return self._clip_reader.num_frames * self._clip_reader.stride

    @property
    def clip_fps(self) -> float:
        """Ticks a second."""
        return self._clip_reader.clip_fps

    def watch_live(
        self, source: LiveSource, every: float = 1.0, smooth: float = 0.0, stop: Event | None = None
    ) -> LiveWatcher:
        """Watches a camera or a stream: `LiveWatcher.frames()` yields its newest frames with the
        last known state.

        source: keeps at least `live_seconds` of frames. Else as `watch`; frames that come too fast
        are dropped. Raises ValueError where persons come from a file.
        """
        if isinstance(self._persons, Mapping):
            raise ValueError("a live source has no box file: expected a person detector")
        _check_times(every, 0.0, np.inf, smooth)
        detector = self._persons
        linker = TrackLinker()
        smoother = ScoreSmoother(smooth)

        def judge(source: LiveSource, timestamp: float, samples: list[np.ndarray]) -> Detections:
            reader = source.hold()
            persons = DetectedPersons(detector, samples, video_id_of(reader.path))
            [keyframe] = read_keyframes(
                reader, [timestamp], self._clip_reader, self._view.short_side, True
            )
            assert isinstance(keyframe, KeyframeInput)
            [found] = self._predict([keyframe], reader, persons)
            return smoother.smooth(linker.link(found))

        return LiveWatcher(source, judge, self.live_seconds / 2, every, stop or Event())

    @property
    def live_seconds(self) -> float:
        """Of frames that a live source must hold for a clip."""
        return self.num_ticks / self.clip_fps + MARGIN_SECONDS

    def _begin(self, reader: FrameReader, start: float) -> PersonsOfVideo:
        """What is known of the persons of a video, or finds them; it belongs to one run."""
        if self._start_second + start >= reader.find_end():
            raise ValueError(
                f"{reader.path}: expected a start before its end at {reader.find_end() - self._start_second:.1f} s, "
                f"received {start:g}"
            )
        if reader.choice is not None:
            logger.warning(f"{reader.path}: {reader.choice}")
        video_id = video_id_of(reader.path)
        if isinstance(self._persons, Mapping):
            return ListedPersons(self._persons, video_id)
        return DetectedPersons(self._persons, reader.sample(NUM_SAMPLES), video_id)

    def _choose_keyframes(
        self, reader: FrameReader, persons: PersonsOfVideo, every: float, start: float, end: float
    ) -> list[float]:
        """The keyframes from `start` up to `end`, seconds of the file."""
        first = self._start_second + start
        last = self._start_second + end
        if isinstance(persons, ListedPersons):
            listed = persons.find_keyframes(self._start_second, reader.find_end())
            return [moment for moment in listed if first <= moment < last]
        return list(keyframe_grid(first, min(reader.find_end(), last), every))

    def _predict(
        self, inputs: Sequence[KeyframeInput], reader: FrameReader, persons: PersonsOfVideo
    ) -> list[Detections]:
        """One Detections per keyframe; those without a person never reach the model."""
        size = (reader.width, reader.height)
        seen_size = self._clip_reader.find_size(reader)
        clips = []
        for one, (boxes, scores) in zip(inputs, persons.find(inputs, size), strict=True):
            sure = scores >= self._min_person_score
            keyframe = Keyframe(
                persons.video_id, one.timestamp, boxes[sure], None, scores[sure], size
            )
            clips.append(self._make_clip(one.frames, keyframe, seen_size))
        peopled = [clip for clip in clips if len(clip.boxes)]
        found = iter(
            predict_batch(self._model, self._to_device(collate(peopled)), self._precision)
            if peopled
            else ()
        )
        nothing = torch.zeros(0, self._num_classes)
        return [
            next(found)
            if len(clip.boxes)
            else Detections(
                clip.keyframe.boxes, nothing, clip.keyframe.person_scores, None, clip.keyframe
            )
            for clip in clips
        ]

    def _make_clip(self, frames: np.ndarray, keyframe: Keyframe, size: tuple[int, int]) -> Clip:
        """size: width and height of the pictures that `frames` are resized from."""
        seen = self._clip_reader.place_boxes(keyframe.boxes, *size, self._view.short_side)
        frames, pixel_boxes = apply_view(frames, seen, self._view, torch.Generator())
        return self._clip_reader.make_clip(frames, pixel_boxes, keyframe)


def _check_times(every: float, start: float, end: float, smooth: float = 0.0) -> None:
    """Raises ValueError unless the seconds a caller gives can be meant; the command line says the
    same.
    """
    if not 0.001 <= every < np.inf:
        raise ValueError(
            f"every: expected a positive number of seconds, 0.001 or more, received {every:g}"
        )
    for name, value in (("start", start), ("smooth", smooth)):
        if not 0 <= value < np.inf:
            raise ValueError(f"{name}: expected a number of seconds, 0 or more, received {value:g}")
    if not end > start:
        raise ValueError(f"end: expected more than start = {start:g}, received {end:g}")
