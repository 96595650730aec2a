"""Describes the five evaluators that published AVA numbers come from, as settings of one evaluator.

Their differences are small and each moves mAP, so a number means nothing without the name of its
protocol. All five share the core in `frame_map.py`. `docs/evaluation.md` explains each setting.
"""

from __future__ import annotations

from dataclasses import dataclass

from ava_det.formats.ava_csv import (
    EMPTY_ACTION,
    EMPTY_BOX,
    EMPTY_COLUMN_8,
    FRACTIONAL_TIMESTAMP,
    SEVEN_COLUMNS,
    TWO_COLUMNS,
    AvaRows,
)


@dataclass(frozen=True)
class Protocol:
    """Holds one evaluator's settings; the defaults are those of ActivityNet's current code.

    Attributes:
        name: Of the protocol.
        cap: Rows kept per keyframe, over all classes; 0 for all.
        exclusion: What the exclusion list drops: "nothing"; "both" sides; or "keeps ground truth":
            the detections are dropped and the ground truth stays in the denominator.
        scored_keyframes: Where a detection can be a false positive: "annotated" keyframes have a
            ground-truth row of any class, "on-list" ones a row of an evaluated class, "all" are
            all; elsewhere a detection is ignored.
        sorts_matches: Match in order of descending score, else in file order.
        person_id_order: Of ground-truth boxes overlapped equally the highest person id is taken,
            else the first in file.
        single_precision: Boxes and ranked scores are float32.
        drops_invalid_boxes: A detection without area is dropped after the cap; else it stays, and
            an inverted one is an error.
        score_floor: A detection with a score at or below it, or NaN, is dropped too; None for no
            floor.
        undetected_is_zero: A class with ground truth and without detection counts as AP 0, else it
            is left out of the mean.
        whole_seconds: Timestamps must be written as integers.
        two_column_rows: `video_id,timestamp` is a keyframe without action, else an error.
        needs_scores: A detection row must have a score, else seven columns mean a score of 1.
        reads_person_ids: An empty person id is an error.
    """

    name: str
    cap: int = 0
    exclusion: str = "both"
    scored_keyframes: str = "all"
    sorts_matches: bool = True
    person_id_order: bool = False
    single_precision: bool = False
    drops_invalid_boxes: bool = True
    score_floor: float | None = None
    undetected_is_zero: bool = True
    whole_seconds: bool = True
    two_column_rows: bool = False
    needs_scores: bool = False
    reads_person_ids: bool = True


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "activitynet-2020",
            cap=50,
            exclusion="nothing",
            scored_keyframes="annotated",
            person_id_order=True,
            whole_seconds=False,
            two_column_rows=True,
        ),
        Protocol("activitynet-2019", cap=50, person_id_order=True),
        Protocol("activitynet-2018", score_floor=-10.0),
        Protocol("pyslowfast", sorts_matches=False, needs_scores=True, reads_person_ids=False),
        Protocol(
            "mmaction2",
            exclusion="keeps ground truth",
            scored_keyframes="on-list",
            person_id_order=True,
            single_precision=True,
            drops_invalid_boxes=False,
            undetected_is_zero=False,
        ),
    )
}


def protocol_named(name: str) -> Protocol:
    """Returns the protocol of a name.

    Raises:
        ValueError: There is none of that name; the message lists the five.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"protocol {name!r}: expected one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def check_forms(protocol: Protocol, annotations: AvaRows, detections: AvaRows) -> None:
    """Refuses forms of rows that the protocol's evaluator cannot read.

    Raises:
        ValueError: There is such a row; the message names file and line.
    """
    both = (annotations, detections)
    rules = [
        (EMPTY_BOX, (annotations,), True, "a box in every row of more than two columns"),
        (EMPTY_ACTION, (annotations,), True, "an action id in every row of more than two columns"),
        (
            EMPTY_COLUMN_8,
            (annotations,),
            protocol.reads_person_ids,
            "a person id where there is a column 8",
        ),
        (FRACTIONAL_TIMESTAMP, both, protocol.whole_seconds, "timestamps written as whole seconds"),
        (TWO_COLUMNS, both, not protocol.two_column_rows, "rows of seven or eight columns"),
        (SEVEN_COLUMNS, (detections,), protocol.needs_scores, "a score in column 8"),
    ]
    for form, files, refused, expected in rules:
        for rows in files:
            if refused and form in rows.forms:
                where = f"{rows.path}, line {rows.forms[form]}"
                raise ValueError(
                    f"{where}: protocol {protocol.name} expects {expected}, "
                    f"found {_FORM_NAMES[form]}"
                )


_FORM_NAMES = {
    EMPTY_BOX: "an empty box",
    EMPTY_ACTION: "an empty action id",
    EMPTY_COLUMN_8: "an empty column 8",
    FRACTIONAL_TIMESTAMP: "a fraction or a decimal point",
    TWO_COLUMNS: "a row of two columns",
    SEVEN_COLUMNS: "a row of seven columns",
}
