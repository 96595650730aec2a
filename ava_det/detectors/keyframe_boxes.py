"""Chooses the persons of a keyframe: those of the labels, of a box file, or of a detector."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from ava_det.boxes import clip_boxes, compute_iou, normalize_boxes
from ava_det.detectors import PersonDetector, VideoDetector, check_detector
from ava_det.structures import Keyframe, KeyframeKey, PersonBoxes, Persons
from ava_det.video.folder import open_video
from ava_det.video.reader import FrameReader, VideoError, warn_of_notes

# Timestamp, normalized boxes float32 [N, 4] and person scores float32 [N] of one keyframe.
KeyframePersons = tuple[float, Tensor, Tensor]

NUM_SAMPLES = 32  # frames of each video that a detector sees before the keyframes
BATCH_SIZE = 8  # keyframes that a detector sees together


def detect_persons(
    detector: PersonDetector,
    videos: Mapping[str, Path],
    keyframes: Sequence[Keyframe],
    start_second: float,
    progress: Callable[[Iterable[KeyframePersons]], Iterable[KeyframePersons]],
) -> dict[KeyframeKey, Persons]:
    """Runs a detector on every keyframe, in one pass over each video.

    Args:
        detector: Finds the persons.
        videos: Video id to its file.
        keyframes: In any order, of any of the videos.
        start_second: Annotation time, in seconds, of each video's first frame.
        progress: Wraps the iterator over the keyframes, to show a progress bar.

    Returns:
        The persons of each keyframe, boxes normalized.

    Raises:
        VideoError: A video has no file, cannot be read, or ends before one of its keyframes.
    """

    def find() -> Iterator[KeyframePersons]:
        ordered = sorted(keyframes, key=lambda keyframe: (keyframe.video_id, keyframe.timestamp))
        for video_id, group in groupby(ordered, key=lambda keyframe: keyframe.video_id):
            if video_id not in videos:
                raise VideoError(
                    f"data.video_dir: no video file for video id {video_id} of the annotations"
                )
            with open_video(videos[video_id], start_second) as reader:
                for timestamp, boxes, scores in detect_in_video(
                    detector, reader, [k.timestamp for k in group]
                ):
                    person_boxes[KeyframeKey.at(video_id, timestamp)] = Persons(boxes, scores)
                    yield timestamp, boxes, scores

    person_boxes: dict[KeyframeKey, Persons] = {}
    for _ in progress(find()):
        pass
    return person_boxes


def detect_in_video(
    detector: PersonDetector, reader: FrameReader, timestamps: Sequence[float]
) -> Iterator[KeyframePersons]:
    """Runs a detector on the frames at `timestamps`, several at a time, in one pass over a video.

    Args:
        detector: Finds the persons.
        reader: The video.
        timestamps: Annotation seconds, ascending.

    Yields:
        Timestamp, normalized boxes float32 [N, 4] and person scores float32 [N] of each keyframe.

    Raises:
        VideoError: The video ends before a timestamp, whatever its header says.
    """
    find = VideoDetector(check_detector(detector), reader.sample(NUM_SAMPLES))
    for start in range(0, len(timestamps), BATCH_SIZE):
        batch = timestamps[start : start + BATCH_SIZE]
        frames = []
        for timestamp in batch:
            reader.require(timestamp)
            if (
                timestamp == timestamps[-1]
                and reader.find_at_or_after(Fraction(timestamp) - 1) is None
            ):
                raise VideoError(
                    f"{reader.path}: its frames end more than a second before the keyframe "
                    f"{timestamp:g}"
                )
            frames.append(reader.read([timestamp])[0])
        for timestamp, (boxes, scores) in zip(batch, find(frames), strict=True):
            yield timestamp, *normalize_persons(boxes, scores, reader.width, reader.height)
    warn_of_notes(reader)


def find_read_end(reader: FrameReader) -> float:
    """Returns the annotation time at which the last frame ends, whatever the header declares.

    The last frames are decoded: a file that is cut off ends before.
    """
    reader.read([reader.find_end()])
    return reader.find_end()


def keyframe_grid(start_second: float, end: float, every: float) -> Iterator[float]:
    """Yields the keyframes of a video without annotations.

    Args:
        start_second: Annotation time, in seconds, of the video's first frame, the first keyframe.
        end: Annotation seconds; every keyframe is before it.
        every: Seconds between keyframes.
    """
    moments = (round(start_second + index * every, 6) for index in itertools.count())
    return itertools.takewhile(lambda moment: moment < end, moments)


def normalize_persons(boxes: Tensor, scores: Tensor, width: int, height: int) -> Persons:
    """Normalizes boxes to fractions of the frame, clipped to it.

    Args:
        boxes: [N, 4], xyxy in pixels of a frame of that size.
        scores: [N], kept as they are.
        width: Of the frame, in pixels.
        height: Of the frame, in pixels.
    """
    return Persons(normalize_boxes(clip_boxes(boxes, width, height), width, height), scores)


def replace_boxes(
    keyframes: Sequence[Keyframe], person_boxes: PersonBoxes, min_score: float
) -> list[Keyframe]:
    """Replaces the persons of keyframes by those of a detector or a box file, without labels.

    A keyframe without any such box stays, with no person; no box is made up for it.

    Args:
        keyframes: Any keyframes.
        person_boxes: The new persons.
        min_score: Person score from which a person is taken.
    """
    replaced = []
    for keyframe in keyframes:
        boxes, scores = _find_persons(keyframe, person_boxes, min_score)
        replaced.append(Keyframe(keyframe.video_id, keyframe.timestamp, boxes, None, scores))
    return replaced


def add_proposals(
    keyframes: Sequence[Keyframe], person_boxes: PersonBoxes, min_score: float, min_iou: float
) -> list[Keyframe]:
    """Adds to labeled keyframes every proposal that overlaps a labeled box, with its labels.

    The models marked with a star in the paper are trained like this, at IoU 0.9 (SlowFast, section
    5).

    Args:
        keyframes: With labels.
        person_boxes: The proposals.
        min_score: Person score from which a proposal is used.
        min_iou: IoU with a labeled box from which a proposal is added.
    """
    extended = []
    for keyframe in keyframes:
        assert keyframe.labels is not None
        boxes, scores = _find_persons(keyframe, person_boxes, min_score)
        if len(boxes) == 0 or len(keyframe.boxes) == 0:
            extended.append(keyframe)
            continue
        iou, match = compute_iou(boxes, keyframe.boxes).max(dim=1)
        near = iou >= min_iou
        extended.append(
            Keyframe(
                keyframe.video_id,
                keyframe.timestamp,
                torch.cat((keyframe.boxes, boxes[near])),
                torch.cat((keyframe.labels, keyframe.labels[match[near]])),
                torch.cat((keyframe.person_scores, scores[near])),
            )
        )
    return extended


def compute_recall(
    keyframes: Sequence[Keyframe], person_boxes: PersonBoxes, min_score: float
) -> tuple[float | None, float | None]:
    """Computes recall of the labeled boxes and precision of the detected ones, both at IoU 0.5.

    Args:
        keyframes: With the labeled boxes.
        person_boxes: The detected boxes.
        min_score: Person score from which a detected box counts.

    Returns:
        Recall, None where no box is labeled, and precision, None where no box is detected.
    """
    labeled = hit = detected = correct = 0
    for keyframe in keyframes:
        boxes, _ = _find_persons(keyframe, person_boxes, min_score)
        close = compute_iou(keyframe.boxes, boxes) >= 0.5
        labeled = labeled + len(keyframe.boxes)
        detected = detected + len(boxes)
        hit = hit + int(close.any(dim=1).sum())
        correct = correct + int(close.any(dim=0).sum())
    return hit / labeled if labeled else None, correct / detected if detected else None


def _find_persons(keyframe: Keyframe, person_boxes: PersonBoxes, min_score: float) -> Persons:
    """Returns the persons of a keyframe with at least this score."""
    nobody = Persons(torch.zeros(0, 4), torch.zeros(0))
    boxes, scores = person_boxes.get(keyframe.key, nobody)
    sure = scores >= min_score
    return Persons(boxes[sure], scores[sure])
