"""Computes the overlaps of boxes on the same keyframe, for whole tables at once."""

from __future__ import annotations

import polars as pl

KEYFRAME = ["video_id", "timestamp"]
BOX = ["x1", "y1", "x2", "y2"]


def compute_overlaps(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Computes the IoU of every pair of boxes on the same keyframe, one from each table.

    Args:
        first: A table of `split_rows.tabulate`.
        second: Another one.

    Returns:
        The columns row (of `first`), row_b (of `second`) and iou.
    """
    pairs = first.join(second, on=KEYFRAME, suffix="_b")
    sides = [
        pl.min_horizontal(f"{a}2", f"{a}2_b") - pl.max_horizontal(f"{a}1", f"{a}1_b")
        for a in ("x", "y")
    ]
    shared = sides[0].clip(lower_bound=0) * sides[1].clip(lower_bound=0)
    areas = [
        (pl.col(f"x2{end}") - pl.col(f"x1{end}")) * (pl.col(f"y2{end}") - pl.col(f"y1{end}"))
        for end in ("", "_b")
    ]
    iou = pl.when(shared > 0).then(shared / (areas[0] + areas[1] - shared)).otherwise(0.0)
    return pairs.select("row", "row_b", iou=iou)
