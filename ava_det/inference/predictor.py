"""A video in, Detections out: persons at every keyframe, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Self

import numpy as np
from torch import nn

from ava_det.data.build import build_clip_reader
from ava_det.data.dataset import ClipReader
from ava_det.data.transforms import normalize_batch
from ava_det.detectors import PersonDetector, check_detector
from ava_det.detectors.keyframe_boxes import NUM_SAMPLES, keyframe_grid
from ava_det.detectors.registry import build_detector
from ava_det.device.precision import resolve_precision
from ava_det.device.select import prepare_torch
from ava_det.inference.arguments import check_times
from ava_det.inference.clip_scorer import ClipScorer
from ava_det.inference.live import LiveWatcher
from ava_det.inference.persons import DetectedPersons, ListedPersons, PersonsOfVideo
from ava_det.inference.prefetch import prefetch
from ava_det.inference.pretrained import (
    DEFAULT_ACTION_WEIGHTS,
    DEFAULT_THRESHOLD,
    choose_config,
    choose_runtime,
    load_network,
)
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
from ava_det.structures import ClipBatch, Detections, Keyframe, PersonBoxes
from ava_det.tracking.linker import TrackLinker
from ava_det.video.folder import open_video
from ava_det.video.live import LiveSource
from ava_det.video.reader import FrameReader
from ava_det.video.sources import video_id_of

WAITING_BYTES = 512 << 20  # of frames that wait for their batch: beyond it a batch is cut short
AHEAD_BYTES = 128 << 20  # of frames that the decoder is ahead


class Predictor:
    """Runs a trained model over whole videos; `from_pretrained` is the way to one.

    It holds nothing of a video, so that several may be watched at once, in threads too.

    label_map: action id (1-based) to name. thresholds: from which score on each action counts as
    seen. start_second: what the first frame of a video is worth.
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
        label_map: Mapping[int, str] | None = None,
        thresholds: Mapping[int, float] | None = None,
    ) -> None:
        """Puts the parts together.

        model, clip_reader, short_side, to_device, num_classes, precision: as for `ClipScorer`.
        persons: a detector, or the boxes of a file (`load_boxes`); then the file's timestamps are
        the keyframes. min_person_score: persons below are left out. batch_size: keyframes that go
        through the model together. label_map, thresholds: the actions' numbers and 0.5 by default.
        """
        ids = range(1, num_classes + 1)
        self._scorer = ClipScorer(model, clip_reader, short_side, to_device, num_classes, precision)
        self._persons = persons if isinstance(persons, Mapping) else check_detector(persons)
        self._min_person_score = min_person_score
        self._batch_size = batch_size
        self.start_second = start_second
        self.label_map = dict(label_map or {number: str(number) for number in ids})
        self.thresholds = dict(thresholds or dict.fromkeys(self.label_map, DEFAULT_THRESHOLD))

    @classmethod
    def from_pretrained(
        cls,
        weights: str | Path = DEFAULT_ACTION_WEIGHTS,
        detector: str | PersonDetector | PersonBoxes = "auto",
        device: str | None = None,
        config: str | Path | None = None,
        overrides: Sequence[str] = (),
        label_map: str | Path | None = None,
        runtime: str = "torch",
    ) -> Self:
        """Loads weights, and a person detector.

        weights: a checkpoint of ours, or a name of MODEL_ZOO.md, downloaded once. detector: a name
        as in docs/person_boxes.md, an object that finds persons, or the boxes of a file
        (`load_boxes`). device: auto, cpu, cuda or cuda:N. config: the experiment the weights belong
        to; without it the one the checkpoint carries, or the shipped one of that name. overrides:
        `key=value` for the config. label_map: a file of action names, where those the weights carry
        are not wanted. runtime: of an exported file, else as its name says. Raises ConfigError or
        WeightsError (both ValueError), in one sentence.
        """
        chosen = [*overrides] if device is None else [*overrides, f"device={device}"]
        runtime = choose_runtime(weights, runtime)
        settings = choose_config(weights, config, chosen, runtime)
        place = prepare_torch(settings)
        if isinstance(detector, str):
            detector = build_detector(detector, place, settings.precision)
        network = load_network(settings, weights, place, label_map, runtime)
        data = settings.data
        return cls(
            network.model,
            detector,
            build_clip_reader(settings),
            data.test_short_side,
            partial(normalize_batch, mean=data.mean, std=data.std, device=place),
            settings.model.num_classes,
            data.min_person_score,
            data.start_second,
            settings.eval.batch_size,
            resolve_precision(settings.precision, place),
            network.label_map,
            network.thresholds,
        )

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
        check_times(every, start, end)
        return self._iterate(Path(video), every, start, end, stream)

    def _iterate(
        self, video: Path, every: float, start: float, end: float, stream: int | None
    ) -> Iterator[Detections]:
        linker = TrackLinker()
        with open_video(video, self.start_second, stream) as reader:
            persons = self._begin(reader, start)
            timestamps = self._choose_keyframes(reader, persons, every, start, end)
            keyframes = read_keyframes(
                reader,
                timestamps,
                self._scorer.clip_reader,
                self._scorer.short_side,
                persons.needs_picture,
            )
            pending: list[KeyframeInput] = []
            lost = 0
            for keyframe in prefetch(keyframes, self._batch_size):
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
        check_times(every, start, end, smooth)
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
        first = self.start_second + start
        last = self.start_second + end
        short_side = self._scorer.short_side
        items = read_all(
            reader,
            timestamps,
            self._scorer.clip_reader,
            short_side,
            persons.needs_picture,
            first,
            last,
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

        for item in prefetch(items, depth, stop):
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

    def predict_clip(self, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Action scores float32 [N, C] (after the sigmoid; column = action id - 1) of persons whose
        boxes are known.

        frames: uint8 RGB [T, H, W, 3], T = `num_ticks` frames 1 / `clip_fps` s apart; the boxes
        belong to frame T // 2. boxes: [N, 4] xyxy, pixels of these frames. Raises ValueError where
        a shape or a dtype is another.
        """
        return self._scorer.score_frames(frames, boxes)

    @property
    def num_ticks(self) -> int:
        """Frames `predict_clip` wants: the span of a clip, in ticks of `clip_fps`."""
        return self._scorer.num_ticks

    @property
    def clip_fps(self) -> float:
        """Ticks a second."""
        return self._scorer.clip_fps

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
        check_times(every, 0.0, np.inf, smooth)
        detector = self._persons
        linker, smoother = TrackLinker(), ScoreSmoother(smooth)

        def judge(source: LiveSource, timestamp: float, samples: list[np.ndarray]) -> Detections:
            reader = source.hold()
            persons = DetectedPersons(detector, samples, video_id_of(reader.path))
            [keyframe] = read_keyframes(
                reader, [timestamp], self._scorer.clip_reader, self._scorer.short_side, True
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
        if self.start_second + start >= reader.find_end():
            raise ValueError(
                f"{reader.path}: expected a start before its end at {reader.find_end() - self.start_second:.1f} s, "
                f"received {start:g}"
            )
        video_id = video_id_of(reader.path)
        if isinstance(self._persons, Mapping):
            return ListedPersons(self._persons, video_id)
        return DetectedPersons(self._persons, reader.sample(NUM_SAMPLES), video_id)

    def _choose_keyframes(
        self, reader: FrameReader, persons: PersonsOfVideo, every: float, start: float, end: float
    ) -> list[float]:
        """The keyframes from `start` up to `end`, seconds of the file."""
        first, last = self.start_second + start, self.start_second + end
        if isinstance(persons, ListedPersons):
            listed = persons.find_keyframes(self.start_second, reader.find_end())
            return [moment for moment in listed if first <= moment < last]
        return list(keyframe_grid(first, min(reader.find_end(), last), every))

    def _predict(
        self, inputs: Sequence[KeyframeInput], reader: FrameReader, persons: PersonsOfVideo
    ) -> list[Detections]:
        """One Detections per keyframe."""
        size = (reader.width, reader.height)
        clips = []
        for one, (boxes, scores) in zip(inputs, persons.find(inputs, size), strict=True):
            sure = scores >= self._min_person_score
            keyframe = Keyframe(
                persons.video_id, one.timestamp, boxes[sure], None, scores[sure], size
            )
            clips.append((one.frames, keyframe))
        return self._scorer.score(clips, self._scorer.clip_reader.find_size(reader))
