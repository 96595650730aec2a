"""Turns the keyframes of tracked persons into segments: who did what from when to when."""

from ava_det.segments.finder import Segment, SegmentFinder, SegmentRules, find_segments
from ava_det.segments.table import SegmentsFile, check_table_name, format_csv, write_segments

__all__ = [
    "Segment",
    "SegmentFinder",
    "SegmentRules",
    "SegmentsFile",
    "check_table_name",
    "find_segments",
    "format_csv",
    "write_segments",
]
