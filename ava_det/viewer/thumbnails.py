"""Reads small pictures spread over a video."""

from __future__ import annotations

from ava_det.pages import encode_jpeg
from ava_det.video.reader import FrameReader, VideoError

NUM_THUMBNAILS = 24
SHORT_SIDE = 72  # pixels


def read_thumbnails(reader: FrameReader, duration: float) -> list[tuple[float, str]]:
    """Reads pictures of a video, evenly spread; damaged places are passed over.

    Args:
        reader: The video.
        duration: Seconds from its first frame to its end.

    Returns:
        Seconds since the first frame, and the picture as a `data:` address.
    """
    found = []
    for number in range(NUM_THUMBNAILS):
        seconds = duration * number / NUM_THUMBNAILS
        try:
            picture = reader.read([reader.start_second + seconds], SHORT_SIDE)[0]
        except VideoError:
            continue
        found.append((round(seconds, 3), encode_jpeg(picture, quality=70)))
    return found
