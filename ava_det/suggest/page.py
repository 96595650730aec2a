"""Writes suggestions as one self-contained page: each picture with its boxes, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ava_det.files import write_text
from ava_det.formats.action_names import shorten_names
from ava_det.formats.timestamps import format_timestamp
from ava_det.messages.counts import format_count
from ava_det.pages import encode_jpeg, render_page
from ava_det.structures import Keyframe
from ava_det.suggest.selection import Labeled, Pool, Suggestion
from ava_det.suggest.uncertainty import SURE
from ava_det.video.folder import open_video
from ava_det.video.reader import VideoError
from ava_det.viewer.content import css_color
from ava_det.visualization.panel import PERSON_COLORS

SHORT_SIDE = 288  # of a picture, in pixels
MAX_ACTIONS = 3  # named of each person
LEAST_SCORE = 0.05  # from which an action is named
MEANINGS = {
    "novelty": "unlike the persons that are labeled, or were suggested before",
    "uncertainty": "actions of a person that a draft is expected to have wrong",
    "rarity": "actions of which few examples are labeled",
}


def write_page(
    path: str | Path,
    pool: Pool,
    suggestions: Sequence[Suggestion],
    labeled: Labeled,
    label_map: Mapping[int, str],
    videos: Mapping[str, Path],
    start_second: float,
) -> None:
    """Writes the page, whole or not at all; it loads nothing from elsewhere.

    Args:
        path: The file.
        pool: What was chosen from; columns of its scores in the order of `label_map`.
        suggestions: What was chosen, the best first.
        labeled: What is labeled already, columns likewise.
        label_map: Names by action id.
        videos: Files by video id.
        start_second: Annotation time, in seconds, of each video's first frame.
    """
    names = list(shorten_names(label_map).values())
    chosen = [pool.keyframes[one.index] for one in suggestions]
    parts = pool.scores.split([len(keyframe.boxes) for keyframe in pool.keyframes])
    pictures = _read_pictures(chosen, videos, start_second)
    tiles = [
        {
            "rank": rank,
            "video": keyframe.video_id,
            "second": format_timestamp(keyframe.timestamp),
            "picture": pictures[keyframe.key],
            "persons": _describe_persons(keyframe, parts[one.index], names),
            "reasons": _describe_reasons(one, parts[one.index], labeled.counts, names),
        }
        for rank, (one, keyframe) in enumerate(zip(suggestions, chosen, strict=True), 1)
    ]
    page = render_page(
        "suggestions.html",
        title="Keyframes to label next",
        total=len(pool.keyframes),
        num_videos=len({keyframe.video_id for keyframe in chosen}),
        meanings=MEANINGS,
        tiles=tiles,
        scripts=("theme.js", "suggestions.js"),
    )
    write_text(path, page)


def _read_pictures(
    keyframes: Sequence[Keyframe], videos: Mapping[str, Path], start_second: float
) -> dict[tuple[str, str], str | None]:
    """Reads the pictures of keyframes, each video in one pass; None for one that is damaged."""
    found: dict[tuple[str, str], str | None] = {}
    by_video: dict[str, list[Keyframe]] = {}
    for keyframe in sorted(keyframes, key=lambda one: one.timestamp):
        by_video.setdefault(keyframe.video_id, []).append(keyframe)
    for video_id, of_video in by_video.items():
        with open_video(videos[video_id], start_second) as reader:
            for keyframe in of_video:
                try:
                    picture = reader.read([keyframe.timestamp], SHORT_SIDE)[0]
                except VideoError:
                    found[keyframe.key] = None
                else:
                    found[keyframe.key] = encode_jpeg(picture)
    return found


def _describe_persons(
    keyframe: Keyframe, scores: Tensor, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Describes the persons: box in percent of the picture, color, and the likeliest actions."""
    persons = []
    for number, (box, row) in enumerate(zip(keyframe.boxes.tolist(), scores, strict=True)):
        x1, y1, x2, y2 = (round(100 * side, 2) for side in box)
        best = row.topk(min(MAX_ACTIONS, len(row)))
        actions = [
            (names[column], f"{score:.2f}", score >= SURE)
            for score, column in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            if score >= LEAST_SCORE
        ]
        color = css_color(PERSON_COLORS[number % len(PERSON_COLORS)])
        sides = (x1, y1, round(x2 - x1, 2), round(y2 - y1, 2))
        persons.append({"box": sides, "color": color, "actions": actions})
    return persons


def _describe_reasons(
    suggestion: Suggestion, scores: Tensor, counts: Tensor, names: Sequence[str]
) -> list[tuple[str, float, str]]:
    """Lists the reasons: name, share in percent, and a few words of what is behind it."""
    unsure = (0.5 - (scores - 0.5).abs()).amax(dim=0)
    wavering = [names[i] for i in unsure.topk(min(2, len(names))).indices.tolist()]
    column = int((scores.sum(dim=0) / (1 + counts)).argmax())
    number = int(counts[column])
    words = {
        "novelty": format_count(len(scores), "person"),
        "uncertainty": f"{' or '.join(wavering)}?",
        "rarity": f"{names[column]}: {format_count(number, 'example')}",
    }
    return [
        (name, round(min(100 * share, 100), 1), words[name])
        for name, share in suggestion.shares._asdict().items()
    ]
