"""Scores clips: frames around a keyframe and its persons in, action scores out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ava_det.boxes import clip_boxes, normalize_boxes
from ava_det.data.clip_pixels import ClipPixels
from ava_det.data.clip_reader import ClipReader
from ava_det.data.feature_bank import FeatureBank
from ava_det.data.loader import collate
from ava_det.data.transforms import Augmentation, apply_augmentation
from ava_det.inference.batch import compute_features, predict_batch
from ava_det.structures import Clip, ClipBatch, Detections, Keyframe
from ava_det.video.pictures import resize_short_side
from ava_det.video.planes import rgb_to_planes
from ava_det.video.reader import TAGGED


class GivenPicture:
    """Holds a frame that a caller passed, as a `Picture`.

    Args:
        tick: Its place in the clip.
        frame: uint8 RGB [H, W, 3].
    """

    num_bytes = 0

    def __init__(self, tick: int, frame: np.ndarray) -> None:
        self.seconds = float(tick)
        self.derived: dict[Any, np.ndarray] = {}
        self._frame = frame

    def rgb(self, short_side: int | None, color: str = TAGGED, stored: bool = False) -> np.ndarray:
        """Returns the frame resized, see `Picture.rgb`."""
        return resize_short_side(self._frame, short_side)

    def planes(self, matrix: str) -> np.ndarray:
        """Returns the frame as planes, see `Picture.planes`."""
        return rgb_to_planes(self._frame, matrix)


class ClipScorer:
    """Scores the actions of persons in clips; keeps nothing of a video.

    Args:
        model: Is put into eval mode.
        clip_reader: Decides which frames around a keyframe the model sees.
        short_side: Of these frames, in pixels.
        to_device: Converts a uint8 batch to what the model reads, such as `normalize_batch`; for
            a long-term head it takes the bank as `bank`.
        num_classes: Columns of the action scores.
        precision: fp32, or bf16 by autocast.
        multilabel: See `predict_batch`.
    """

    def __init__(
        self,
        model: nn.Module,
        clip_reader: ClipReader,
        short_side: int,
        to_device: Callable[..., ClipBatch],
        num_classes: int,
        precision: str,
        multilabel: bool = True,
    ) -> None:
        self.model = model.eval()
        self.clip_reader = clip_reader
        self.short_side = short_side
        self._to_device = to_device
        self._num_classes = num_classes
        self._precision = precision
        self._multilabel = multilabel

    def score(
        self, clips: Sequence[tuple[ClipPixels, Keyframe]], size: tuple[int, int]
    ) -> list[Detections]:
        """Scores one batch.

        Args:
            clips: What the clip reader read, and the keyframe with its persons.
            size: Width and height of the pictures that the frames are resized from.

        Returns:
            One Detections per clip; clips without a person are not passed to the model.
        """
        made = [
            self._make_clip(pixels, keyframe, size)
            for pixels, keyframe in clips
            if len(keyframe.boxes)
        ]
        predictions = iter(self._predict(made) if made else ())
        nothing = torch.zeros(0, self._num_classes)
        return [
            next(predictions)
            if len(keyframe.boxes)
            else Detections(keyframe.boxes, nothing, keyframe.person_scores, None, keyframe)
            for _, keyframe in clips
        ]

    def compute_features(
        self, clips: Sequence[tuple[ClipPixels, Keyframe]], size: tuple[int, int]
    ) -> list[Tensor]:
        """Computes the features of the persons of one batch, for a bank; see `score`.

        Returns:
            Float32 [N, D] of each clip; each must have a person.
        """
        made = [self._make_clip(pixels, keyframe, size) for pixels, keyframe in clips]
        return compute_features(self.model, self._to_device(collate(made)), self._precision)

    def with_bank(self, bank: FeatureBank) -> ClipScorer:
        """Returns a scorer whose network, one with a long-term head, reads this bank."""
        return ClipScorer(
            self.model,
            self.clip_reader,
            self.short_side,
            partial(self._to_device, bank=bank),
            self._num_classes,
            self._precision,
            self._multilabel,
        )

    def _predict(self, clips: Sequence[Clip]) -> list[Detections]:
        batch = self._to_device(collate(clips))
        return predict_batch(self.model, batch, self._precision, multilabel=self._multilabel)

    def score_frames(self, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Scores persons whose boxes are known, as `Predictor.predict_clip` does."""
        frames = np.asarray(frames)
        if (
            frames.dtype != np.uint8
            or frames.ndim != 4
            or frames.shape[3] != 3
            or len(frames) != self.num_ticks
        ):
            raise ValueError(
                f"frames: expected uint8 [{self.num_ticks}, H, W, 3] ({self.clip_fps:g} a second), "
                f"received {frames.dtype} {list(frames.shape)}"
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
        fractions = normalize_boxes(clip_boxes(pixels, width, height), width, height)
        keyframe = Keyframe(
            "clip", 0.0, fractions, None, torch.ones(len(fractions)), (width, height)
        )
        ticks = range(-(self.num_ticks // 2), -(self.num_ticks // 2) + self.num_ticks)
        given = dict(zip(ticks, map(GivenPicture, ticks, frames), strict=True))
        seen = self.clip_reader.convert(given, self.short_side, (width, height))
        clip = self._make_clip(seen, keyframe, (width, height))
        return self._predict([clip])[0].action_scores.numpy()

    @property
    def num_ticks(self) -> int:
        """Returns how many frames `score_frames` needs, `clip_fps` of them a second."""
        return self.clip_reader.num_ticks

    @property
    def clip_fps(self) -> float:
        """Returns the ticks per second."""
        return self.clip_reader.clip_fps

    def _make_clip(self, pixels: ClipPixels, keyframe: Keyframe, size: tuple[int, int]) -> Clip:
        boxes = self.clip_reader.place_boxes(keyframe.boxes, *size, self.short_side)
        view = Augmentation(self.short_side)
        pixels, pixel_boxes = apply_augmentation(pixels, boxes, view, torch.Generator())
        return self.clip_reader.make_clip(pixels, pixel_boxes, keyframe)
