"""Makes the data of a page: keyframes as flat arrays of whole numbers, which gzip well.

`detections.js` reads them. Ten hours of keyframes with three persons are two megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ava_det.formats.keyframe_records import KeyframeRecord
from ava_det.segments import Segment
from ava_det.tracking.linker import MAX_GAP_SECONDS, MAX_HOLD_SECONDS
from ava_det.viewer.truth import Truth
from ava_det.visualization import shorten_names
from ava_det.visualization.panel import PERSON_COLORS, group_color

BOX_SCALE = 10_000  # steps of a box's position over the frame: a third of a pixel of 4K
SCORE_SCALE = 1000
FRAME_SCALE = 10_000  # steps of a frame's time over a second


@dataclass(frozen=True)
class VideoFacts:
    """Describes a video for its page.

    Attributes:
        address: Of the file, relative to the page; None for a video that no browser plays.
        name: Of the file or folder.
        width: Of the upright picture with square pixels, in pixels.
        height: Likewise.
        duration: Seconds from the first frame to the end.
        fps: Average frames a second.
        delay: Seconds from the start of the file, its sound included, to its first frame.
        frames: Seconds of all frames since the first one; None where they come at `fps`.
    """

    address: str | None
    name: str
    width: int
    height: int
    duration: float
    fps: float
    delay: float
    frames: Sequence[float] | None = None


def make_content(
    records: Sequence[KeyframeRecord],
    segments: Sequence[Segment],
    video: VideoFacts,
    thumbnails: Sequence[tuple[float, str]] = (),
    truth: Truth | None = None,
) -> dict[str, Any]:
    """Makes the data of the page of one video.

    Args:
        records: Its keyframes, in order of time.
        segments: Its segments.
        video: Its file.
        thumbnails: Seconds since the first frame, and a picture as a `data:` address.
        truth: How the keyframes compare with ground truth.
    """
    persons = [person for record in records for person in record.persons]
    actions = [action for person in persons for action in person.actions]
    names = {action.action_id: action.name for action in actions}
    names |= truth.names if truth else {}
    return {
        "source": video.address,
        "sourceName": video.name,
        "width": video.width,
        "height": video.height,
        "duration": round(video.duration, 6),
        "fps": round(video.fps, 6),
        "delay": round(video.delay, 6),
        "frameScale": FRAME_SCALE,
        "frameSteps": _find_steps(video.frames),
        "maxGap": MAX_GAP_SECONDS,
        "maxHold": MAX_HOLD_SECONDS,
        "boxScale": BOX_SCALE,
        "scoreScale": SCORE_SCALE,
        "personColors": [css_color(color) for color in PERSON_COLORS],
        "actions": describe_actions(names),
        "times": [record.time for record in records],
        "counts": [len(record.persons) for record in records],
        "tracks": [person.track_id or 0 for person in persons],
        "boxes": [round(value * BOX_SCALE) for person in persons for value in person.box],
        "scores": [round(person.score * SCORE_SCALE) for person in persons],
        "actionCounts": [len(person.actions) for person in persons],
        "actionIds": [action.action_id for action in actions],
        "actionScores": [round(action.score * SCORE_SCALE) for action in actions],
        "segments": [
            [one.track, one.action_id, one.start, one.end, round(one.mean, 3), round(one.max, 3)]
            for one in segments
        ],
        "thumbnails": list(thumbnails),
        "statuses": truth.statuses if truth else None,
        "truth": truth.describe() if truth else None,
    }


def _find_steps(frames: Sequence[float] | None) -> list[int] | None:
    """Returns the steps from frame to frame: small numbers, many of them the same, gzip well."""
    if frames is None:
        return None
    times = [round(seconds * FRAME_SCALE) for seconds in frames]
    return [after - before for before, after in pairwise(times)]


def describe_actions(names: Mapping[int, str]) -> list[tuple[int, str, str]]:
    """Lists actions by their ids: id, short name, and the color of its bar in the overlay."""
    short = shorten_names(names)
    return [(i, short[i], css_color(group_color(i))) for i in sorted(names)]


def css_color(color: tuple[int, int, int]) -> str:
    """Formats an RGB color for a style sheet."""
    return "#{:02x}{:02x}{:02x}".format(*color)
