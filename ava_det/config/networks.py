"""Names the networks that can be built, and what must be known of each before it is built."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Family(NamedTuple):
    """Describes a family of networks to everything that does not build it.

    Attributes:
        clips: The clips that it reads, of `slow` and `fast`.
        min_frames: The fewest frames of the clip `slow` that its poolings leave something of.
        cannot: What it cannot do, by the value of `model.head` that is refused, with the reason as
            a part of a sentence.
        cannot_export: Why `ava-det export` refuses it, as a part of a sentence; None where it does
            not.
        has_layer_decay: Whether `train.layer_decay` may give its blocks learning rates by depth.
        needs_rgb: Why it reads frames of 3 channels alone, as a part of a sentence; None where it
            may read optical flow.
    """

    clips: tuple[str, ...] = ("slow",)
    min_frames: int = 1
    cannot: Mapping[str, str] = MappingProxyType({})
    cannot_export: str | None = None
    has_layer_decay: bool = False
    needs_rgb: str | None = None


# torch.export refuses both where height and width are free: torchvision's blocks branch on them
_TABLES = "its position tables are resized in a way that is traced for one size of picture alone"
_WINDOWS = "its windows are cut and shifted in a way that is traced for one size of picture alone"


# The networks of models/slowfast.py, described by the keys of the section `model` itself.
BACKBONES = ("slowfast", "slow_only", "fast_only", "i3d")
_STEM = "torchvision's stem of it has no other number of channels"
# One line a family. The section `model.<name>` holds what is its own, and models/build.py says
# which class it becomes.
FAMILIES: dict[str, Family] = {
    "vit": Family(has_layer_decay=True),
    "slowfast": Family(("slow", "fast")),
    "slow_only": Family(),
    "fast_only": Family(("fast",)),
    "i3d": Family(),
    "i3d_inception": Family(),
    "s3d": Family(min_frames=5),
    "eco": Family(),
    "artnet": Family(),
    "stc": Family(),
    "two_stream_cnn": Family(),
    "r2plus1d": Family(),
    # torchvision's own head of this one reads a class token that the feature map leaves out
    "mvit_v2_s": Family(
        cannot={"classification": "its feature map has no class token"},
        cannot_export=_TABLES,
        has_layer_decay=True,
        needs_rgb=_STEM,
    ),
    "swin3d_t": Family(cannot_export=_WINDOWS, has_layer_decay=True, needs_rgb=_STEM),
    "swin3d_s": Family(cannot_export=_WINDOWS, has_layer_decay=True, needs_rgb=_STEM),
    "swin3d_b": Family(cannot_export=_WINDOWS, has_layer_decay=True, needs_rgb=_STEM),
    "nl_i3d": Family(min_frames=5),
}
LATERALS = ("none", "ttoc_sum", "ttoc_concat", "t_sample", "t_conv")

# bottleneck blocks of res2..res5; 14 is one block each, for small data and quick tests
BLOCKS_PER_STAGE = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
