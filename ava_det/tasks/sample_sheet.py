"""Draws some keyframes of an evaluation, as labeled beside as predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from ava_det.files import atomic_path
from ava_det.formats.annotations import format_timestamp
from ava_det.structures import Detections, Keyframe
from ava_det.video.folder import open_video
from ava_det.video.reader import VideoError
from ava_det.visualization import Overlay
from ava_det.visualization.panel import PANEL_COLOR
from ava_det.visualization.text import put_text

WIDTH = 480  # pixels of one picture
CAPTION = 24
GAP = 8
TEXT = 14
CAPTION_COLOR = (215, 220, 230)


class SampleSheet:
    """Draws keyframes, spread evenly over those with detections, each as a pair of pictures.

    Args:
        videos: Video id -> file.
        start_second: Annotation time, in seconds, of each video's first frame.
        labeled: Keyframes with labels; another one is drawn beside an unmarked frame.
        label_map: Action id, from 1 -> name.
        num_samples: Number of keyframes.
        threshold: Actions with a lower score are not drawn.
    """

    def __init__(
        self,
        videos: Mapping[str, Path],
        start_second: float,
        labeled: Sequence[Keyframe],
        label_map: Mapping[int, str],
        num_samples: int = 8,
        threshold: float = 0.3,
    ):
        self._videos = videos
        self._start_second = start_second
        self._label_map = label_map
        self._labeled = {(keyframe.video_id, keyframe.timestamp): keyframe for keyframe in labeled}
        self._num_samples = num_samples
        self._threshold = threshold

    def save(self, detections: Sequence[Detections], path: str | Path) -> None:
        """Writes the sheet as a PNG.

        Args:
            detections: Of an evaluation. A keyframe that cannot be read is left out; without any,
                nothing is written.
            path: The PNG.
        """
        shown = [detection for detection in detections if len(detection.boxes)]
        places = (
            np.linspace(0, len(shown) - 1, min(self._num_samples, len(shown))).round().astype(int)
        )
        pairs = [pair for place in places if (pair := self._draw_pair(shown[place])) is not None]
        if not pairs:
            return
        height = max(pair.shape[0] for pair in pairs)
        rows = [_pad(pair, height) for pair in pairs]
        if len(rows) % 2:
            rows.append(np.full_like(rows[0], PANEL_COLOR))
        sheet = np.vstack([np.hstack(rows[index : index + 2]) for index in range(0, len(rows), 2)])
        data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1]
        with atomic_path(path) as temporary:
            Path(temporary).write_bytes(data.tobytes())

    def _draw_pair(self, detections: Detections) -> np.ndarray | None:
        """Draws labels left, predictions right, as RGB uint8; None if the frame is not readable."""
        keyframe = detections.keyframe
        moment = keyframe.video_id, keyframe.timestamp
        try:
            with open_video(self._videos[keyframe.video_id], self._start_second) as reader:
                frame = reader.read([keyframe.timestamp])[0]
        except VideoError:
            return None
        frame = cv2.resize(
            frame,
            (WIDTH, round(WIDTH * frame.shape[0] / frame.shape[1])),
            interpolation=cv2.INTER_AREA,
        )
        left = frame
        if moment in self._labeled:
            left = Overlay(self._label_map, 0.5).draw(frame, _as_detections(self._labeled[moment]))
        right = Overlay(self._label_map, self._threshold).draw(frame, detections)
        pair = np.full(
            (frame.shape[0] + CAPTION + GAP, 2 * (WIDTH + GAP), 3), PANEL_COLOR, np.uint8
        )
        pair[: frame.shape[0], :WIDTH] = left
        pair[: frame.shape[0], WIDTH + GAP // 2 : -GAP - GAP // 2] = right
        where = f"{keyframe.video_id} at {format_timestamp(keyframe.timestamp)}"
        put_text(pair, f"labels: {where}", 4, frame.shape[0] + 17, CAPTION_COLOR, TEXT)
        put_text(pair, "predictions", WIDTH + GAP, frame.shape[0] + 17, CAPTION_COLOR, TEXT)
        return pair


def _as_detections(keyframe: Keyframe) -> Detections:
    """Returns labels as detections with scores 0 and 1."""
    labels = torch.zeros(len(keyframe.boxes), 0) if keyframe.labels is None else keyframe.labels
    return Detections(keyframe.boxes, labels, torch.ones(len(keyframe.boxes)), None, keyframe)


def _pad(picture: np.ndarray, height: int) -> np.ndarray:
    padded = np.full((height, *picture.shape[1:]), PANEL_COLOR, np.uint8)
    padded[: picture.shape[0]] = picture
    return padded
