"""Draws a contact sheet: a dozen keyframes of a video with their detections, in one PNG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ava_det.structures import Detections
from ava_det.visualization.overlay import Overlay
from ava_det.visualization.panel import GROUP_COLORS, PANEL_COLOR
from ava_det.visualization.png import write_png
from ava_det.visualization.text import put_text, text_width

TILE_AREA = 480 * 270  # pixels
SHEET_ASPECT = 1.5
CAPTION_HEIGHT = 24
GAP = 8
TEXT = 14
CAPTION_COLOR = (215, 220, 230)


@dataclass
class _Tile:
    merit: float
    seconds: float
    picture: np.ndarray
    detections: Detections


class ContactSheet:
    """Collects keyframes of a video of any length, in the memory of a few small pictures.

    The video is divided into stretches of equally many keyframes. A tile shows the keyframe of its
    stretch with the highest action scores. When there are more stretches than tiles, neighboring
    ones merge.

    Args:
        label_map: See `Overlay`.
        threshold: See `Overlay`.
        topk: See `Overlay`.
        num_tiles: Most tiles of the sheet, at least 2.

    Raises:
        ValueError: There are fewer than 2 tiles.
    """

    def __init__(
        self,
        label_map: Mapping[int, str],
        threshold: float | Mapping[int, float] = 0.5,
        topk: int = 5,
        num_tiles: int = 12,
    ) -> None:
        if num_tiles < 2:
            raise ValueError(f"num_tiles: expected at least 2, received {num_tiles}")
        self._overlay_settings = (label_map, threshold, topk)
        self._num_tiles = num_tiles
        self._tiles: list[_Tile] = []
        self._stretch = 1  # keyframes of a stretch
        self._filled = 0  # keyframes of the last stretch so far

    def add(self, frame: np.ndarray, detections: Detections, seconds: float) -> None:
        """Adds a keyframe.

        Args:
            frame: RGB uint8 [H, W, 3].
            detections: Its persons.
            seconds: Its time in the file.
        """
        merit = (
            float(detections.action_scores.amax(dim=1).sum())
            if detections.action_scores.numel()
            else 0.0
        )
        begins = not self._tiles or self._filled == self._stretch
        if begins and len(self._tiles) == self._num_tiles:
            self._merge()
            begins = self._filled == self._stretch
        tile = _Tile(merit, seconds, _shrink(frame), detections)
        if begins:
            self._tiles.append(tile)
            self._filled = 0
        elif merit > self._tiles[-1].merit:
            self._tiles[-1] = tile
        self._filled += 1

    def _merge(self) -> None:
        """Keeps the better of each two neighboring tiles.

        An odd one at the end waits for the second half of its stretch.
        """
        pairs = [self._tiles[index : index + 2] for index in range(0, len(self._tiles), 2)]
        self._tiles = [max(pair, key=lambda tile: tile.merit) for pair in pairs]
        self._filled = self._stretch * len(pairs[-1])
        self._stretch *= 2

    def draw(self) -> np.ndarray:
        """Draws the sheet: RGB uint8 [H, W, 3].

        Raises:
            ValueError: No keyframe was added.
        """
        if not self._tiles:
            raise ValueError("a contact sheet needs at least one keyframe, received none")
        height, width = self._tiles[0].picture.shape[:2]
        columns = _count_columns(len(self._tiles), width, height + CAPTION_HEIGHT)
        rows = -(-len(self._tiles) // columns)
        size = (
            rows * (height + CAPTION_HEIGHT + GAP) + GAP + CAPTION_HEIGHT,
            columns * (width + GAP) + GAP,
            3,
        )
        sheet = np.full(size, PANEL_COLOR, np.uint8)
        for index, tile in enumerate(self._tiles):
            x = GAP + (index % columns) * (width + GAP)
            y = GAP + (index // columns) * (height + CAPTION_HEIGHT + GAP)
            overlay = Overlay(*self._overlay_settings)
            sheet[y : y + height, x : x + width] = overlay.draw(tile.picture, tile.detections)
            put_text(
                sheet, _format_moment(tile.seconds), x + 2, y + height + 17, CAPTION_COLOR, TEXT
            )
        _draw_legend(sheet)
        return sheet

    def save(self, path: str | Path) -> None:
        """Writes the sheet as a PNG, complete or not at all.

        Raises:
            ValueError: No keyframe was added, or the file cannot be written.
        """
        write_png(path, self.draw())


def _shrink(frame: np.ndarray) -> np.ndarray:
    """Resizes a frame to a tile: its aspect stays, and every tile has about the same area."""
    height, width = frame.shape[:2]
    scale = (TILE_AREA / (height * width)) ** 0.5
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    tile: np.ndarray = cv2.resize(
        frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    return tile


def _count_columns(num_tiles: int, width: int, height: int) -> int:
    """Returns the number of columns with which the sheet is nearest to SHEET_ASPECT."""

    def misfit(columns: int) -> float:
        rows = -(-num_tiles // columns)
        distance: float = abs(np.log(columns * width / (rows * height) / SHEET_ASPECT))
        return distance

    return min(range(1, num_tiles + 1), key=misfit)


def _draw_legend(sheet: np.ndarray) -> None:
    """Draws what the colors of the bars mean into the bottom line, as far as they fit."""
    x = GAP
    y = sheet.shape[0] - GAP - 2
    for _, name, color in GROUP_COLORS:
        end = x + 24 + text_width(name, TEXT)
        if end > sheet.shape[1]:
            return
        sheet[y - 6 : y - 2, x : x + 18] = color
        put_text(sheet, name, x + 24, y, CAPTION_COLOR, TEXT)
        x = end + 20


def _format_moment(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}"
