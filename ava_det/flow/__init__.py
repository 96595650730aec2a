"""Computes optical flow between frames, codes it in 8 bits, and reads and writes folders of it.

A field is float32 [2, H, W]: u, then v. The point at (x, y) of a frame is at (x + u, y + v) in the
frame a step later, in pixels, x to the right and y down.
"""

from ava_det.flow.algorithm import FlowAlgorithm, build_flow, compute_clip_flow
from ava_det.flow.coding import PUBLISHED_RANGE, decode_flow, encode_flow, flip_flow, resize_flow
from ava_det.flow.computed import ComputedFlow
from ava_det.flow.folder import FlowFolder, write_flow_folder
from ava_det.flow.pairs import count_pairs, video_flow
from ava_det.flow.stored import StoredFlow

__all__ = [
    "PUBLISHED_RANGE",
    "ComputedFlow",
    "FlowAlgorithm",
    "FlowFolder",
    "StoredFlow",
    "build_flow",
    "compute_clip_flow",
    "count_pairs",
    "decode_flow",
    "encode_flow",
    "flip_flow",
    "resize_flow",
    "video_flow",
    "write_flow_folder",
]
