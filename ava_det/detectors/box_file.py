"""Writes a box file video by video, so that a stopped run loses only the video it was working on.

Beside `boxes.csv` stands `boxes.csv.parts/`. It holds a box file for each finished video, complete
or absent, `settings.json` with the options of the run, and `.work/`, who works on what. A part that
exists means that its video is done, also where nobody was found in it. The box file is the parts
one after the other, so it does not depend on which process made them, or when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ava_det.files import atomic_path
from ava_det.formats.annotations import write_boxes
from ava_det.jobs.settings import begin_job
from ava_det.structures import PersonBoxes


class BoxParts:
    """Manages the parts of one box file.

    Args:
        output: The box file. The folder of parts stands beside it.

    Attributes:
        output: See above.
        folder: Of the parts.
    """

    def __init__(self, output: str | Path) -> None:
        self.output = Path(output)
        self.folder = self.output.with_name(f"{self.output.name}.parts")
        self._settings = self.folder / "settings.json"

    def begin(self, settings: Mapping[str, str | float | None], is_alone: bool) -> None:
        """Starts a run, or continues one.

        Args:
            settings: The options of the run, by name.
            is_alone: Whether no other process works on the parts, so that other settings may
                replace those that no part was made with yet.

        Raises:
            ValueError: The folder holds parts that were made with other settings.
        """
        if is_alone and not any(self.folder.glob("*.csv")):
            self._settings.unlink(missing_ok=True)
        for name, before, now in begin_job(self._settings, settings):
            raise ValueError(
                f"{self.folder}: holds a run that was begun with {name} {before}, expected "
                f"{now}: go on with the same options, or remove the folder to start anew"
            )

    def has(self, video_id: str) -> bool:
        """Returns whether a video is done."""
        return self._part(video_id).is_file()

    def write(self, video_id: str, boxes: PersonBoxes) -> None:
        """Writes the boxes of all keyframes of a video, as `write_boxes` takes them."""
        write_boxes(self._part(video_id), boxes)

    def merge(self, video_ids: Iterable[str]) -> None:
        """Writes the box file from the parts of these videos, in the order of their ids.

        Raises:
            ValueError: A part is missing.
        """
        with atomic_path(self.output) as temporary, open(temporary, "wb") as file:
            for video_id in sorted(video_ids):
                if not self.has(video_id):
                    raise ValueError(
                        f"{self.folder}: expected the boxes of {video_id}, made by another "
                        "process: all machines of a run must share this folder"
                    )
                file.write(self._part(video_id).read_bytes())

    def remove(self) -> None:
        """Deletes the parts.

        The settings are deleted last, so that a run that is stopped meanwhile can be continued.
        """
        begun = self.folder.glob(".*.tmp")  # by processes that were killed
        for part in [*self.folder.glob("*.csv"), *begun]:
            part.unlink(missing_ok=True)
        self._settings.unlink(missing_ok=True)
        with suppress(OSError):  # another process has just come
            self.folder.rmdir()

    def _part(self, video_id: str) -> Path:
        return self.folder / f"{video_id}.csv"
