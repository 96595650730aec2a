"""Person detectors behind one protocol: frames in, boxes and scores out.

`motion` needs a fixed camera and no weights. `faster_rcnn` gives Detectron2's boxes from
Detectron2's weights with torch alone. `detectron2` calls the library itself. `torchvision` is
torchvision's detector. docs/detectors.md compares them. Import the module you need: the libraries
of a detector are loaded only with it.
"""

from ava_det.detectors.detector import FrameDetector, PersonDetector
from ava_det.detectors.motion import MotionDetector
from ava_det.detectors.video_detector import VideoDetector, check_detector

__all__ = ["FrameDetector", "MotionDetector", "PersonDetector", "VideoDetector", "check_detector"]
