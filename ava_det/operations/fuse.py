"""Does what `ava-det fuse` does: makes an ensemble of result CSVs, and scores it on request."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

from ava_det.ensembles import (
    ScoredMember,
    check_members,
    check_weights,
    describe_members,
    find_best,
    fit_weights,
    fuse_rows,
    write_ensemble_report,
)
from ava_det.evaluation import evaluate_rows
from ava_det.evaluation.metrics import FrameMapResult
from ava_det.evaluation.report import Sources, format_number, load_figures
from ava_det.evaluation.symptoms import refuse_swapped_files
from ava_det.files import require_other_files
from ava_det.formats.annotations import (
    AvaRows,
    load_annotations,
    load_detections,
    load_excluded,
    write_result_rows,
)
from ava_det.formats.label_map import load_label_groups, load_label_map


class _Scoring:
    """Scores rows against one ground truth, as `ava-det score` does unless told otherwise.

    Args:
        annotations: File of the ground truth.
        args: The options of the command.
    """

    def __init__(self, annotations: Path, args: argparse.Namespace) -> None:
        self.annotations = load_annotations(annotations)
        self.label_map = load_label_map(args.label_map)
        self.excluded = load_excluded(args.excluded) if args.excluded else set()

    def score(self, rows: AvaRows) -> FrameMapResult:
        """Scores the rows."""
        refuse_swapped_files(self.annotations, rows)
        return evaluate_rows(self.annotations, rows, self.label_map, self.excluded).result


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det fuse` and returns its exit code."""
    _refuse_same_file(args.detections)
    names = ("fit", "annotations", "label_map", "excluded")
    read = {f"--{name.replace('_', '-')}": getattr(args, name) for name in names}
    written = {"--output": args.output, "--report": args.report}
    require_other_files(written, {"the ensemble": args.detections, **read})
    if args.report:
        if args.report.absolute() == args.output.absolute():
            raise ValueError(f"--report: expected another file than --output, found {args.report}")
        load_figures()  # a missing library is said before the work
    members = [load_detections(path) for path in args.detections]
    check_members(members)
    scoring = _Scoring(args.annotations or args.fit, args) if args.annotations or args.fit else None
    notes = describe_members(members)
    if args.pool:
        notes.append(f"of boxes that overlap by {args.iou:g} the surest stays, class by class")
    weights = args.weights or [1.0] * len(members)
    if args.fit:
        weights, sentence = _fit(args, members)
        notes.append(sentence)
    check_weights(weights, len(members))
    ensemble = fuse_rows(members, weights, args.iou, args.pool)
    write_result_rows(args.output, ensemble)
    for note in notes:
        print(f"note: {note}")
    shown = ", ".join(f"{weight:g}" for weight in weights)
    print(f"{args.output}: {len(ensemble)} rows of {len(members)} files, weights {shown}")
    if scoring is not None:
        scored = [
            ScoredMember(str(path), weight, scoring.score(rows))
            for path, weight, rows in zip(args.detections, weights, members, strict=True)
        ]
        _show(args, scoring.score(ensemble), scored, notes)
    return 0


def _refuse_same_file(paths: Sequence[Path]) -> None:
    for first, second in itertools.combinations(paths, 2):
        if first.exists() and second.exists() and first.samefile(second):
            again = f"{first}" if first == second else f"{first} as {second}"
            raise ValueError(f"expected each result file once, found {again} twice")


def _fit(args: argparse.Namespace, members: Sequence[AvaRows]) -> tuple[Sequence[float], str]:
    """Searches the weights; returns them and the sentence that says on what they were fitted."""
    scoring = _Scoring(args.fit, args)
    fit = fit_weights(members, lambda rows: scoring.score(rows).mean_ap or 0.0, args.iou, args.pool)
    if not fit.score:
        raise ValueError(
            f"{args.fit}: expected ground truth that the detections meet, found mAP 0 with all "
            f"{fit.num_tried} weights that were tried"
        )
    shown = ", ".join(f"{weight:g}" for weight in fit.weights)
    return fit.weights, (
        f"weights {shown} were fitted on {args.fit} (the best of {fit.num_tried} that were tried): "
        f"mAP {fit.score:.4f} there is that of a choice, and other videos may give less"
    )


def _show(
    args: argparse.Namespace,
    ensemble: FrameMapResult,
    members: Sequence[ScoredMember],
    notes: Sequence[str],
) -> None:
    """Prints what members and ensemble reach, and writes the report that was asked for."""
    for sentence in ensemble.warnings:
        print(f"warning: {sentence}")
    for member in members:
        print(f"{format_number(member.result.mean_ap)}  {member.path}, weight {member.weight:g}")
    gain = (ensemble.mean_ap or 0.0) - find_best(members).mean_ap
    print(
        f"frame mAP {format_number(ensemble.mean_ap)} at IoU {ensemble.iou_threshold:g}, "
        f"{ensemble.protocol}, {gain:+.4f} over the best file alone"
    )
    if args.report:
        sources = Sources(str(args.annotations or args.fit), str(args.output))
        groups = load_label_groups(args.label_map)
        write_ensemble_report(args.report, ensemble, members, sources, groups, notes)
        print(f"report: {args.report}")
