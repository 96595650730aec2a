"""Defines the dataclasses that packages exchange; they check their own shapes.

Boxes are float32 xyxy. They are *normalized* (fractions of the frame, 0..1) in `Keyframe` and
`Detections`, and *pixels of the clip* in `Clip` and `ClipBatch`. Action columns are 0-based: column
= AVA action id - 1. The terms are defined in docs/glossary.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor


def timestamp_key(timestamp: float) -> str:
    """Formats a timestamp, in seconds, for comparison: 902, 902.0 and 0902 give the same text."""
    return f"{timestamp:.6f}"


class KeyframeKey(NamedTuple):
    """Identifies a keyframe.

    Attributes:
        video_id: The video.
        timestamp: Its annotation time in seconds, as formatted by `timestamp_key`.
    """

    video_id: str
    timestamp: str

    @classmethod
    def at(cls, video_id: str, timestamp: float) -> KeyframeKey:
        """Returns the key of the keyframe of a video at `timestamp`, in seconds."""
        return cls(video_id, timestamp_key(timestamp))


class Persons(NamedTuple):
    """Holds the persons of a keyframe.

    Attributes:
        boxes: Float32 [N, 4], xyxy, fractions of the frame.
        scores: Float32 [N], person scores 0..1.
    """

    boxes: Tensor
    scores: Tensor


PersonBoxes = Mapping[KeyframeKey, Persons]  # of a box file, or of a detector


class _ShapeRepr:
    """Shows shapes instead of values, so that a batch can be printed."""

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            text = (
                f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else repr(value)
            )
            shown.append(f"{field.name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _check(condition: bool, owner: object, expected: str, value: object) -> None:
    if not condition:
        received = (
            f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else repr(value)
        )
        raise ValueError(f"{type(owner).__name__}: expected {expected}, received {received}")


def _check_labels(labels: Tensor | None, count: int, owner: object) -> None:
    if labels is not None:
        fits = labels.ndim == 2 and len(labels) == count
        _check(fits, owner, f"labels [{count}, C]", labels)


@dataclass(repr=False)
class Keyframe(_ShapeRepr):
    """Describes one frame whose persons are to be classified, with these persons.

    Attributes:
        video_id: The video.
        timestamp: Annotation time in seconds.
        boxes: Float32 [N, 4], xyxy, fractions of the frame.
        labels: Float32 [N, C] multi-hot, or None where the actions are not labeled.
        person_scores: Float32 [N]; 1 for ground truth, the detector's confidence otherwise.
        frame_size: Width and height of the frame in pixels; None where no video was read.
    """

    video_id: str
    timestamp: float
    boxes: Tensor
    labels: Tensor | None
    person_scores: Tensor
    frame_size: tuple[int, int] | None = None

    @property
    def key(self) -> KeyframeKey:
        """Returns the key of this keyframe in box files and exclusion lists."""
        return KeyframeKey.at(self.video_id, self.timestamp)

    def __post_init__(self) -> None:
        count = len(self.boxes)
        _check(tuple(self.boxes.shape) == (count, 4), self, "boxes [N, 4]", self.boxes)
        _check(self.boxes.dtype == torch.float32, self, "float32 boxes", self.boxes)
        _check(
            tuple(self.person_scores.shape) == (count,),
            self,
            f"person_scores [{count}]",
            self.person_scores,
        )
        _check_labels(self.labels, count, self)


@dataclass(repr=False)
class Clip(_ShapeRepr):
    """Holds the frames around one keyframe, as the network takes them.

    Attributes:
        slow: Float [3, T, H, W]; None for a Fast-only network.
        fast: Float [3, alpha * T, H, W]; None for a Slow-only network or I3D.
        boxes: Float32 [N, 4], xyxy, pixels of the clip.
        labels: Float32 [N, C] multi-hot, or None.
        keyframe: The keyframe with its boxes as they were before any resize, crop or flip, one row
            per clip box.
        flow: Uint8 [2, T * L, H, W], coded optical flow (u, v) in the order of time, L fields a
            frame of the stream; None for a network that reads none.
    """

    slow: Tensor | None
    fast: Tensor | None
    boxes: Tensor
    labels: Tensor | None
    keyframe: Keyframe
    flow: Tensor | None = None

    def __post_init__(self) -> None:
        count = len(self.keyframe.boxes)
        is_empty = self.slow is None and self.fast is None and self.flow is None
        _check(not is_empty, self, "a slow or a fast clip, or flow", None)
        if self.flow is not None:
            good = self.flow.ndim == 4 and self.flow.shape[0] == 2
            _check(good, self, "flow [2, F, H, W]", self.flow)
        for name, frames in (("slow", self.slow), ("fast", self.fast)):
            if frames is not None:
                _check(
                    frames.ndim == 4 and frames.shape[0] == 3, self, f"{name} [3, T, H, W]", frames
                )
        _check(tuple(self.boxes.shape) == (count, 4), self, f"boxes [{count}, 4]", self.boxes)
        _check_labels(self.labels, count, self)


@dataclass(repr=False)
class ClipBatch(_ShapeRepr):
    """Holds a batch of clips.

    Attributes:
        slow: Float [B, 3, T, H, W] or None, as in `Clip`.
        fast: Float [B, 3, alpha * T, H, W] or None, as in `Clip`.
        rois: Float32 [K, 5] = (clip index, x1, y1, x2, y2) in clip pixels, for the K persons of
            the whole batch.
        labels: Float32 [K, C] multi-hot, or None if any clip is unlabeled.
        keyframes: The B keyframes, in the order of the clips.
        long_term: Float32 [B, L, D], features of the persons in the seconds around each keyframe;
            None for a network that reads none.
        is_blank: Whether it is one gray clip in place of a training batch that could not be read.
        flow: Optical flow, or None: uint8 [B, 2, T * L, H, W] as in `Clip`; normalized float
            [B, 2 * L, T, H, W], the channels of a frame are u and v of its first field, then of
            its second, and so on.
        u_at_rest: What the normalized flow has where u is 0.
    """

    slow: Tensor | None
    fast: Tensor | None
    rois: Tensor
    labels: Tensor | None
    keyframes: list[Keyframe]
    long_term: Tensor | None = None
    is_blank: bool = False
    flow: Tensor | None = None
    u_at_rest: float = 0.0

    @property
    def inputs(self) -> dict[str, Tensor | None]:
        """Returns what the network is called with, by name; flow and bank only where they are."""
        inputs = {"slow": self.slow, "fast": self.fast, "rois": self.rois}
        more = {"flow": self.flow, "long_term": self.long_term}
        return inputs | {name: value for name, value in more.items() if value is not None}

    def __post_init__(self) -> None:
        _check(self.rois.ndim == 2 and self.rois.shape[1] == 5, self, "rois [K, 5]", self.rois)
        for name, frames in (("slow", self.slow), ("fast", self.fast)):
            if frames is not None:
                good = frames.ndim == 5 and len(frames) == len(self.keyframes)
                _check(good, self, f"{name} [{len(self.keyframes)}, 3, T, H, W]", frames)
        if self.flow is not None:
            good = self.flow.ndim == 5 and len(self.flow) == len(self.keyframes)
            _check(good, self, f"flow [{len(self.keyframes)}, C, T, H, W]", self.flow)
        if self.labels is not None:
            _check(
                len(self.labels) == len(self.rois),
                self,
                f"labels [{len(self.rois)}, C]",
                self.labels,
            )
        if self.long_term is not None:
            count = len(self.keyframes)
            good = self.long_term.ndim == 3 and len(self.long_term) == count
            _check(good, self, f"long_term [{count}, L, D]", self.long_term)


@dataclass(repr=False)
class Detections(_ShapeRepr):
    """Holds the network's results for the persons of one keyframe.

    Attributes:
        boxes: Float32 [N, 4], xyxy, fractions of the frame.
        action_scores: Float32 [N, C], after the sigmoid, or after the softmax of a network of
            exclusive actions; column = action id - 1.
        person_scores: Float32 [N], the detector's confidence; 1 for ground truth.
        track_ids: Int64 [N], or None without tracking.
        keyframe: The keyframe that was classified.
    """

    boxes: Tensor
    action_scores: Tensor
    person_scores: Tensor
    track_ids: Tensor | None
    keyframe: Keyframe

    def __post_init__(self) -> None:
        count = len(self.boxes)
        _check(tuple(self.boxes.shape) == (count, 4), self, "boxes [N, 4]", self.boxes)
        good = self.action_scores.ndim == 2 and len(self.action_scores) == count
        _check(good, self, f"action_scores [{count}, C]", self.action_scores)
        _check(
            tuple(self.person_scores.shape) == (count,),
            self,
            f"person_scores [{count}]",
            self.person_scores,
        )
        if self.track_ids is not None:
            _check(
                tuple(self.track_ids.shape) == (count,),
                self,
                f"track_ids [{count}]",
                self.track_ids,
            )

    def to_supervision(self, label_map: Mapping[int, str] | None = None) -> Any:
        """Converts to supervision.Detections, with the highest-scored action of each person.

        Args:
            label_map: Action names by 1-based id.

        Returns:
            A supervision.Detections: xyxy in pixels, class_id the 1-based id of that action,
            confidence its score, tracker_id the track id; data has person_score, action_scores
            (all of them) and, with a label map, class_name.

        Raises:
            ValueError: supervision is not installed, or the keyframe has no frame_size.
        """
        try:
            import supervision
        except ImportError:
            raise ValueError(
                'to_supervision: not installed: pip install "ava_det[supervision]"'
            ) from None
        if self.keyframe.frame_size is None:
            raise ValueError("to_supervision: expected a keyframe with frame_size")
        width, height = self.keyframe.frame_size
        scores = self.action_scores.numpy()
        ids = (
            scores.argmax(axis=1) + 1
            if scores.size
            else torch.zeros(len(scores), dtype=torch.int64).numpy()
        )
        data: dict[str, Any] = {"person_score": self.person_scores.numpy(), "action_scores": scores}
        if label_map is not None:
            data["class_name"] = [
                label_map.get(int(action_id), str(action_id)) for action_id in ids
            ]
        return supervision.Detections(
            xyxy=(self.boxes * self.boxes.new_tensor([width, height, width, height])).numpy(),
            confidence=scores.max(axis=1) if scores.size else self.person_scores.numpy(),
            class_id=ids,
            tracker_id=None if self.track_ids is None else self.track_ids.numpy(),
            data=data,
        )
