"""Runs a network over one video: yields its keyframes, or all of its frames, with detections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Event

import numpy as np

from ava_det.detectors import PersonDetector
from ava_det.detectors.keyframe_boxes import NUM_SAMPLES, keyframe_grid
from ava_det.inference.clip_scorer import ClipScorer
from ava_det.inference.persons import DetectedPersons, ListedPersons, PersonsOfVideo
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
from ava_det.structures import Detections, Keyframe, PersonBoxes
from ava_det.tracking.linker import TrackLinker
from ava_det.video.reader import FrameReader
from ava_det.video.sources import video_id_of

WAITING_BYTES = 512 << 20  # of frames that wait for their batch; with more the batch is cut short
AHEAD_BYTES = 128 << 20  # of frames that are decoded ahead


class VideoRun:
    """Computes the detections of one video; can be iterated over once.

    Args:
        reader: The video.
        scorer: Scores the actions.
        persons: A detector, or the boxes of a file.
        min_person_score: Persons with a lower score are left out.
        batch_size: Keyframes that go through the model together.
        every: Seconds between keyframes.
        start: Seconds of the file.
        end: Seconds of the file.
    """

    def __init__(
        self,
        reader: FrameReader,
        scorer: ClipScorer,
        persons: PersonDetector | PersonBoxes,
        min_person_score: float,
        batch_size: int,
        every: float,
        start: float,
        end: float,
    ) -> None:
        self._reader = reader
        self._scorer = scorer
        self._persons = persons
        self._min_person_score = min_person_score
        self._batch_size = batch_size
        self._every = every
        self._first = reader.start_second + start
        self._last = reader.start_second + end

    def iterate(self) -> Iterator[Detections]:
        """Yields the detections of every keyframe, with track ids.

        Raises:
            VideoError: The file cannot be read.
            ValueError: The video ends before `start`, or the box file does not fit it.
        """
        linker = TrackLinker()
        persons = self._begin()
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
                yield from map(linker.link, self._predict(pending, persons))
                pending = []
        yield from map(linker.link, self._predict(pending, persons))
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
            found = self._predict(pending, persons)
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

    def _begin(self) -> PersonsOfVideo:
        """Prepares the source of persons."""
        reader = self._reader
        if self._first >= reader.find_end():
            raise ValueError(
                f"{reader.path}: expected a start before its end at "
                f"{reader.find_end() - reader.start_second:.1f} s, "
                f"received {self._first - reader.start_second:g}"
            )
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
    size = (reader.width, reader.height)
    clips = []
    for one, (boxes, scores) in zip(inputs, persons.find(inputs, size), strict=True):
        sure = scores >= min_person_score
        keyframe = Keyframe(persons.video_id, one.timestamp, boxes[sure], None, scores[sure], size)
        clips.append((one.frames, keyframe))
    return scorer.score(clips, scorer.clip_reader.find_size(reader))
