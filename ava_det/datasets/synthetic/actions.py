"""Defines what figures do: the classes, the timetable of a figure, and its pose over time.

Three pairs of classes differ in motion alone. Poses at any single moment follow the same
distribution within a pair, by construction:

* **fall down / get up** are the same movement run backwards, with the same distribution of
durations, between the
  same idle standing and the same lying.
* **walk / run** use one pose cycle, one lean and one range of places; only the speed differs.
* **hand wave / point to** and **hit / lift** are swings of the arms with one distribution of
centers, amplitudes
  and phases. The slow member swings at f = 0.15..0.45 Hz, the fast one at f + 1.875 Hz. 1.875 Hz is
  the rate at which the four slow frames are taken (every 16 ticks of 1/30 s): what they see of the
  fast swing is its alias, the slow swing of the other class, so the pair can be told apart only by
  the frames in between.

**read / carry** differ in appearance alone: same arms, same size and colors, another print on the
object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_det.datasets.synthetic.figure import (
    FAR_FOREARM,
    FAR_SHIN,
    FAR_THIGH,
    FAR_UPPER_ARM,
    HEAD,
    NEAR_FOREARM,
    NEAR_SHIN,
    NEAR_THIGH,
    NEAR_UPPER_ARM,
    NUM_ANGLES,
    TORSO,
)

# AVA v2.2 names and ids.
ACTION_NAMES = {
    5: "fall down",
    6: "get up",
    8: "lie/sleep",
    10: "run/jog",
    12: "stand",
    14: "walk",
    17: "carry/hold (an object)",
    34: "hit (an object)",
    36: "lift/pick up",
    43: "point to (an object)",
    48: "read",
    69: "hand wave",
}
FALL = 5
GET_UP = 6
LIE = 8
RUN = 10
STAND = 12
WALK = 14
CARRY = 17
HIT = 34
LIFT = 36
POINT = 43
READ = 48
WAVE = 69
NOTHING = 0

SLOW_FRAME_RATE = 30 / 16  # Hz: slow frames are 16 ticks of 1/30 s apart
BLEND_SECONDS = 0.15  # half the time in which one pose turns into the next


@dataclass(frozen=True)
class Segment:
    """Describes a stretch of time with one movement and one use of the arms.

    `start` and `end` are seconds from the start of the video.
    """

    start: float
    end: float
    movement: int
    arms: int
    frequency: float  # of the swinging arms, Hz
    phase: float
    amplitude: float  # 0..1
    center: float  # -1..1
    speed: float  # heights per second
    cadence: float  # gait cycles per second

    @property
    def action_ids(self) -> tuple[int, ...]:
        """Returns the AVA ids of the movement and, where they do something, of the arms."""
        return (self.movement,) if self.arms == NOTHING else (self.movement, self.arms)


def build_segment(
    rng: np.random.Generator, start: float, end: float, movement: int, arms: int
) -> Segment:
    """Draws the rates and sizes of a segment from what its movement and its arms allow."""
    frequency = rng.uniform(0.15, 0.45) + (SLOW_FRAME_RATE if arms in (WAVE, HIT) else 0.0)
    speed = 0.0
    cadence = 0.0
    if movement == WALK:
        speed = rng.uniform(0.16, 0.30)
        cadence = rng.uniform(0.6, 0.85)
    elif movement == RUN:
        speed = rng.uniform(0.65, 0.95)
        cadence = rng.uniform(1.5, 1.85)
    phase = rng.uniform(0, 2 * np.pi)
    amplitude = rng.uniform(0.75, 1.0)
    center = rng.uniform(-1, 1)
    return Segment(start, end, movement, arms, frequency, phase, amplitude, center, speed, cadence)


def _choose_block(rng: np.random.Generator, moving: bool) -> list[tuple[int, int, int]]:
    """Draws a few (movement, arms, whole seconds), while walking or standing."""
    if moving:
        arms = int(rng.choice([NOTHING, CARRY, READ], p=[0.2, 0.4, 0.4]))
        return [(int(rng.choice([WALK, RUN])), arms, int(rng.integers(2, 4)))]
    if rng.random() < 0.25:
        down = [(STAND, NOTHING, 1), (FALL, NOTHING, 2), (LIE, NOTHING, 1)]
        up = [(LIE, NOTHING, 1), (GET_UP, NOTHING, 2), (STAND, NOTHING, 1)]
        return down + up
    arms = int(rng.choice([WAVE, POINT, HIT, LIFT]))
    return [(STAND, arms, int(rng.integers(3, 6)))]


def plan(rng: np.random.Generator, seconds: int) -> list[Segment]:
    """Draws the timetable of one figure for a video of ``seconds``.

    Changes happen around the half second, so that a keyframe (a whole second) has a clear answer; a
    few happen at a whole second on purpose: such keyframes go to the exclusion list. Start and end
    of a movement are drawn alike, which makes fall and get up mirror images in time.
    """
    wanted: list[tuple[int, int, int]] = []
    moving = bool(rng.random() < 0.5)
    while sum(length for _, _, length in wanted) < seconds + 8:
        wanted += _choose_block(rng, moving)
        moving = not moving
    return assign_times(rng, wanted, seconds)


def assign_times(
    rng: np.random.Generator, wanted: list[tuple[int, int, int]], seconds: int
) -> list[Segment]:
    """Gives a figure's movements their times.

    Args:
        rng: Draws when each ends, and their rates and sizes.
        wanted: (movement, arms, whole seconds), one after another, for longer than the video.
        seconds: Of the video.

    Returns:
        Those within the video; the first began before it.
    """
    segments = []
    start = clock = -float(rng.integers(0, 6)) - 0.5
    for i, (movement, arms, length) in enumerate(wanted):
        clock += length
        following = wanted[i + 1][0] if i + 1 < len(wanted) else STAND
        on_the_second = {movement, following} <= {STAND, WALK, RUN} and rng.random() < 0.06
        end = clock + (0.5 if on_the_second else 0.0) + rng.uniform(-0.2, 0.2)
        if end > -2 * BLEND_SECONDS and start < seconds + 2 * BLEND_SECONDS:
            segments.append(build_segment(rng, start, end, movement, arms))
        start = end
    return segments


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    eased: np.ndarray = x * x * (3 - 2 * x)
    return eased


_STANDING = np.zeros(NUM_ANGLES)
_STANDING[[TORSO, HEAD]] = np.pi, np.pi
_STANDING[[NEAR_UPPER_ARM, NEAR_FOREARM, FAR_UPPER_ARM, FAR_FOREARM]] = -0.15, 0.15, 0.1, 0.35
_STANDING[[NEAR_THIGH, NEAR_SHIN, FAR_THIGH, FAR_SHIN]] = 0.12, 0.05, -0.1, -0.15
_LYING = np.zeros(NUM_ANGLES)  # on the back, head towards the back, knees up
_LYING[[TORSO, HEAD]] = 1.5 * np.pi - 0.12, 1.5 * np.pi - 0.35
_LYING[[NEAR_UPPER_ARM, NEAR_FOREARM, FAR_UPPER_ARM, FAR_FOREARM]] = 0.9, 1.9, 1.2, 2.1
_LYING[[NEAR_THIGH, NEAR_SHIN, FAR_THIGH, FAR_SHIN]] = 2.2, 0.35, 1.9, 0.6


def _compute_movement(segment: Segment, times: np.ndarray) -> np.ndarray:
    """[F, 10] angles of the whole body, arms included as they go by themselves."""
    if segment.movement in (FALL, GET_UP, LIE):
        if segment.movement == LIE:
            down = np.ones_like(times)
        else:
            down = _smoothstep((times - segment.start) / (segment.end - segment.start))
            down = down if segment.movement == FALL else 1 - down
        return _STANDING + down[:, None] * (_LYING - _STANDING)
    pose = np.tile(_STANDING, (len(times), 1))
    if segment.movement == STAND:
        return pose
    phase = segment.phase + 2 * np.pi * segment.cadence * times
    pose[:, TORSO] = np.pi - 0.12
    for thigh, shin, offset in ((NEAR_THIGH, NEAR_SHIN, 0.0), (FAR_THIGH, FAR_SHIN, np.pi)):
        pose[:, thigh] = 0.08 + 0.5 * np.sin(phase + offset)
        # The knee bends while the leg swings forward.
        pose[:, shin] = pose[:, thigh] - 0.12 - 0.7 * np.maximum(0, np.cos(phase + offset))
    for upper, fore, offset in (
        (NEAR_UPPER_ARM, NEAR_FOREARM, np.pi),
        (FAR_UPPER_ARM, FAR_FOREARM, 0.0),
    ):
        pose[:, upper] = 0.45 * np.sin(phase + offset)
        pose[:, fore] = pose[:, upper] + 0.7
    return pose


def _compute_arms(segment: Segment, times: np.ndarray) -> dict[int, np.ndarray]:
    """Angles [F] of the limbs an arm action takes over, by pose column."""
    swing = segment.amplitude * np.sin(2 * np.pi * segment.frequency * times + segment.phase)
    flat = np.ones_like(times)
    if segment.arms in (WAVE, POINT):
        upper = 2.3 + 0.15 * segment.center + 0.55 * swing
        return {NEAR_UPPER_ARM: upper, NEAR_FOREARM: 2.8 + 0.15 * segment.center + 1.1 * swing}
    if segment.arms in (HIT, LIFT):
        upper = 1.05 + 0.1 * segment.center + 0.6 * swing
        fore = 1.5 + 0.1 * segment.center + 0.9 * swing
        return {
            NEAR_UPPER_ARM: upper,
            NEAR_FOREARM: fore,
            FAR_UPPER_ARM: upper - 0.1,
            FAR_FOREARM: fore - 0.12,
        }
    if segment.arms in (CARRY, READ):
        upper = (0.45 + 0.15 * segment.center) * flat
        fore = (1.75 + 0.15 * segment.center) * flat
        return {
            NEAR_UPPER_ARM: upper,
            NEAR_FOREARM: fore,
            FAR_UPPER_ARM: upper + 0.2,
            FAR_FOREARM: fore + 0.1,
        }
    return {}


def _compute_weight(segment: Segment, times: np.ndarray) -> np.ndarray:
    """Computes this segment's share of the pose at each time, [F].

    The shares of all segments of a video sum to one.
    """
    rise = _smoothstep((times - segment.start) / (2 * BLEND_SECONDS) + 0.5)
    fall = _smoothstep((times - segment.end) / (2 * BLEND_SECONDS) + 0.5)
    weight: np.ndarray = rise - fall
    return weight


def draw_sway(rng: np.random.Generator) -> np.ndarray:
    """Draws rate (Hz) and phase of the slight sway of each limb, [2, 10]."""
    return np.stack([rng.uniform(0.1, 0.45, NUM_ANGLES), rng.uniform(0, 2 * np.pi, NUM_ANGLES)])


def compute_poses(segments: list[Segment], times: np.ndarray, sway: np.ndarray) -> np.ndarray:
    """Computes the angles [F, 10] at `times` (seconds); `sway` is from `draw_sway`."""
    angles = np.zeros((len(times), NUM_ANGLES))
    for segment in segments:
        weight = _compute_weight(segment, times)
        pose = _compute_movement(segment, times)
        for column, values in _compute_arms(segment, times).items():
            pose[:, column] = values
        angles += weight[:, None] * pose
    swayed: np.ndarray = angles + 0.03 * np.sin(2 * np.pi * sway[0] * times[:, None] + sway[1])
    return swayed


def compute_held(segments: list[Segment], times: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Computes what is in the hands at each time.

    Returns:
        Names ("parcel", "newspaper" or ""), and the share of its size an object has by then, [F].
    """
    names = [""] * len(times)
    sizes = np.zeros(len(times))
    for segment in segments:
        if segment.arms not in (CARRY, READ):
            continue
        weight = _compute_weight(segment, times)
        for i in np.flatnonzero(weight > sizes):
            names[i], sizes[i] = "parcel" if segment.arms == CARRY else "newspaper", weight[i]
    return names, sizes


def compute_path(
    segments: list[Segment], times: np.ndarray, start: float, low: float, high: float, height: float
) -> tuple[np.ndarray, np.ndarray]:
    """Computes x [F] of the figure, in pixels within [low, high], and the side it faces [F], +-1.

    ``start`` (0..2) is the starting point on the way there and back. Figures turn at the ends of
    their range.
    """
    speed = np.zeros(len(times))
    for segment in segments:
        speed += _compute_weight(segment, times) * segment.speed * height
    step = times[1] - times[0]
    length = high - low
    traveled = (start * length + np.cumsum(speed) * step) % (2 * length)
    return low + np.where(traveled < length, traveled, 2 * length - traveled), np.where(
        traveled < length, 1.0, -1.0
    )


def find_segment(segments: list[Segment], time: float) -> Segment:
    """Returns the segment that contains ``time``."""
    return next(s for s in segments if s.start <= time < s.end)


def is_ambiguous(segments: list[Segment], time: float) -> bool:
    """Returns whether the figure changes from one action to another at ``time``."""
    return any(min(abs(time - s.start), abs(time - s.end)) < BLEND_SECONDS + 0.05 for s in segments)
