"""Person detectors behind one protocol: frames in, boxes and scores out.

``motion`` needs a fixed camera and no weights; ``torchvision`` needs a network once, for its weights. Import the
module you want: a detector's libraries are loaded only with it.
"""

from ava_det.detectors.detector import PersonDetector
from ava_det.detectors.motion import MotionDetector

__all__ = ["MotionDetector", "PersonDetector"]
