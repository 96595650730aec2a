"""Names of ARTNet's authors: the layers of their Caffe definition, numbered in part.

`pooling2` and `redu2` belong to the second SMART unit, which is res2a's; a norm is named after the
sum before it, and is the first layer of the next block among ours.
"""

from __future__ import annotations

from ava_det.checkpoint.translation import Source, Table

_SMART = ("conv1", "res2a.b", "res2b.b", "res3a.b", "res3b.b", "res4a.b", "res4b.b")
_BLOCKS = ("res2a", "res2b", "res3a", "res3b", "res4a", "res4b", "res5a", "res5b", "last")


def _unit(suffix: str | None) -> str:
    return "bn" if suffix else "conv"


def _make_table(_names: list[str]) -> Table:
    streams = {None: "appearance", "_t": "relation"}

    def smart(number: str) -> str:
        return f"backbone.{_SMART[int(number) - 1]}"

    def after(block: str) -> str:
        return f"backbone.{_BLOCKS[_BLOCKS.index(block) + 1]}"

    return [
        (
            r"conv1(_t)?(_bn)?\.(.+)",
            lambda m: f"backbone.conv1.{streams[m[1]]}.{_unit(m[2])}.{m[3]}",
        ),
        (r"pooling([1-7])(_bn)?\.(.+)", lambda m: f"{smart(m[1])}.pairs.{_unit(m[2])}.{m[3]}"),
        (r"redu1_bn\.(.+)", r"backbone.res2a.norm.\1"),
        (r"redu([1-7])\.(.+)", lambda m: f"{smart(m[1])}.reduce.{m[2]}"),
        (r"(res5[ab])_2\.(.+)", r"backbone.\1.b.\2"),
        (r"(res[2-5][ab])_1(_bn)?\.(.+)", lambda m: f"backbone.{m[1]}.a.{_unit(m[2])}.{m[3]}"),
        (
            r"(res[2-4][ab])_2(_t)?(_bn)?\.(.+)",
            lambda m: f"backbone.{m[1]}.b.{streams[m[2]]}.{_unit(m[3])}.{m[4]}",
        ),
        (r"(res[3-5]a)_down\.(.+)", r"backbone.\1.shortcut.\2"),
        (r"(res[2-5][ab])_bn\.(.+)", lambda m: f"{after(m[1])}.norm.{m[2]}"),
        (r"fc8\.(weight|bias)", r"head.projection.\1"),
    ]


ARTNET = Source(r"conv1_t\.|res2a_2_t\.", _make_table)
