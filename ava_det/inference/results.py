"""Holds what a Predictor found in a video: a sequence, a table, and a page in a notebook."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, overload

import cv2
import numpy as np

from ava_det.formats.keyframe_records import KeyframeRecord, make_records
from ava_det.messages.counts import format_count
from ava_det.segments import Segment, SegmentRules, find_segments
from ava_det.structures import Detections
from ava_det.video.folder import open_video
from ava_det.video.reader import VideoError
from ava_det.visualization import ContactSheet

if TYPE_CHECKING:
    import pandas
    import polars

MAX_ROWS = 20  # of the table in a notebook
MAX_LOOKED_AT = 48  # keyframes of which a contact sheet chooses
TOPK = 3  # actions drawn for a person


class VideoResults(Sequence[Detections]):
    """Holds the detections of every keyframe of a video, in order of time.

    A notebook shows it as a contact sheet and a table of segments.

    Args:
        detections: With track ids.
        video: The file or folder of frames.
        label_map: Action names by 1-based id.
        thresholds: By 1-based id, the score from which an action is shown.
        start_second: Annotation time, in seconds, of the video's first frame.
        stream: Which of several video streams, see `VideoReader`.
    """

    def __init__(
        self,
        detections: Iterable[Detections],
        video: str | Path,
        label_map: Mapping[int, str],
        thresholds: Mapping[int, float],
        start_second: float,
        stream: int | None = None,
    ) -> None:
        self._detections = list(detections)
        self._video = Path(video)
        self._label_map = label_map
        self._thresholds = thresholds
        self._start_second = start_second
        self._stream = stream

    @overload
    def __getitem__(self, index: int) -> Detections: ...

    @overload
    def __getitem__(self, index: slice) -> VideoResults: ...

    def __getitem__(self, index: int | slice) -> Detections | VideoResults:
        """Returns the detections of a keyframe, or the results of a stretch of keyframes."""
        if isinstance(index, int):
            return self._detections[index]
        return VideoResults(
            self._detections[index],
            self._video,
            self._label_map,
            self._thresholds,
            self._start_second,
            self._stream,
        )

    def __len__(self) -> int:
        """Returns the number of keyframes."""
        return len(self._detections)

    def __repr__(self) -> str:
        """Says what it holds in a line."""
        persons = sum(len(one.boxes) for one in self._detections)
        held = f"{format_count(len(self), 'keyframe')}, {format_count(persons, 'person')}"
        return f"VideoResults({str(self._video)!r}: {held})"

    def segments(self, max_gap: float = 0.0, min_duration: float = 0.0) -> list[Segment]:
        """Finds who did what from when to when, by the thresholds of the actions.

        Args:
            max_gap: See `SegmentRules`.
            min_duration: See `SegmentRules`.
        """
        rules = SegmentRules(self._thresholds, {}, max_gap, min_duration)
        return find_segments(self._records(self._thresholds), rules)

    def to_polars(self, min_score: float | None = None) -> polars.DataFrame:
        """Makes a table with a row for each person and action.

        Args:
            min_score: The score from which an action has a row; None for the thresholds of the
                actions. A person without an action has a row with none.

        Returns:
            A polars.DataFrame: video, time (seconds of the file), timestamp, track, person_score,
            x1, y1, x2, y2 (fractions of the frame), action_id, action, score.
        """
        from ava_det.formats.keyframe_table import list_rows, make_table

        least = self._thresholds if min_score is None else dict.fromkeys(self._label_map, min_score)
        return make_table(row for record in self._records(least) for row in list_rows(record))

    def to_pandas(self, min_score: float | None = None) -> pandas.DataFrame:
        """Makes the table of `to_polars` as a pandas.DataFrame."""
        import pandas as pd

        table = self.to_polars(min_score)
        return pd.DataFrame({name: table[name].to_list() for name in table.columns})

    def draw_sheet(self) -> np.ndarray:
        """Draws a contact sheet: uint8 RGB [H, W, 3].

        It reads up to 48 keyframes spread evenly over the video, and shows up to twelve of them.

        Raises:
            VideoError: The video cannot be read any more.
            ValueError: There is no keyframe.
        """
        sheet = ContactSheet(self._label_map, self._thresholds, TOPK)
        step = max(math.ceil(len(self) / MAX_LOOKED_AT), 1)
        with open_video(self._video, self._start_second, self._stream) as reader:
            for one in self._detections[::step]:
                moment = one.keyframe.timestamp
                sheet.add(reader.read([moment])[0], one, moment - self._start_second)
        return sheet.draw()

    def _records(self, thresholds: Mapping[int, float]) -> Iterable[KeyframeRecord]:
        return make_records(self._detections, self._label_map, thresholds, self._start_second)

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: a contact sheet, and a table of the longest segments."""
        try:
            png = cv2.imencode(".png", cv2.cvtColor(self.draw_sheet(), cv2.COLOR_RGB2BGR))[1]
            data = base64.b64encode(png.tobytes()).decode()
            picture = (
                f'<img alt="contact sheet of {escape(self._video.name)}" '
                f'style="max-width: 100%" src="data:image/png;base64,{data}">'
            )
        except (VideoError, ValueError) as error:  # it was moved, or there is no keyframe
            picture = f"<p>{escape(str(error))}</p>"
        segments = sorted(self.segments(), key=lambda one: (-one.frames, one.start))
        return f"<div><p>{escape(repr(self))}</p>{picture}{_format_table(segments)}</div>"


def _format_table(segments: Sequence[Segment]) -> str:
    """Formats the longest segments as an HTML table."""
    if not segments:
        return "<p>No action reaches its threshold.</p>"
    head = "".join(f"<th>{name}</th>" for name in ("person", "action", "from", "to", "mean score"))
    rows = [
        f"<tr><td>#{one.track}</td><td>{escape(one.action)}</td><td>{one.start:.1f} s</td>"
        f"<td>{one.end:.1f} s</td><td>{one.mean:.2f}</td></tr>"
        for one in segments[:MAX_ROWS]
    ]
    left = len(segments) - len(rows)
    more = f"<p>{left} shorter ones: <code>segments()</code></p>" if left else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"
