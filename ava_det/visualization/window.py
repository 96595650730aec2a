"""Shows pictures in a window on the screen, where OpenCV was built with one."""

from __future__ import annotations

import time

import cv2
import numpy as np

QUIT_KEYS = {27, ord("q")}  # Esc


class Window:
    """Shows RGB pictures no faster than they were recorded.

    Args:
        title: Of the window.

    Raises:
        ValueError: No window can be opened.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = time.monotonic()
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error:
            raise ValueError(
                "--show: this OpenCV has no windows, or there is no screen: "
                "pip uninstall opencv-python-headless, then pip install opencv-python"
            ) from None

    def show(self, picture: np.ndarray, seconds: float) -> bool:
        """Shows a picture, not before its time.

        Args:
            picture: RGB uint8 [H, W, 3].
            seconds: Since the first picture.

        Returns:
            False once the user has closed the window or pressed q or Esc.
        """
        early = seconds - (time.monotonic() - self._began)
        cv2.imshow(self._title, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(max(1, round(1000 * early)))
        return (
            key not in QUIT_KEYS and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        )

    def close(self) -> None:
        """Closes the window."""
        cv2.destroyWindow(self._title)
