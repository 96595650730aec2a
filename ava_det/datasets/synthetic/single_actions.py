"""Renders short clips of one figure with one action each, a folder for each class."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ava_det.datasets.synthetic import actions, scene
from ava_det.datasets.synthetic.actions import (
    CARRY,
    FALL,
    GET_UP,
    HIT,
    LIE,
    LIFT,
    NOTHING,
    POINT,
    READ,
    RUN,
    STAND,
    WALK,
    WAVE,
)
from ava_det.datasets.synthetic.prepare import write_video
from ava_det.datasets.synthetic.room import draw_palette

SECONDS = 3
# movement and arms; the class is the arms' action where they have one
CLASSES = (
    *((movement, NOTHING) for movement in (FALL, GET_UP, LIE, RUN, STAND, WALK)),
    *((WALK, arms) for arms in (CARRY, READ)),
    *((STAND, arms) for arms in (HIT, LIFT, POINT, WAVE)),
)
SEED = 1_000_003  # apart from the seeds of `ava-det render`


def draw_timetable(rng: np.random.Generator, movement: int, arms: int) -> list[actions.Segment]:
    """Draws a timetable of one action; a fall goes from standing to lying, getting up back."""
    if movement not in (FALL, GET_UP):
        return [actions.build_segment(rng, -5.0, SECONDS + 5.0, movement, arms)]
    start = 0.5 + rng.uniform(-0.2, 0.2)
    end = SECONDS - 0.5 + rng.uniform(-0.2, 0.2)
    before, after = (STAND, LIE) if movement == FALL else (LIE, STAND)
    return [
        actions.build_segment(rng, -5.0, start, before, NOTHING),
        actions.build_segment(rng, start, end, movement, NOTHING),
        actions.build_segment(rng, end, SECONDS + 5.0, after, NOTHING),
    ]


def render_clip(
    rng: np.random.Generator, movement: int, arms: int, size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Yields frames uint8 [H, W, 3] RGB of one figure before a background of its own."""
    palette = draw_palette(rng)
    role = scene.draw_role(rng, palette, size, SECONDS, 0, 1)
    actor = scene.play(
        dataclasses.replace(role, segments=draw_timetable(rng, movement, arms)), SECONDS
    )
    return scene.render_frames(rng, palette, [actor], *size)


def render_clips(output: Path, seed: int, counts: dict[str, int], size: tuple[int, int]) -> None:
    """Renders SPLIT/CLASS/*.mp4 below a folder.

    Args:
        output: The folder.
        seed: The same seed gives the same clips.
        counts: Clips of each class, for the splits `train` and `val`.
        size: Width and height, in pixels.
    """
    cv2.setNumThreads(1)
    jobs: list[tuple[str, int, int]] = []
    for split, count in counts.items():
        jobs += [(split, *job) for job in product(range(len(CLASSES)), range(count))]
    for split, kind, index in tqdm(jobs, desc="rendering", unit="clip"):
        movement, arms = CLASSES[kind]
        name = actions.ACTION_NAMES[arms or movement].replace("/", " or ")
        folder = output / split / name
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(
            np.random.SeedSequence([SEED, seed, ("train", "val").index(split), kind, index])
        )
        write_video(
            folder / f"{split}_{kind:02d}_{index:04d}.mp4",
            render_clip(rng, movement, arms, size),
            *size,
        )
