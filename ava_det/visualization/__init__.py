"""Draws detections on frames, contact sheets and label sheets, and writes videos and PNG files.

Pictures are RGB uint8 [H, W, 3], or a `Surface`.
"""

from ava_det.formats.action_names import shorten_names
from ava_det.video.writer import VideoWriter
from ava_det.visualization.contact_sheet import ContactSheet
from ava_det.visualization.label_sheet import LabeledTile, draw_label_sheet
from ava_det.visualization.overlay import Overlay
from ava_det.visualization.png import write_png
from ava_det.visualization.surface import Surface
from ava_det.visualization.window import Window

__all__ = [
    "ContactSheet",
    "LabeledTile",
    "Overlay",
    "Surface",
    "VideoWriter",
    "Window",
    "draw_label_sheet",
    "shorten_names",
    "write_png",
]
