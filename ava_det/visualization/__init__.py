"""What people look at: Detections on a frame, frames as an mp4, keyframes as a contact sheet.

Pictures are RGB uint8 [H, W, 3] throughout.
"""

from ava_det.visualization.contact_sheet import ContactSheet
from ava_det.visualization.overlay import Overlay
from ava_det.visualization.video_writer import VideoWriter

__all__ = ["ContactSheet", "Overlay", "VideoWriter"]
