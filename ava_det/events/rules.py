"""Defines what a rule is: of whom and what it waits for, and what is done when it happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ava_det.events.expression import Expression
from ava_det.formats.keyframe_records import PersonRecord

Point = tuple[float, float]  # x, y as fractions of the frame


@dataclass(frozen=True)
class JsonLine:
    """Adds a JSON line to a file, which is made where it is missing.

    Attributes:
        path: The file.
    """

    path: Path


@dataclass(frozen=True)
class SavePicture:
    """Writes the keyframe with its overlay as a PNG file.

    Attributes:
        folder: Where to.
    """

    folder: Path


@dataclass(frozen=True)
class SaveClip:
    """Writes the seconds around the event as an mp4 file.

    Attributes:
        folder: Where to.
        before: Seconds before the beginning of the event.
        after: Seconds after the keyframe at which it was found.
    """

    folder: Path
    before: float
    after: float


@dataclass(frozen=True)
class RunCommand:
    """Runs a program, without a shell.

    Attributes:
        arguments: The program and its arguments, in which {rule}, {video}, {time}, {persons},
            {picture} and {clip} are replaced.
        timeout: Seconds after which it is ended.
    """

    arguments: tuple[str, ...]
    timeout: float


@dataclass(frozen=True)
class PostWebhook:
    """Sends the event as JSON by a POST request.

    Attributes:
        url: http or https.
        timeout: Seconds for one attempt.
        retries: Further attempts after one that failed.
    """

    url: str
    timeout: float
    retries: int


Deed = JsonLine | SavePicture | SaveClip | RunCommand | PostWebhook


@dataclass(frozen=True)
class Rule:
    """Says when an event happens, and what is done then.

    Attributes:
        name: Of the rule.
        when: What a person does; None for anything.
        person_score: Persons with a lower score are not looked at.
        zone: Corners of a polygon; a person is in it by the middle of the lower edge of the box.
            None for the whole frame.
        count: The event is of so many persons at once; None for each person by itself.
        duration: Seconds for which it must hold.
        max_gap: Seconds for which it may fail in between.
        cooldown: Least seconds between two events of the rule, for a rule of single persons between
            two events of a person.
        do: What is done, in this order.
    """

    name: str
    when: Expression | None
    do: tuple[Deed, ...]
    person_score: float = 0.0
    zone: tuple[Point, ...] | None = None
    count: int | None = None
    duration: float = 0.0
    max_gap: float = 0.0
    cooldown: float = 0.0

    def matches(self, person: PersonRecord) -> bool:
        """Returns whether a person is sure enough, in the zone, and does what is waited for."""
        if person.score < self.person_score:
            return False
        if self.zone is not None:
            x1, _, x2, y2 = person.box
            if not contains(self.zone, ((x1 + x2) / 2, y2)):
                return False
        if self.when is None:
            return True
        return self.when.holds({action.action_id: action.score for action in person.actions})


def contains(polygon: Sequence[Point], point: Point) -> bool:
    """Returns whether a point is in a polygon, its edges included; it may have any shape.

    A line from the point to the right crosses the edge of the polygon an odd number of times where
    the point is inside.
    """
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        side = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        within = min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2)
        if abs(side) < 1e-12 and within:
            return True
        if (y1 > y) != (y2 > y) and x < x1 + (x2 - x1) * (y - y1) / (y2 - y1):
            inside = not inside
    return inside
