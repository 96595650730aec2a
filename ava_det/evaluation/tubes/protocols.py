"""Describes the public evaluators of tubes as settings of one evaluator.

Each was read in the code that its authors published; docs/tubes.md shows what each setting does to
a number. MMAction2 copies MultiSports' evaluator: its numbers differ by its linking alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

# what MultiSports' evaluator leaves out by name: too rare in its val and test sets
MULTISPORTS_LEFT_OUT = (
    "aerobic kick jump",
    "aerobic off axis jump",
    "aerobic butterfly jump",
    "aerobic balance turn",
    "basketball save",
    "basketball jump ball",
)

# name -> thresholds whose results are averaged, as the evaluators compute them
RANGES: dict[str, tuple[float, ...]] = {
    "0.05:0.45": tuple(0.05 + 0.05 * step for step in range(9)),
    "0.10:0.90": tuple(0.1 + 0.1 * step for step in range(9)),
    "0.50:0.95": tuple(0.5 + 0.05 * step for step in range(10)),
}


@dataclass(frozen=True)
class Curve:
    """Holds how average precision is computed from hits and misses in order of score.

    Attributes:
        trapezoid: The area under the raw curve from recall 0 and precision 1, by trapezoids; else
            under the curve made monotone (PASCAL VOC, all points).
        single_points: Precision and recall are float32.
        recall_epsilon: Added to the denominator of recall.
        rounding: "none"; "single mean": the mean is taken over float32 percents; "single": and the
            APs are such; "hundredths": AP is rounded to 0.01 %.
    """

    trapezoid: bool = False
    single_points: bool = False
    recall_epsilon: float = 0.0
    rounding: str = "none"


@dataclass(frozen=True)
class TaskRules:
    """Holds how one evaluator scores one task, frames or tubes.

    Attributes:
        pixels: How boxes have an area: "continuous", x2 - x1; "inclusive", x2 - x1 + 1; or
            "touching", inclusive and zero where the boxes do not touch.
        takes_next: A ground truth that is taken is removed, so that a second detection may take
            the next best; else it stays, and the second detection is false.
        without_truth: A class without ground truth: "left out" of the mean, "zero" in it, or
            "refused": zero, and an error once it is detected.
        curve: How average precision is computed.
    """

    pixels: str = "continuous"
    takes_next: bool = False
    without_truth: str = "left out"
    curve: Curve = field(default_factory=Curve)


@dataclass(frozen=True)
class TubeProtocol:
    """Holds the settings of one evaluator.

    Attributes:
        name: Of the protocol.
        frame: Rules of frame mAP.
        video: Rules of video mAP.
        time: How the extents of two tubes overlap: "distance", last - first; "counted" frames;
            "counted two": counted, and 0 for a single shared frame; "ignored": boxes alone are
            compared, over the frames of the ground truth.
        nms: Overlap beyond which a tube is removed for a better one of its video and class, before
            it is scored; None for no removal.
        left_out: Names of classes that are not scored.
        strangers_are_false: A tube of a video outside the split is a false positive; else it is
            not scored.
    """

    name: str
    frame: TaskRules
    video: TaskRules
    time: str = "distance"
    nms: float | None = None
    left_out: tuple[str, ...] = ()
    strangers_are_false: bool = False


_TRAPEZOID = Curve(trapezoid=True, single_points=True)
_MULTISPORTS = TubeProtocol(
    "multisports",
    TaskRules(),
    TaskRules(),
    left_out=MULTISPORTS_LEFT_OUT,
    strangers_are_false=True,
)
_ACT = TaskRules("inclusive", True, "refused", replace(_TRAPEZOID, rounding="single mean"))
_YOWO = TubeProtocol(
    "yowo",
    TaskRules("touching"),
    TaskRules(
        "inclusive",
        True,
        "zero",
        Curve(single_points=True, recall_epsilon=1e-5, rounding="hundredths"),
    ),
    time="counted two",
    nms=0.3,
)

TUBE_PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        _MULTISPORTS,
        replace(_MULTISPORTS, name="mmaction2"),
        TubeProtocol("act", _ACT, _ACT, time="counted", nms=0.3),
        TubeProtocol(
            "retinanet3d",
            TaskRules("continuous", True, "zero", Curve(rounding="single")),
            TaskRules("inclusive", True, "zero", _TRAPEZOID),
            time="counted",
        ),
        _YOWO,
        replace(_YOWO, name="yowo-spatial", time="ignored"),
    )
}


def tube_protocol_named(name: str) -> TubeProtocol:
    """Returns the protocol of a name.

    Raises:
        ValueError: There is none of that name; the message lists them.
    """
    if name not in TUBE_PROTOCOLS:
        raise ValueError(f"protocol {name!r}: expected one of {', '.join(TUBE_PROTOCOLS)}")
    return TUBE_PROTOCOLS[name]
