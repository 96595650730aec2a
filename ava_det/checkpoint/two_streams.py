"""Tells the entries of a two-stream network's streams apart.

In our names such a network is

    rgb.{backbone,head}.X, flow.{backbone,head}.X           two whole networks, joined by scores
    backbone.rgb.X, backbone.flow.X, head.X                 two backbones, joined at their maps
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

STREAMS = ("rgb", "flow")
MARK = r"rgb\.backbone\.|backbone\.rgb\."


def split_streams(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Separates a two-stream network's entries, under the names that each stream has alone.

    Args:
        tensors: The entries, under our names.

    Returns:
        `rgb` and `flow` -> entries, both with the head where there is one for both; empty for a
        network of one stream.
    """
    streams = {}
    for stream in STREAMS:
        whole, at_maps = f"{stream}.", f"backbone.{stream}."
        entries = {
            name.removeprefix(whole).replace(at_maps, "backbone."): tensor
            for name, tensor in tensors.items()
            if name.startswith((whole, at_maps, "head."))
        }
        if any(name.startswith("backbone.") for name in entries):
            streams[stream] = entries
    return streams if len(streams) == len(STREAMS) else {}
