"""Makes one video: a room, its light, one to three figures, the frames and the ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from ava_det.datasets.synthetic import actions
from ava_det.datasets.synthetic.actions import Segment
from ava_det.datasets.synthetic.figure import (
    Appearance,
    Color,
    compute_joints,
    compute_mask,
    draw_figure,
)
from ava_det.datasets.synthetic.room import Palette, build_background, build_lighting, draw_color

FPS = 15
START_SECOND = 900  # annotation time of the first frame, as in AVA's cut movies
# seconds from the start of the video; as in AVA (902..1798), the edges are not annotated
FIRST_KEYFRAME = 2
MIN_VISIBLE = 0.4  # a figure hidden more than this cannot be judged: its keyframe is excluded
NUM_CANDIDATES = 32  # roles tried for each further figure, see build_actors
# share of the time a further figure meets another one, as far as a candidate reaches it
CROWDING = (0.0, 0.15)


@dataclass(frozen=True)
class Role:
    """Describes one figure: its appearance, its timetable and its part of the room, in pixels."""

    appearance: Appearance
    segments: list[Segment]
    sway: np.ndarray  # [2, 10], see actions.compute_poses
    low: float
    high: float
    start: float
    ground_y: float


@dataclass(frozen=True)
class Actor:
    """Describes a role in every frame.

    Joints are pixels [F, 11, 2]; `facing` [F] is +1 to the right, -1 to the left.
    """

    role: Role
    joints: np.ndarray
    facing: np.ndarray
    held: list[str]
    held_size: np.ndarray


@dataclass(frozen=True)
class Row:
    """Describes one person at one keyframe.

    The box (x1, y1, x2, y2) is in fractions of the frame, tight around what is visible.
    """

    timestamp: int
    box: tuple[float, float, float, float]
    action_ids: tuple[int, ...]
    person_id: int


def compute_keyframe_seconds(seconds: int) -> range:
    """Lists the annotated seconds of a video: all but two at its start and three at its end."""
    return range(FIRST_KEYFRAME, seconds - 2)


def _draw_distinct(
    rng: np.random.Generator,
    palette: Palette,
    saturation: tuple[float, float],
    value: tuple[float, float],
) -> Color:
    """Draws a color that differs from the wall's and from the floor's in some channel."""
    for _ in range(12):
        color = draw_color(rng, saturation, value)
        if all(
            max(abs(c - b) for c, b in zip(color, base, strict=True)) > 50
            for base in (palette.wall, palette.floor)
        ):
            break
    return color


def _draw_appearance(rng: np.random.Generator, palette: Palette, height: float) -> Appearance:
    skin = np.array([236, 188, 160]) * (1 - rng.uniform(0, 0.6)) + np.array([20, 14, 10])
    light = draw_color(rng, (0.0, 0.6), (0.8, 1.0))
    dark = draw_color(rng, (0.2, 1.0), (0.05, 0.3))
    paper, ink = (light, dark) if rng.random() < 0.5 else (dark, light)
    return Appearance(
        height=height,
        girth=float(rng.uniform(0.95, 1.2)),
        skin=(int(skin[0]), int(skin[1]), int(skin[2])),
        hair=draw_color(rng, (0.2, 0.7), (0.05, 0.35)),
        shirt=_draw_distinct(rng, palette, (0.45, 1.0), (0.45, 1.0)),
        stripe=draw_color(rng, (0.2, 1.0), (0.3, 1.0)),
        trousers=_draw_distinct(rng, palette, (0.3, 1.0), (0.1, 0.8)),
        shoes=draw_color(rng, (0.0, 0.8), (0.03, 0.25)),
        paper=paper,
        ink=ink,
    )


def draw_role(
    rng: np.random.Generator,
    palette: Palette,
    size: tuple[int, int],
    seconds: int,
    index: int,
    count: int,
) -> Role:
    """Draws role `index` of `count`.

    Their parts of the room overlap: figures meet, but not all the time.
    """
    width, height = size
    share = {1: (0.55, 0.72), 2: (0.5, 0.66), 3: (0.45, 0.56)}[count]
    appearance = _draw_appearance(rng, palette, float(rng.uniform(*share)) * height)
    margin = 0.33 * appearance.height
    room = width - 2 * margin
    extent = {1: 1.0, 2: 0.6, 3: 0.45}[count] * room
    low = margin + (room - extent) * (index / max(1, count - 1))
    return Role(
        appearance=appearance,
        segments=actions.plan(rng, seconds),
        sway=actions.draw_sway(rng),
        low=low,
        high=low + extent,
        start=float(rng.uniform(0, 2)),
        ground_y=float(rng.uniform(0.84, 0.97)) * height,
    )


def play(role: Role, seconds: int, step: int = 1) -> Actor:
    """Computes every ``step``-th frame of a role."""
    times = np.arange(seconds * FPS) / FPS
    center_x, facing = actions.compute_path(
        role.segments, times, role.start, role.low, role.high, role.appearance.height
    )
    times = times[::step]
    center_x = center_x[::step]
    facing = facing[::step]
    angles = actions.compute_poses(role.segments, times, role.sway)
    joints = compute_joints(angles, facing, center_x, role.ground_y, role.appearance.height)
    return Actor(role, joints, facing, *actions.compute_held(role.segments, times))


def _compute_extents(role: Role, seconds: int) -> np.ndarray:
    """Computes boxes [K, 4] around the joints at every whole second.

    They are widened by the girth of a limb, which is about right.
    """
    joints = play(role, seconds, step=FPS).joints
    border = 0.05 * role.appearance.height
    return np.concatenate([joints.min(axis=1) - border, joints.max(axis=1) + border], axis=1)


def _compute_crowding(boxes: np.ndarray, others: list[np.ndarray]) -> float:
    """Computes the share of seconds at which a box [K, 4] overlaps one of the others."""
    meets = np.zeros(len(boxes), bool)
    for theirs in others:
        meets |= ((boxes[:, :2] < theirs[:, 2:]) & (theirs[:, :2] < boxes[:, 2:])).all(axis=1)
    return float(meets.mean())


def draw_num_persons(rng: np.random.Generator) -> int:
    """Draws the number of persons: one to three, most often two."""
    return int(rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2]))


def build_actors(
    rng: np.random.Generator, palette: Palette, count: int, size: tuple[int, int], seconds: int
) -> list[Actor]:
    """Builds ``count`` (1..3) figures in a frame of ``size`` (width, height), from back to front.

    Left to chance, two or three figures in so small a room would cover each other half of the time.
    So several roles are drawn for each further figure, and the one whose crowding is nearest to a
    drawn target is taken.
    """
    roles: list[Role] = []
    extents: list[np.ndarray] = []
    for index in range(count):
        candidates = [
            draw_role(rng, palette, size, seconds, index, count)
            for _ in range(NUM_CANDIDATES if index else 1)
        ]
        target = rng.uniform(*CROWDING)
        boxes = [_compute_extents(role, seconds) for role in candidates]
        best = min(
            range(len(candidates)), key=lambda i: abs(_compute_crowding(boxes[i], extents) - target)
        )
        roles.append(candidates[best])
        extents.append(boxes[best])
    return [play(role, seconds) for role in sorted(roles, key=lambda role: role.ground_y)]


def _draw_shadow(image: np.ndarray, actor: Actor, frame: int) -> None:
    """Draws a soft dark ellipse on the ground under the figure."""
    columns = actor.joints[frame, :, 0]
    left = columns.min() - 0.08 * actor.role.appearance.height
    right = columns.max() + 0.08 * actor.role.appearance.height
    half_height = 0.045 * actor.role.appearance.height
    x1 = max(0, int(left))
    x2 = min(image.shape[1], int(right) + 1)
    y1 = max(0, int(actor.role.ground_y - half_height))
    y2 = min(image.shape[0], int(actor.role.ground_y + half_height) + 1)
    u = ((np.arange(x1, x2) - (left + right) / 2) / ((right - left) / 2))[None, :]
    v = ((np.arange(y1, y2) - actor.role.ground_y) / half_height)[:, None]
    shade = 1 - 0.3 * np.clip(1 - u * u - v * v, 0, 1)
    image[y1:y2, x1:x2] = image[y1:y2, x1:x2] * shade[:, :, None]


def render_frames(
    rng: np.random.Generator, palette: Palette, actors: list[Actor], width: int, height: int
) -> Iterator[np.ndarray]:
    """Frames of the video in order, uint8 [H, W, 3] RGB."""
    background = build_background(rng, palette, width, height)
    num_frames = len(actors[0].joints)
    tables = build_lighting(rng, np.arange(num_frames) / FPS)
    for frame in range(num_frames):
        image = background.copy()
        for actor in actors:
            _draw_shadow(image, actor, frame)
        for actor in actors:
            draw_figure(
                image,
                actor.joints[frame],
                actor.facing[frame],
                actor.role.appearance,
                actor.held[frame],
                actor.held_size[frame],
            )
        yield cv2.LUT(image, tables[frame][:, None])


def compute_ground_truth(
    actors: list[Actor], width: int, height: int, seconds: int
) -> tuple[list[Row], list[int]]:
    """Rows of all keyframes that can be judged, and the timestamps of those that cannot.

    A keyframe is excluded when a figure is changing its action at that moment, or is mostly hidden.
    """
    rows: list[Row] = []
    excluded: list[int] = []
    for second in compute_keyframe_seconds(seconds):
        frame = second * FPS
        masks = [
            compute_mask(
                (height, width),
                a.joints[frame],
                a.facing[frame],
                a.role.appearance,
                a.held[frame],
                a.held_size[frame],
            )
            for a in actors
        ]
        here: list[Row] = []
        for person_id, actor in enumerate(actors):
            visible = masks[person_id].copy()
            for nearer in masks[person_id + 1 :]:
                visible &= ~nearer
            hidden = visible.sum() < MIN_VISIBLE * masks[person_id].sum()
            if hidden or actions.is_ambiguous(actor.role.segments, second):
                break
            ys = np.flatnonzero(visible.any(axis=1))
            xs = np.flatnonzero(visible.any(axis=0))
            box = (xs[0] / width, ys[0] / height, (xs[-1] + 1) / width, (ys[-1] + 1) / height)
            action_ids = actions.find_segment(actor.role.segments, second).action_ids
            here.append(Row(START_SECOND + second, box, action_ids, person_id))
        if len(here) == len(actors):
            rows += here
        else:
            excluded.append(START_SECOND + second)
    return rows, excluded
