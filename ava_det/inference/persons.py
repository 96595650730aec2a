"""Supplies the persons of one video: found by a detector, or listed in a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ava_det.detectors import PersonDetector, VideoDetector
from ava_det.detectors.keyframe_boxes import normalize_persons
from ava_det.inference.streaming import KeyframeInput
from ava_det.structures import KeyframeKey, PersonBoxes, Persons


class DetectedPersons:
    """Finds persons by a detector.

    Args:
        detector: Finds the persons.
        samples: Frames of the video, as `PersonDetector.begin_video` takes them.
        video_id: Of the video.
    """

    needs_picture = True

    def __init__(
        self, detector: PersonDetector, samples: Sequence[np.ndarray], video_id: str
    ) -> None:
        self.video_id = video_id
        self._detect = VideoDetector(detector, samples)

    def find(self, inputs: Sequence[KeyframeInput], size: tuple[int, int]) -> list[Persons]:
        """Finds the persons of keyframes.

        Args:
            inputs: The keyframes, with their pictures.
            size: Width and height of the pictures.

        Returns:
            Boxes normalized, and scores, of each keyframe.
        """
        pictures = [one.picture for one in inputs if one.picture is not None]
        detected = self._detect(pictures) if pictures else []
        return [normalize_persons(boxes, scores, *size) for boxes, scores in detected]


class ListedPersons:
    """Looks up persons in a box file, whose timestamps are the keyframes.

    Args:
        boxes: Of all videos of the file.
        video_id: Of the video.
    """

    needs_picture = False

    def __init__(self, boxes: PersonBoxes, video_id: str) -> None:
        self.video_id = video_id
        self._boxes = boxes

    def find(self, inputs: Sequence[KeyframeInput], size: tuple[int, int]) -> list[Persons]:
        """Returns the listed persons of each keyframe.

        Args:
            inputs: The keyframes.
            size: Is not needed.
        """
        return [self._boxes[KeyframeKey.at(self.video_id, one.timestamp)] for one in inputs]

    def find_keyframes(self, first: float, last: float) -> list[float]:
        """Lists the keyframes of this video from `first` to `last`, in annotation seconds.

        Raises:
            ValueError: The file has none of this video, or all lie outside.
        """
        timestamps = sorted(float(key) for name, key in self._boxes if name == self.video_id)
        if not timestamps:
            raise ValueError(
                f"the box file has no row of video id {self.video_id} "
                "(the video's file name without extension)"
            )
        inside = [timestamp for timestamp in timestamps if first <= timestamp <= last]
        if not inside:
            raise ValueError(
                f"the boxes of {self.video_id} are of seconds {timestamps[0]:g}.."
                f"{timestamps[-1]:g}, expected {first:g}..{last:g} as in the video "
                "(data.start_second is the annotation time of its first frame)"
            )
        return inside


class RememberedPersons:
    """Returns the persons that an earlier pass found, and detects those of other keyframes.

    Args:
        person_boxes: What the earlier pass found.
        detected: Detects the rest, in the same video.
    """

    needs_picture = True

    def __init__(self, person_boxes: PersonBoxes, detected: DetectedPersons) -> None:
        self.video_id = detected.video_id
        self._person_boxes = person_boxes
        self._detected = detected

    def find(self, inputs: Sequence[KeyframeInput], size: tuple[int, int]) -> list[Persons]:
        """Finds the persons of keyframes; see `DetectedPersons.find`."""
        keys = [KeyframeKey.at(self.video_id, one.timestamp) for one in inputs]
        absent = [
            one for one, key in zip(inputs, keys, strict=True) if key not in self._person_boxes
        ]
        detected = iter(self._detected.find(absent, size))
        return [
            self._person_boxes[key] if key in self._person_boxes else next(detected) for key in keys
        ]


PersonsOfVideo = DetectedPersons | ListedPersons | RememberedPersons
