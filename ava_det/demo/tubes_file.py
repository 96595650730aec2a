"""Writes the tubes of a video while it is watched."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from ava_det.files import atomic_path
from ava_det.formats.tubes import Tube, write_tubes
from ava_det.formats.tubes.frame_table import VideoFrames
from ava_det.linking.track_tubes import TrackRule
from ava_det.linking.tube import LinkedTube
from ava_det.linking.video import LinkingOptions, PersonLinker
from ava_det.structures import Detections
from ava_det.video.reader import FrameReader
from ava_det.video.sources import video_id_of

GAP_SECONDS = 1.0  # between two boxes of one track, and two stretches of one tube
MIN_SECONDS = 0.5


class TubesFile:
    """Writes each tube of the persons of a video as its track ends; use it in a `with` block.

    Only persons who are still seen are kept in memory, and the file takes its name when it is
    closed. A tube is a stretch in which an action of a person stays at half of its threshold or
    above, and reaches the threshold.

    Args:
        path: The file, JSON lines (`ava_det.formats.tubes`).
        reader: The video.
        label_map: Names by action id; the labels of tubes count its actions from 0, by rising id.
        thresholds: Action id -> the score that a tube must reach.
        every: Seconds between keyframes.
    """

    def __init__(
        self,
        path: Path,
        reader: FrameReader,
        label_map: Mapping[int, str],
        thresholds: Mapping[int, float],
        every: float,
    ) -> None:
        self._path = path
        ids = sorted(label_map)
        self._names = [label_map[action_id] for action_id in ids]
        fps = Fraction(reader.fps).limit_denominator(1_000_000)
        name = video_id_of(reader.path)
        # an end is not known before the video was read
        self._video = VideoFrames(name, name, fps, 1, reader.width, reader.height)
        gap = round(max(GAP_SECONDS, 1.5 * every) * float(fps))
        highs = tuple(thresholds[action_id] for action_id in ids)
        self._linker = PersonLinker(
            self._video,
            LinkingOptions(
                "tracks",
                [action_id - 1 for action_id in ids],
                start_second=reader.start_second,
                min_frames=max(1, round(MIN_SECONDS * float(fps))),
                rule=TrackRule(highs, tuple(high / 2 for high in highs), max_gap=gap),
            ),
        )
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            temporary = opened.enter_context(atomic_path(self._path))
            self._file = opened.enter_context(open(temporary, "wb"))
            self._part = Path(opened.enter_context(TemporaryDirectory())) / "part.jsonl"
            self._open = opened.pop_all()
        return self

    def write(self, detections: Detections) -> None:
        """Adds the detections of a keyframe, which have track ids."""
        self._append(self._linker.add(detections))

    def _append(self, linked: Iterable[tuple[int, LinkedTube]]) -> None:
        tubes = [
            Tube(
                self._video.name,
                label,
                tube.rows[:, 0].astype("int64"),
                tube.rows[:, 1:5],
                tube.score,
                tube.rows[:, 5],
            )
            for label, tube in linked
        ]
        if tubes:
            write_tubes(self._part, tubes, self._names)
            content = self._part.read_bytes()
            self._file.write(gzip.compress(content) if self._path.suffix == ".gz" else content)

    def __exit__(self, *error: Any) -> None:
        try:
            if error[0] is None:
                self._append(self._linker.finish())
        finally:
            self._open.__exit__(*error)
