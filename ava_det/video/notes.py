"""Says what was assumed or changed to read a video: ends of sentences that begin with its name."""

from __future__ import annotations

from fractions import Fraction

from ava_det.video.clock import PacketIndex
from ava_det.video.tone import HDR_NAMES


def describe_clock(index: PacketIndex, rate: Fraction, tick: Fraction) -> list[str]:
    """Says that frames are counted, or where the clock of the file jumps.

    Args:
        index: The packets of the video.
        rate: Frames a second.
        tick: Seconds in one unit of the packets' times.

    Returns:
        At most one sentence.
    """
    if index.shifts is None:
        return [f"holds no times: its frames are counted, {float(rate):g} a second"]
    if not index.joins:
        return []
    seconds = float((int(index.times[index.joins[0]]) - index.first) * tick)
    return [describe_jump(seconds, len(index.joins))]


def describe_jump(seconds: float, count: int = 1) -> str:
    """Says that the clock of a video jumps.

    Args:
        seconds: When it first does, counted from the first frame.
        count: How often it does, as far as is known.
    """
    more = f" and in {count - 1} more places" if count > 1 else ""
    return (
        f"its clock starts again or jumps at {seconds:.1f} s{more} (joined recordings?): "
        "seconds go on over that"
    )


def describe_left_out(seconds: float | None) -> list[str]:
    """Says that frames are left out, because their times are those of frames before them.

    Args:
        seconds: Where the first is, counted from the first frame; None where there is none.

    Returns:
        At most one sentence.
    """
    if seconds is None:
        return []
    return [f"frames whose time repeats or goes back are left out, the first at {seconds:.1f} s"]


def describe_hdr(transfer: int) -> str:
    """Says that the colors of an HDR video, coded by `transfer` (PQ or HLG), are mapped."""
    return f"its colors are HDR ({HDR_NAMES[transfer]}): they are mapped to the standard range"


def describe_change(
    before: tuple[int, int, Fraction], after: tuple[int, int, Fraction], seconds: float
) -> str:
    """Says that the size of the frames changes.

    Args:
        before: Width and height in pixels of the file, and the aspect of a pixel.
        after: The same of later frames.
        seconds: When, counted from the first frame.
    """
    return (
        f"its pictures change from {describe_shape(*before)} to {describe_shape(*after)} "
        f"at {seconds:.1f} s: they are fitted into the first size"
    )


def describe_shape(width: int, height: int, aspect: Fraction) -> str:
    """Returns a size in pixels as text, with the pixels' aspect where they are not square."""
    pixels = "" if aspect == 1 else f" (pixels {aspect.numerator}:{aspect.denominator})"
    return f"{width}x{height}{pixels}"
