"""Defines the form of prepared videos: frame rate, size and key pictures."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

CRF = 18  # closer to the source than JPEG at quality 1, measured
WINDOW_START = Fraction(32, 30)  # seconds from the first of a clip's 64 ticks to its keyframe


@dataclass(frozen=True)
class Form:
    """Describes the form of a prepared video.

    Attributes:
        fps: Frames per second, a whole number.
        short_side: Pixels of the shorter side; smaller videos are not enlarged.
    """

    fps: int = 15
    short_side: int = 320

    @property
    def key_phase(self) -> int:
        """Returns which frames are key pictures: those whose number modulo fps is this."""
        return math.floor(-WINDOW_START * self.fps) % self.fps

    def tag(self, source: Path, stream: int | None) -> str:
        """Describes a prepared video in its metadata: the form, and the source it was made from.

        Args:
            source: The file.
            stream: Its video stream as the user chose it; None for the default one.

        Returns:
            A JSON object, the same for the same form and source.
        """
        facts = {"fps": self.fps, "short_side": self.short_side, "crf": CRF}
        facts |= {} if stream is None else {"stream": stream}
        return json.dumps({**facts, "source": source.name, "source_bytes": source.stat().st_size})
