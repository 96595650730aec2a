"""A video in, Detections out: persons at every keyframe, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ava_det.annotations import timestamp_key
from ava_det.data.dataset import ClipReader
from ava_det.data.frame_folder import open_video
from ava_det.data.loader import collate
from ava_det.data.reader import FrameReader
from ava_det.data.transforms import View, apply_view
from ava_det.detectors import PersonDetector
from ava_det.person_boxes import NUM_SAMPLES, PersonBoxes, find_persons, keyframe_grid
from ava_det.prediction import predict_batch
from ava_det.structures import Clip, ClipBatch, Detections, Keyframe
from ava_det.tracking import TrackLinker


class Predictor:
    """Runs a trained model over whole videos.

    persons: a detector, or the boxes of a file (`load_boxes`); then the file's timestamps are the keyframes.
    clip_reader, short_side: which frames around a keyframe the model sees, and how large (pixels).
    to_device: makes a uint8 batch what the model reads, as `normalise_batch`. The model is put into eval mode.
    num_classes: columns of the action scores. min_person_score: persons below are left out.
    start_second: what the first frame of a video is worth. batch_size: keyframes that go through the model together.
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
        self._persons = persons
        self._clip_reader = clip_reader
        self._view = View(short_side)
        self._to_device = to_device
        self._num_classes = num_classes
        self._min_person_score = min_person_score
        self._start_second = start_second
        self._batch_size = batch_size
        self._precision = precision

    def __call__(self, video: str | Path, every: float = 1.0) -> Iterator[Detections]:
        """Detections of every keyframe of a video, in order, with track ids; also of those without a person.

        every: seconds between keyframes, the first of which is the first frame; not read when boxes come from a file.
        The video is decoded in one pass, and memory does not grow with its length.
        Raises VideoError for a file that cannot be read, ValueError for a box file that does not fit the video.
        """
        linker = TrackLinker()
        video_id = Path(video).stem
        with open_video(video, self._start_second) as reader:
            if isinstance(self._persons, PersonDetector):
                self._persons.begin_video(reader.sample(NUM_SAMPLES))
                timestamps: Iterable[float] = keyframe_grid(self._start_second, reader.find_end(), every)
            else:
                timestamps = self._timestamps_of_boxes(reader, video_id, self._persons)
            pending: list[Clip] = []
            for timestamp in timestamps:
                pending.append(self._read_clip(reader, video_id, timestamp))
                if len(pending) == self._batch_size:
                    yield from map(linker.link, self._predict(pending))
                    pending = []
            yield from map(linker.link, self._predict(pending))

    def _timestamps_of_boxes(self, reader: FrameReader, video_id: str, boxes: PersonBoxes) -> Sequence[float]:
        """The keyframes of this video in a box file."""
        own = sorted(float(key) for name, key in boxes if name == video_id)
        if not own:
            raise ValueError(
                f"the box file has no row of video id {video_id} (the video's file name without extension)"
            )
        first, last = self._start_second, reader.find_end()
        inside = [timestamp for timestamp in own if first <= timestamp <= last]
        if not inside:
            raise ValueError(
                f"the boxes of {video_id} are of seconds {own[0]:g}..{own[-1]:g}, expected {first:g}..{last:g} as in "
                "the video (data.start_second is what its first frame is worth)"
            )
        return inside

    def _read_clip(self, reader: FrameReader, video_id: str, timestamp: float) -> Clip:
        # the clip first: it begins before the keyframe, and a reader that has gone past it would have to seek back
        frames = self._clip_reader.read_frames(reader, timestamp, self._view.short_side)
        boxes, scores = self._find_persons(reader, video_id, timestamp)
        sure = scores >= self._min_person_score
        keyframe = Keyframe(video_id, timestamp, boxes[sure], None, scores[sure])
        seen = self._clip_reader.place_boxes(keyframe.boxes, reader.width, reader.height, self._view.short_side)
        frames, pixel_boxes = apply_view(frames, seen, self._view, torch.Generator())
        return self._clip_reader.make_clip(frames, pixel_boxes, keyframe)

    def _find_persons(self, reader: FrameReader, video_id: str, timestamp: float) -> tuple[Tensor, Tensor]:
        """Boxes float32 [N, 4] as fractions of the frame, and person scores [N]."""
        if not isinstance(self._persons, PersonDetector):
            return self._persons[video_id, timestamp_key(timestamp)]
        return find_persons(self._persons, reader, timestamp)

    def _predict(self, clips: list[Clip]) -> list[Detections]:
        """One Detections per clip; those without a person never reach the model."""
        peopled = [clip for clip in clips if len(clip.boxes)]
        found = iter(predict_batch(self._model, self._to_device(collate(peopled)), self._precision) if peopled else ())
        nothing = torch.zeros(0, self._num_classes)
        return [
            next(found)
            if len(clip.boxes)
            else Detections(clip.keyframe.boxes, nothing, clip.keyframe.person_scores, None, clip.keyframe)
            for clip in clips
        ]
