"""Makes the page of one video, on which it plays with its boxes, and the index of such pages."""

from ava_det.viewer.content import VideoFacts, make_content
from ava_det.viewer.index import write_index
from ava_det.viewer.page import ViewFile, address_of, describe_video, format_view, write_view
from ava_det.viewer.thumbnails import read_thumbnails
from ava_det.viewer.truth import Truth, compare_with_truth

__all__ = [
    "Truth",
    "VideoFacts",
    "ViewFile",
    "address_of",
    "compare_with_truth",
    "describe_video",
    "format_view",
    "make_content",
    "read_thumbnails",
    "write_index",
    "write_view",
]
