"""What an export of CVAT says about one video."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

# what a select or text attribute says where nobody has chosen
NOTHING_CHOSEN = ("", "__undefined__")
LeftOut = Counter[tuple[str, str]]


class CvatAttribute(NamedTuple):
    """Holds what a label's attribute is: its input type, its values, and the one set by default."""

    kind: str
    values: tuple[str, ...]
    default: str


# by label and attribute
Attributes = dict[tuple[str, str], CvatAttribute]


class CvatBox(NamedTuple):
    """Holds a person on one frame.

    Attributes:
        corners: xyxy, in pixels.
        is_keyframe: Whether it was drawn by hand, not interpolated.
        attributes: Names and values.
    """

    frame: int
    corners: tuple[float, float, float, float]
    is_keyframe: bool
    attributes: tuple[tuple[str, str], ...]
    line: int


@dataclass
class CvatTrack:
    """Holds the boxes of one person, or of one action of a person, by frame.

    track_id: None for a box of an export for images, which does not say whom else it shows.
    """

    track_id: int | None
    label: str
    boxes: list[CvatBox]


@dataclass
class CvatTask:
    """Holds what an export says about one video.

    frames: those the annotators saw, None where the file does not say; size: (width, height) in
    pixels, likewise. attributes: by label and name, as the file declares them. labels: those that
    may be drawn as boxes. left_out: (kind of shape, label) -> how many shapes were no upright
    boxes.
    """

    path: str
    video_id: str
    frames: range | None
    size: tuple[int, int] | None
    attributes: Attributes
    labels: list[str]
    first_frame: int = 0  # the number the export gives to the video's frame 0
    tracks: list[CvatTrack] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=Counter)

    @property
    def last_frame(self) -> int:
        """Returns the last frame of the task, or without one the last frame that has a box."""
        return (
            self.frames[-1]
            if self.frames
            else max((box.frame for t in self.tracks for box in t.boxes), default=0)
        )

    @property
    def is_of_images(self) -> bool:
        """Returns whether the export was one for images, which has boxes without tracks."""
        return any(track.track_id is None for track in self.tracks)
