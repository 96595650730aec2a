"""Makes tubes of persons who have track ids already: persons are linked, not classes.

Linking by class, as ACT and YOWO do, loses a person wherever the score of the class drops. Here a
person's boxes are one track whatever the scores; per track and action the score over time is then
trimmed by hysteresis, and each stretch that is left is a tube. A track is kept only while it lasts,
so that memory does not grow with the video.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ava_det.linking.trimming import trim_by_hysteresis
from ava_det.linking.tube import LinkedTube, interpolate_rows


class TrackedFrame(NamedTuple):
    """Holds the persons of one frame.

    Attributes:
        frame: Its number, from 1.
        track_ids: Int [N], distinct.
        boxes: [N, 4], xyxy in pixels.
        scores: [N, C], of each action.
    """

    frame: int
    track_ids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


class TrackRule(NamedTuple):
    """Says how the tubes of a track are found.

    Attributes:
        high: The score that a tube must reach on a frame, of all labels or one for each.
        low: The score at which it begins and ends, likewise.
        max_gap: Frames. A person not seen for longer is another track, and two stretches at most so
            far apart are one tube.
        min_frames: Shorter tubes are left out.
        smooth: Frames over which the scores of a track are averaged before they are trimmed, 1 for
            none; an odd number.
    """

    # chosen on rendered videos that no study scores, see docs/tube_linking.md
    high: float | tuple[float, ...] = 0.2
    low: float | tuple[float, ...] = 0.1
    max_gap: int = 25
    min_frames: int = 15
    smooth: int = 1


DEFAULT_RULE = TrackRule()


class TrackCollector:
    """Collects the frames of one video, and makes the tubes of each track when it ends.

    Between two frames on which a person is seen, boxes and scores change in a straight line.

    Args:
        rule: How tubes are found.

    Raises:
        ValueError: `low` is above `high`, or `smooth` is even.
    """

    def __init__(self, rule: TrackRule = DEFAULT_RULE) -> None:
        if rule.smooth < 1 or rule.smooth % 2 == 0:
            raise ValueError(
                f"linking: expected an odd number to smooth by, received {rule.smooth}"
            )
        if np.any(np.asarray(rule.low) > np.asarray(rule.high)):
            raise ValueError(f"linking: expected low <= high, received {rule.low} and {rule.high}")
        self._rule = rule
        self._tracks: dict[int, list[np.ndarray]] = {}
        self._frame = 0

    def add(self, frame: TrackedFrame) -> list[tuple[int, LinkedTube]]:
        """Adds a frame; returns label and tube of what ended before it.

        Raises:
            ValueError: Its number is not above that of the frame before, or two of its persons have
                one track id.
        """
        if frame.frame <= self._frame:
            raise ValueError(
                f"linking: expected a frame after {self._frame}, received {frame.frame}"
            )
        if len(np.unique(frame.track_ids)) != len(frame.track_ids):
            raise ValueError(
                f"linking: expected distinct track ids on frame {frame.frame}, received "
                f"{frame.track_ids.tolist()}"
            )
        self._frame = frame.frame
        ended: list[tuple[int, LinkedTube]] = []
        for track_id, parts in list(self._tracks.items()):
            if frame.frame - parts[-1][0] > self._rule.max_gap:
                ended += trim_track(np.stack(self._tracks.pop(track_id)), self._rule)
        numbers = np.full((len(frame.boxes), 1), frame.frame, np.float64)
        rows = np.concatenate([numbers, frame.boxes, frame.scores], axis=1)
        for track_id, row in zip(frame.track_ids.tolist(), rows, strict=True):
            self._tracks.setdefault(track_id, []).append(row)
        return ended

    def finish(self) -> list[tuple[int, LinkedTube]]:
        """Ends the video; returns label and tube of the tracks that were left."""
        tracks = list(self._tracks.values())
        self._tracks = {}
        return [tube for parts in tracks for tube in trim_track(np.stack(parts), self._rule)]


def link_tracks(
    frames: Iterable[TrackedFrame], rule: TrackRule = DEFAULT_RULE
) -> Iterator[tuple[int, LinkedTube]]:
    """Makes the tubes of one video.

    Args:
        frames: In rising order of their numbers; frames may be missing, as with keyframes that are
            not dense.
        rule: How tubes are found.

    Yields:
        The label, from 0, and the tube, in the order in which tracks end. The score of a tube is
        the mean score of its boxes.

    Raises:
        ValueError: As in `TrackCollector`.
    """
    collector = TrackCollector(rule)
    for frame in frames:
        yield from collector.add(frame)
    yield from collector.finish()


def trim_track(rows: np.ndarray, rule: TrackRule) -> Iterator[tuple[int, LinkedTube]]:
    """Makes the tubes of one track.

    Args:
        rows: [n, 5 + C]: frame, rising, box, and the score of each action.
        rule: How tubes are found.

    Yields:
        As `link_tracks`, by rising label.
    """
    rows = interpolate_rows(rows)
    scores = _smooth(rows[:, 5:], rule.smooth)
    highs, lows = (np.broadcast_to(level, scores.shape[1]) for level in (rule.high, rule.low))
    for label in np.flatnonzero(scores.max(axis=0) >= highs).tolist():
        signal = scores[:, label]
        levels = float(highs[label]), float(lows[label])
        for start, stop in trim_by_hysteresis(signal, *levels, rule.min_frames, rule.max_gap):
            columns = rows[start:stop, :5], signal[start:stop, None]
            yield label, LinkedTube(float(signal[start:stop].mean()), np.concatenate(columns, 1))


def _smooth(scores: np.ndarray, width: int) -> np.ndarray:
    """Averages each column [n] over the `width` rows around each row, fewer at both ends."""
    if width == 1:
        return scores
    half = width // 2
    sums = np.concatenate([np.zeros((1, scores.shape[1])), scores.cumsum(axis=0)])
    last = np.minimum(np.arange(len(scores)) + half + 1, len(scores))
    first = np.maximum(np.arange(len(scores)) - half, 0)
    averages: np.ndarray = (sums[last] - sums[first]) / (last - first)[:, None]
    return averages
