"""Draws the background of one video, an empty room, and its light."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

from ava_det.datasets.synthetic.figure import Color


@dataclass(frozen=True)
class Palette:
    """Holds the colors of a room, RGB 0..255."""

    wall: Color
    floor: Color


def draw_color(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> Color:
    """Draws a color of any hue, with saturation and value (0..1) within the ranges given."""
    red, green, blue = colorsys.hsv_to_rgb(
        rng.random(), rng.uniform(*saturation), rng.uniform(*value)
    )
    return (round(255 * red), round(255 * green), round(255 * blue))


def draw_palette(rng: np.random.Generator) -> Palette:
    """Draws the colors of a room, muted so that figures are easy to see."""
    return Palette(
        wall=draw_color(rng, (0.05, 0.4), (0.45, 0.8)),
        floor=draw_color(rng, (0.05, 0.4), (0.3, 0.65)),
    )


def _noise_texture(
    rng: np.random.Generator, width: int, height: int, cell: int, strength: float
) -> np.ndarray:
    """[H, W, 1] smooth noise around 0 with spots of about ``cell`` pixels."""
    coarse = rng.normal(0, strength, (height // cell + 2, width // cell + 2)).astype(np.float32)
    fine: np.ndarray = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return fine[:, :, None]


def build_background(
    rng: np.random.Generator, palette: Palette, width: int, height: int
) -> np.ndarray:
    """Draws a room, uint8 [H, W, 3].

    It has a papered or bricked wall, floor boards, a few framed pictures and uneven light.
    """
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    horizon = int(height * rng.uniform(0.6, 0.74))
    room = np.empty((height, width, 3), np.float32)
    room[:horizon] = palette.wall
    room[horizon:] = palette.floor
    kind = rng.integers(0, 3)
    pitch = float(rng.uniform(7, 14)) * height / 144
    if kind == 0:  # striped wallpaper
        pattern = np.sign(np.sin(columns * np.pi / pitch))
    elif kind == 1:  # bricks
        course = np.floor(rows / (pitch * 0.6))
        joint = ((rows % (pitch * 0.6)) < 1.2) | (((columns + course * pitch) % (2 * pitch)) < 1.2)
        pattern = np.where(joint, 1.4, -0.3)
    else:  # checks
        pattern = np.sign(np.sin(columns * np.pi / pitch) * np.sin(rows * np.pi / pitch))
    room[:horizon] += (pattern * rng.uniform(5, 12))[:horizon, :, None]
    depth = (np.maximum(rows - horizon, 0) + 6) / (height - horizon)
    boards = np.sign(np.sin((columns - width / 2) / depth / pitch)) * np.float32(rng.uniform(5, 11))
    room[horizon:] += boards[horizon:, :, None]
    for _ in range(int(rng.integers(1, 4))):
        left = int(rng.integers(0, width - 20))
        top = int(rng.integers(4, max(5, horizon // 2)))
        right = left + int(rng.integers(14, 40)) * width // 192
        bottom = top + int(rng.integers(12, 32)) * height // 144
        cv2.rectangle(
            room,
            (left - 2, top - 2),
            (right + 2, bottom + 2),
            draw_color(rng, (0.05, 0.4), (0.15, 0.4)),
            -1,
        )
        cv2.rectangle(
            room, (left, top), (right, bottom), draw_color(rng, (0.05, 0.4), (0.4, 0.95)), -1
        )
    room[horizon - 2 : horizon + 1] *= 0.6
    room += _noise_texture(rng, width, height, 24, 7) + _noise_texture(rng, width, height, 5, 4)
    room += _noise_texture(rng, width, height, 1, 3)
    lamp_x = rng.uniform(0, width)
    lamp_y = rng.uniform(0, height * 0.5)
    distance = np.hypot((columns - lamp_x) / width, (rows - lamp_y) / height)
    room *= (1.12 - 0.3 * distance)[:, :, None]
    return np.clip(room, 12, 243).astype(np.uint8)


def build_lighting(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Draws the light at `times` (seconds), as uint8 tables [F, 256, 3].

    Brightness and tint drift, and some rooms have a dimmer.
    """
    gain = 1 + rng.uniform(0.03, 0.12) * np.sin(
        2 * np.pi * rng.uniform(0.02, 0.12) * times + rng.uniform(0, 6.3)
    )
    if rng.random() < 0.5:
        moment = rng.uniform(0.2, 0.8) * times[-1]
        factor = rng.uniform(0.75, 1.2)
        gain *= 1 + (factor - 1) / (1 + np.exp(-(times - moment) / 0.15))
    tint = 0.04 * np.sin(
        2 * np.pi * rng.uniform(0.02, 0.08, 3) * times[:, None] + rng.uniform(0, 6.3, 3)
    )
    tables = np.arange(256)[None, :, None] * (gain[:, None, None] * (1 + tint[:, None, :]))
    rounded: np.ndarray = np.clip(np.rint(tables), 0, 255).astype(np.uint8)
    return rounded
