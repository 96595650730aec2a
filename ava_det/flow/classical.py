"""Computes optical flow by OpenCV, on the CPU and on gray frames."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np

# Below that, the pyramid of OpenCV 5's DIS is empty for some shapes (100 x 12), and it ends the
# process by a fault of memory.
DIS_MIN_SIDE = 32

# OpenCV's DIS keeps buffers from one pair to the next, which two threads must not share.
_OF_THREAD = threading.local()


class Dis:
    """Computes flow by dense inverse search (Kroeger et al., 2016), OpenCV's preset "medium"."""

    name = "dis"

    def compute(self, previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        """Computes the flow from one frame to the next, see `FlowAlgorithm.compute`."""
        height, width = previous.shape[:2]
        if min(height, width) < DIS_MIN_SIDE:
            raise ValueError(
                f"optical flow by dis: expected frames of at least {DIS_MIN_SIDE}x{DIS_MIN_SIDE} "
                f"pixels, received {width}x{height}"
            )
        if not hasattr(_OF_THREAD, "dis"):
            _OF_THREAD.dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        return _channels_first(_OF_THREAD.dis.calc(_gray(previous), _gray(following), None))


class Farneback:
    """Computes flow by polynomial expansion (Farneback, 2003).

    The parameters are those of OpenCV's own class `FarnebackOpticalFlow`: 5 levels of half the
    size each, a window of 13, 10 iterations, polynomials over 5 pixels with a sigma of 1.1.
    """

    name = "farneback"

    def compute(self, previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        """Computes the flow from one frame to the next, see `FlowAlgorithm.compute`."""
        flow = cv2.calcOpticalFlowFarneback(
            _gray(previous), _gray(following), None, 0.5, 5, 13, 10, 5, 1.1, 0
        )
        return _channels_first(flow)


class TvL1:
    """Computes flow by duality of total variation and L1 (Zach et al., 2007), OpenCV's defaults.

    Raises:
        ValueError: This OpenCV is built without its contrib modules.
    """

    name = "tvl1"

    def __init__(self) -> None:
        if not hasattr(getattr(cv2, "optflow", None), "DualTVL1OpticalFlow_create"):
            raise ValueError(
                "optical flow by tvl1 needs OpenCV's contrib modules: replace this OpenCV by "
                "`pip uninstall opencv-python-headless` and then "
                "`pip install opencv-contrib-python-headless`, which holds the same cv2 and more "
                "(both side by side overwrite each other)"
            )

    def compute(self, previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        """Computes the flow from one frame to the next, see `FlowAlgorithm.compute`."""
        optflow: Any = cv2.optflow  # type: ignore[attr-defined]
        solver = optflow.DualTVL1OpticalFlow_create()
        return _channels_first(solver.calc(_gray(previous), _gray(following), None))


def _gray(frame: np.ndarray) -> np.ndarray:
    gray: np.ndarray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return gray


def _channels_first(flow: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(flow.transpose(2, 0, 1))
