"""Runs a network over one video: yields its keyframes, or all of its frames, with detections."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from threading import Event

import numpy as np
from torch import Tensor

from ava_det.data.clip_pixels import ClipPixels
from ava_det.data.feature_bank import FeatureBank
from ava_det.detectors import PersonDetector
from ava_det.detectors.keyframe_boxes import NUM_SAMPLES, keyframe_grid
from ava_det.inference.clip_scorer import ClipScorer
from ava_det.inference.persons import (
    DetectedPersons,
    ListedPersons,
    PersonsOfVideo,
    RememberedPersons,
)
from ava_det.inference.prefetch import prefetch
from ava_det.inference.smoothing import ScoreSmoother
from ava_det.inference.streaming import (
    FrameQueue,
    KeyframeInput,
    LostKeyframe,
    ShownFrame,
    read_all,
    read_keyframes,
    warn_of_faults,
)
from ava_det.structures import Detections, Keyframe, KeyframeKey, PersonBoxes, Persons
from ava_det.tracking.linker import TrackLinker
from ava_det.video.reader import FrameReader
from ava_det.video.sources import video_id_of

logger = logging.getLogger("ava_det")

WAITING_BYTES = 512 << 20  # of frames that wait for their batch; with more the batch is cut short
AHEAD_BYTES = 128 << 20  # of frames that are decoded ahead


class VideoRun:
    """Computes the detections of one video; can be iterated over once.

    Args:
        reader: The video.
        scorer: Scores the actions.
        persons: A detector, the boxes of a file, or what an earlier run found.
        min_person_score: Persons with a lower score are left out.
        batch_size: Keyframes that go through the model together.
        every: Seconds between keyframes.
        start: Seconds of the file.
        end: Seconds of the file.
        reports_damage: Whether damage is reported at the end; the first of two passes leaves it to
            the second.
    """

    def __init__(
        self,
        reader: FrameReader,
        scorer: ClipScorer,
        persons: PersonDetector | PersonBoxes | PersonsOfVideo,
        min_person_score: float,
        batch_size: int,
        every: float,
        start: float,
        end: float,
        reports_damage: bool = True,
    ) -> None:
        self._reader = reader
        self._scorer = scorer
        self._persons = persons
        self._min_person_score = min_person_score
        self._batch_size = batch_size
        self._every = every
        self._reports_damage = reports_damage
        self._first = reader.start_second + start
        self._last = reader.start_second + end

    def iterate(self) -> Iterator[Detections]:
        """Yields the detections of every keyframe, with track ids.

        Raises:
            VideoError: The file cannot be read.
            ValueError: The video ends before `start`, or the box file does not fit it.
        """
        linker = TrackLinker()
        size = self._scorer.clip_reader.find_size(self._reader)
        for clips in self._read_clips(self._begin()):
            yield from map(linker.link, self._scorer.score(clips, size))

    def fill(self, bank: FeatureBank) -> PersonsOfVideo:
        """Puts the features of the persons of every keyframe in a bank.

        Returns:
            The persons, who need not be detected again.

        Raises:
            VideoError: The file cannot be read.
            ValueError: The video ends before `start`, or the box file does not fit it.
        """
        persons = self._begin()
        size = self._scorer.clip_reader.find_size(self._reader)
        keyframes: list[Keyframe] = []
        features: list[Tensor] = []
        person_boxes: dict[KeyframeKey, Persons] = {}
        for clips in self._read_clips(persons):
            for _, keyframe in clips:
                person_boxes[keyframe.key] = Persons(keyframe.boxes, keyframe.person_scores)
            peopled = [(pixels, keyframe) for pixels, keyframe in clips if len(keyframe.boxes)]
            if peopled:
                features += self._scorer.compute_features(peopled, size)
                keyframes += [keyframe for _, keyframe in peopled]
        bank.add_video(persons.video_id, keyframes, features)
        if isinstance(persons, DetectedPersons):
            return RememberedPersons(person_boxes, persons)
        return persons

    def _read_clips(self, persons: PersonsOfVideo) -> Iterator[list[tuple[ClipPixels, Keyframe]]]:
        """Yields the clips of all keyframes and their persons, in batches."""
        keyframes = read_keyframes(
            self._reader,
            self._choose_keyframes(persons),
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
                yield find_persons(pending, self._reader, persons, self._min_person_score)
                pending = []
        if pending:
            yield find_persons(pending, self._reader, persons, self._min_person_score)
        if self._reports_damage:
            warn_of_faults(self._reader, lost)

    def watch(self, smoother: ScoreSmoother, stop: Event | None) -> Iterator[ShownFrame]:
        """Yields every frame with its detections, until `stop` is set.

        Raises:
            VideoError: The file cannot be read.
            ValueError: The video ends before `start`, or the box file does not fit it.
        """
        linker = TrackLinker()
        reader = self._reader
        persons = self._begin()
        timestamps = self._choose_keyframes(persons)
        items = read_all(
            reader,
            timestamps,
            self._scorer.clip_reader,
            self._scorer.short_side,
            persons.needs_picture,
            self._first,
            self._last,
        )
        frames = FrameQueue(timestamps[0] if timestamps else np.inf, tolerance=0.5 / reader.fps)
        pending: list[KeyframeInput] = []
        lost = 0
        depth = min(max(AHEAD_BYTES * 2 // (reader.width * reader.height * 3), 2), 256)

        def predict() -> None:
            predictions = self._predict(pending, persons)
            frames.add_keyframes(
                [smoother.smooth(linker.link(one)) for one in predictions], pending[-1].following
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
            yield from list(frames.release())  # found at once, which is faster than in turns
        if stop is None or not stop.is_set():
            if pending:
                predict()
            yield from frames.release(ended=True)
        warn_of_faults(reader, lost)

    def _begin(self) -> PersonsOfVideo:
        """Prepares the source of persons."""
        reader = self._reader
        for note in self._scorer.clip_reader.describe_pace(reader.fps):
            logger.warning(f"{reader.path}: {note}")
        if self._first >= reader.find_end():
            raise ValueError(
                f"{reader.path}: expected a start before its end at "
                f"{reader.find_end() - reader.start_second:.1f} s, "
                f"received {self._first - reader.start_second:g}"
            )
        if isinstance(self._persons, PersonsOfVideo):
            return self._persons
        video_id = video_id_of(reader.path)
        if isinstance(self._persons, Mapping):
            return ListedPersons(self._persons, video_id)
        return DetectedPersons(self._persons, reader.sample(NUM_SAMPLES), video_id)

    def _choose_keyframes(self, persons: PersonsOfVideo) -> list[float]:
        """Returns the annotation seconds of the keyframes, from the start up to the end."""
        end = self._reader.find_end()
        if isinstance(persons, ListedPersons):
            listed = persons.find_keyframes(self._reader.start_second, end)
            return [moment for moment in listed if self._first <= moment < self._last]
        return list(keyframe_grid(self._first, min(end, self._last), self._every))

    def _predict(
        self, inputs: Sequence[KeyframeInput], persons: PersonsOfVideo
    ) -> list[Detections]:
        return predict_keyframes(
            self._scorer, inputs, self._reader, persons, self._min_person_score
        )


def predict_keyframes(
    scorer: ClipScorer,
    inputs: Sequence[KeyframeInput],
    reader: FrameReader,
    persons: PersonsOfVideo,
    min_person_score: float,
) -> list[Detections]:
    """Finds the persons of keyframes and scores their actions.

    Args:
        scorer: Scores the actions.
        inputs: The keyframes.
        reader: The video they are from.
        persons: Finds the persons.
        min_person_score: Persons with a lower score are left out.

    Returns:
        One Detections per keyframe.
    """
    clips = find_persons(inputs, reader, persons, min_person_score)
    return scorer.score(clips, scorer.clip_reader.find_size(reader))


def find_persons(
    inputs: Sequence[KeyframeInput],
    reader: FrameReader,
    persons: PersonsOfVideo,
    min_person_score: float,
) -> list[tuple[ClipPixels, Keyframe]]:
    """Finds the persons of keyframes; arguments as for `predict_keyframes`.

    Returns:
        The pixels of each clip, and its keyframe with the persons.
    """
    size = (reader.width, reader.height)
    clips = []
    for one, (boxes, scores) in zip(inputs, persons.find(inputs, size), strict=True):
        sure = scores >= min_person_score
        keyframe = Keyframe(persons.video_id, one.timestamp, boxes[sure], None, scores[sure], size)
        clips.append((one.pixels, keyframe))
    return clips
