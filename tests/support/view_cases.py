"""A small video with its detections, for pages that show it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from ava_det.formats.result_files import DetectionsJson
from ava_det.structures import Detections, Keyframe
from tests.support.numbered_video import write_numbered_video

NAMES = {1: "walk", 2: "sit </script>", 3: "hug (a person)"}
START = 900.0
FPS = 10
NUM_FRAMES = 60
EVERY = 0.5


def make_detections(num_keyframes: int = 12, video: str = "walk") -> list[Detections]:
    """Persons who come and go: 1 walks over the picture, 2 is there at times, 3 and 4 in turn."""
    found = []
    for index in range(num_keyframes):
        x = 0.05 + 0.5 * index / num_keyframes
        rows = [(1, [x, 0.2, x + 0.2, 0.8], [0.9, 0.2, 0.1])]
        if index % 4 != 3:
            rows.append((2, [0.7, 0.3 + 0.02 * (index % 3), 0.9, 0.9], [0.1, 0.8, 0.4]))
        if index > 5:
            rows.append((3 + index // 9, [0.4, 0.1, 0.5, 0.5], [0.3, 0.3, 0.7]))
        boxes = torch.tensor([box for _, box, _ in rows])
        scores = torch.full((len(rows),), 0.95)
        keyframe = Keyframe(video, START + EVERY * index, boxes, None, scores, (64, 48))
        tracks = torch.tensor([track for track, _, _ in rows])
        actions = torch.tensor([action for _, _, action in rows])
        found.append(Detections(boxes, actions, scores, tracks, keyframe))
    return found


def write_jsonl(path: Path, detections: list[Detections]) -> Path:
    with DetectionsJson(path, NAMES, dict.fromkeys(NAMES, 0.25), START) as table:
        for one in detections:
            table.write(one)
    return path


def write_video(path: Path) -> Path:
    """A frame's number is its time in tenths of a second."""
    write_numbered_video(path, [Fraction(i, FPS) for i in range(NUM_FRAMES)], rate=FPS)
    return path


def read_script(page: str, name: str) -> dict[str, Any]:
    """The JSON of a script element of a page."""
    start = page.index(f'id="{name}">') + len(f'id="{name}">')
    value: dict[str, Any] = json.loads(page[start : page.index("</script>", start)])
    return value
