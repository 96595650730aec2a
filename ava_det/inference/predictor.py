"""Finds the persons of a video at every keyframe, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Event
from typing import Any, Self

import numpy as np
from torch import nn

from ava_det.checkpoint.zoo import choose_weights
from ava_det.choices import DEFAULT_ACTION_WEIGHTS
from ava_det.data.build import build_clip_reader, build_device_transform
from ava_det.data.clip_reader import ClipReader
from ava_det.detectors import PersonDetector, check_detector
from ava_det.detectors.registry import build_detector
from ava_det.device.precision import resolve_precision
from ava_det.device.select import prepare_torch
from ava_det.inference.arguments import check_times
from ava_det.inference.clip_scorer import ClipScorer
from ava_det.inference.first_pass import FirstPass, load_first_pass
from ava_det.inference.live import LiveWatcher
from ava_det.inference.persons import DetectedPersons, PersonsOfVideo
from ava_det.inference.pretrained import (
    DEFAULT_THRESHOLD,
    choose_config,
    choose_runtime,
    load_network,
)
from ava_det.inference.results import VideoResults
from ava_det.inference.smoothing import ScoreSmoother
from ava_det.inference.streaming import (
    MARGIN_SECONDS,
    KeyframeInput,
    ShownFrame,
    read_keyframes,
)
from ava_det.inference.video_run import VideoRun, predict_keyframes
from ava_det.structures import ClipBatch, Detections, PersonBoxes
from ava_det.tracking.linker import TrackLinker
from ava_det.video.folder import open_video
from ava_det.video.live import LiveSource
from ava_det.video.reader import FrameReader
from ava_det.video.sources import video_id_of


class Predictor:
    """Runs a trained model over whole videos; `from_pretrained` builds one from weights.

    It keeps nothing of a video, so several videos can be processed at once, in threads too.

    Args:
        model: See `ClipScorer`.
        persons: A detector, or the boxes of a file (`load_boxes`); then the file's timestamps are
            the keyframes.
        clip_reader: See `ClipScorer`.
        short_side: See `ClipScorer`.
        to_device: See `ClipScorer`.
        num_classes: See `ClipScorer`.
        min_person_score: Persons with a lower score are left out.
        start_second: Annotation time, in seconds, of a video's first frame.
        batch_size: Keyframes that go through the model together.
        precision: See `ClipScorer`.
        label_map: Action id (1-based) to name; the ids by default.
        thresholds: Action id to the score from which the action is shown; 0.5 by default.
        first_pass: Fills the bank of a model with a long-term head; None for other models.
        multilabel: See `ClipScorer`.

    Attributes:
        start_second: See above.
        label_map: See above.
        thresholds: See above.
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
        first_pass: FirstPass | None = None,
        multilabel: bool = True,
    ) -> None:
        self._scorer = ClipScorer(
            model, clip_reader, short_side, to_device, num_classes, precision, multilabel
        )
        self._persons = persons if isinstance(persons, Mapping) else check_detector(persons)
        self._min_person_score = min_person_score
        self._batch_size = batch_size
        self._first_pass = first_pass
        self.start_second = start_second
        self.label_map = dict(label_map or {i: str(i) for i in range(1, num_classes + 1)})
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
        """Loads weights and a person detector.

        Args:
            weights: A checkpoint of this toolkit, an exported file, or a name of MODEL_ZOO.md or
                hf:user/name@revision (docs/sharing.md), which are downloaded once; best is the
                strongest one for commercial use.
            detector: A name as in docs/person_boxes.md, an object that finds persons, or the boxes
                of a file (`load_boxes`).
            device: auto, cpu, cuda or cuda:N.
            config: The experiment the weights belong to. Without it the one in the checkpoint, or
                the shipped one of that name.
            overrides: `key=value` for the config.
            label_map: A file of action names, in place of those in the weights.
            runtime: Of an exported file whose name does not say it.

        Raises:
            ConfigError: The config does not exist or does not fit, a ValueError in one sentence.
            WeightsError: The weights cannot be used, a ValueError in one sentence.
        """
        weights = choose_weights(weights)
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
            build_clip_reader(settings, place),
            data.test_short_side,
            build_device_transform(settings, place),
            settings.model.num_classes,
            data.min_person_score,
            data.start_second,
            settings.eval.batch_size,
            resolve_precision(settings.precision, place),
            network.label_map,
            network.thresholds,
            load_first_pass(settings, place),
            settings.model.multilabel,
        )

    def __call__(
        self,
        video: str | Path,
        every: float = 1.0,
        start: float = 0.0,
        end: float = np.inf,
        stream: int | None = None,
        hwaccel: str | None = None,
    ) -> Iterator[Detections]:
        """Yields the detections of every keyframe of a video, in order, with track ids.

        Keyframes without a person are yielded too. The video is decoded in one pass, a batch ahead
        of the model, and memory does not grow with its length. Several videos may be iterated over
        at once, in threads too.

        Args:
            video: The file or folder of frames.
            every: Seconds between keyframes, the first of which is at `start`; not read when boxes
                come from a file.
            start: Seconds of the file.
            end: Seconds of the file.
            stream: Which of several video streams, see `VideoReader`.
            hwaccel: Which kind of device decodes it, see there.

        Raises:
            VideoError: The file cannot be read.
            ValueError: A time is not possible, or the box file does not fit the video.
        """
        check_times(every, start, end)
        return self._iterate(every, start, end, video, self.start_second, stream, hwaccel)

    def _iterate(
        self, every: float, start: float, end: float, *source: Any
    ) -> Iterator[Detections]:
        with open_video(*source) as reader:
            yield from self._begin_run(reader, every, start, end).iterate()

    def collect(
        self,
        video: str | Path,
        every: float = 1.0,
        start: float = 0.0,
        end: float = np.inf,
        stream: int | None = None,
    ) -> VideoResults:
        """Watches a whole video and holds what `__call__` yields; arguments and errors are its."""
        known = (self.label_map, self.thresholds, self.start_second)
        return VideoResults(self(video, every, start, end, stream), video, *known, stream)

    def watch(
        self,
        reader: FrameReader,
        every: float = 1.0,
        start: float = 0.0,
        end: float = np.inf,
        smooth: float = 0.0,
        stop: Event | None = None,
    ) -> Iterator[ShownFrame]:
        """Yields every frame of a video with the persons on it, in order.

        The video is decoded once, in a thread of its own.

        Args:
            reader: At `start_second`.
            every: See `__call__`.
            start: See `__call__`.
            end: See `__call__`.
            smooth: Seconds over which the scores of a person are averaged, 0 for no averaging.
            stop: Once it is set, no further frame is yielded.

        Raises:
            VideoError: The file cannot be read.
            ValueError: A time is not possible, or the box file does not fit the video.
        """
        check_times(every, start, end, smooth)
        return self._watch(reader, every, start, end, smooth, stop)

    def _watch(
        self,
        reader: FrameReader,
        every: float,
        start: float,
        end: float,
        smooth: float,
        stop: Event | None,
    ) -> Iterator[ShownFrame]:
        yield from self._begin_run(reader, every, start, end).watch(ScoreSmoother(smooth), stop)

    def _begin_run(self, reader: FrameReader, every: float, start: float, end: float) -> VideoRun:
        """Prepares the pass that yields; of a model with a bank this is the second one."""
        scorer = self._scorer
        persons: PersonDetector | PersonBoxes | PersonsOfVideo = self._persons
        if self._first_pass is not None:
            bank, persons = self._first_pass.run(
                reader, self._persons, self._min_person_score, self._batch_size, start, end
            )
            scorer = scorer.with_bank(bank)
        return VideoRun(
            reader, scorer, persons, self._min_person_score, self._batch_size, every, start, end
        )

    def predict_clip(self, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Scores persons whose boxes are known.

        Args:
            frames: uint8 RGB [T, H, W, 3], T = `num_ticks` frames 1 / `clip_fps` s apart.
            boxes: [N, 4], xyxy in pixels of these frames, of the persons of frame T // 2.

        Returns:
            Action scores float32 [N, C], as in `Detections`; column = action id - 1.

        Raises:
            ValueError: A shape or a dtype is another, or a box is empty; or the model has a
                long-term head.
        """
        self._require_single_pass("predict_clip scores one clip")
        return self._scorer.score_frames(frames, boxes)

    def _require_single_pass(self, use: str) -> None:
        """Refuses a use in which the whole video is not there."""
        if self._first_pass is not None:
            raise ValueError(
                f"{use}: expected a model without a long-term head (model.long_term), which reads "
                "a whole video first"
            )

    @property
    def num_ticks(self) -> int:
        """Returns how many frames `predict_clip` needs, `clip_fps` of them a second."""
        return self._scorer.num_ticks

    @property
    def clip_fps(self) -> float:
        """Returns the ticks per second."""
        return self._scorer.clip_fps

    def watch_live(
        self,
        source: LiveSource,
        every: float = 1.0,
        smooth: float = 0.0,
        stop: Event | None = None,
        turn: AbstractContextManager[object] | None = None,
    ) -> LiveWatcher:
        """Watches a camera or a stream.

        `LiveWatcher.frames()` yields its newest frames with the latest detections; frames that
        arrive too fast are dropped.

        Args:
            source: Keeps at least `live_seconds` of frames.
            every: See `__call__`.
            smooth: See `watch`.
            stop: See `watch`.
            turn: Is held while the network runs, such as a lock that others hold in turn.

        Raises:
            ValueError: Persons come from a file, a time is not possible, the model has a long-term
                head, or a CPU would have to compute its optical flow by raft.
        """
        self._require_single_pass("a live source has no end")
        if isinstance(self._persons, Mapping):
            raise ValueError("a live source has no box file: expected a person detector")
        self._scorer.clip_reader.require_live_pace()
        check_times(every, 0.0, np.inf, smooth)
        detector = self._persons
        linker = TrackLinker()
        smoother = ScoreSmoother(smooth)

        def detect(source: LiveSource, timestamp: float, samples: list[np.ndarray]) -> Detections:
            reader = source.make_window()
            persons = DetectedPersons(detector, samples, video_id_of(reader.path))
            [keyframe] = read_keyframes(
                reader, [timestamp], self._scorer.clip_reader, self._scorer.short_side, True
            )
            assert isinstance(keyframe, KeyframeInput)
            with turn or nullcontext():
                [detections] = predict_keyframes(
                    self._scorer, [keyframe], reader, persons, self._min_person_score
                )
            return smoother.smooth(linker.link(detections))

        return LiveWatcher(source, detect, self.live_seconds / 2, every, stop or Event())

    @property
    def live_seconds(self) -> float:
        """Returns the seconds of frames that a live source must keep for a clip."""
        return self.num_ticks / self.clip_fps + MARGIN_SECONDS
