"""Moves the rows of AVA-Kinetics from the times of whole videos into the clips of Kinetics.

A row of kinetics_train_v1.0.csv has the id of a YouTube video and seconds from that video's begin.
What one has of it is a clip of ten seconds, ID_000012_000022.mp4: its seconds 12 to 22. The row
becomes one of the video ID_000012_000022, its time counted from the clip's first frame, as the
movies of AVA count theirs where `data.start_second` is 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ava_det.formats.ava_csv import AvaRows
from ava_det.video.sources import video_id_of

_NAME = re.compile(r"(?P<video>.+)_(?P<start>\d{6})_(?P<end>\d{6})", re.ASCII)


class Clip(NamedTuple):
    """Describes a clip by its name.

    Attributes:
        name: Its id: the name of its file without the extension.
        start: The second of the whole video at which it begins.
        end: The second at which it ends.
    """

    name: str
    start: int
    end: int

    def find_margin(self, seconds: float) -> float:
        """Returns how far a time of the whole video lies inside, in seconds; below 0 outside."""
        return min(seconds - self.start, self.end - seconds)


class MatchedRows(NamedTuple):
    """Holds rows in the times of clips, and what has no clip.

    Attributes:
        rows: The rows, in the order of the file.
        missing_videos: Ids of videos without any clip.
        outside: The number of keyframes of other videos that lie in none of their clips.
    """

    rows: AvaRows
    missing_videos: list[str]
    outside: int


def group_clips(paths: Iterable[Path]) -> dict[str, list[Clip]]:
    """Reads the names of clips, by the id of the whole video; other names are passed over."""
    clips: dict[str, list[Clip]] = {}
    for path in paths:
        name = video_id_of(path)
        if found := _NAME.fullmatch(name):
            clip = Clip(name, int(found["start"]), int(found["end"]))
            if clip.start < clip.end:
                clips.setdefault(found["video"], []).append(clip)
    return clips


def match_clips(rows: AvaRows, clips: Mapping[str, list[Clip]]) -> MatchedRows:
    """Gives each keyframe to the clip that has most of its surroundings.

    A clip has the times from its start to before its end. Parts of a video may be in several clips,
    of which one gets the keyframe, so that none is trained on or scored twice.

    Args:
        rows: Rows with times of whole videos.
        clips: The clips that are there.
    """
    keys = np.stack([rows.video_index.astype(np.float64), rows.timestamps], axis=1)
    keyframes, of_row = np.unique(keys, axis=0, return_inverse=True)
    names: dict[str, int] = {}
    number = np.full(len(keyframes), -1, np.int32)
    start = np.zeros(len(keyframes))
    for place, (video, seconds) in enumerate(keyframes.tolist()):
        known = clips.get(rows.video_names[int(video)], ())
        around = [clip for clip in known if clip.start <= seconds < clip.end]
        if around:
            clip = max(around, key=lambda clip: (clip.find_margin(seconds), clip.name))
            number[place] = names.setdefault(clip.name, len(names))
            start[place] = clip.start
    of_row = of_row.reshape(-1)  # numpy 2.0 alone gives it two dimensions
    kept = number[of_row] >= 0
    missing = [name for name in rows.video_names if name not in clips]
    known_video = np.array([name in clips for name in rows.video_names], dtype=bool)
    outside = (number < 0) & known_video[keyframes[:, 0].astype(np.int64)]
    matched = AvaRows(
        list(names),
        number[of_row][kept],
        # to microseconds: a difference of decimals has a tail
        (rows.timestamps - start[of_row])[kept].round(6),
        rows.boxes[kept],
        rows.action_ids[kept],
        rows.ids_or_scores[kept],
        path=rows.path,
    )
    return MatchedRows(matched, missing, int(outside.sum()))
