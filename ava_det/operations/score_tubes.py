"""Does what `ava-det score --task frame|video` does: mAP of tubes, printed and written."""

from __future__ import annotations

import argparse
from pathlib import Path

from ava_det.evaluation.metrics import Refusal, compute_gains
from ava_det.evaluation.report import Sources
from ava_det.evaluation.tubes import (
    RANGES,
    TUBE_PROTOCOLS,
    TubeResult,
    evaluate_frames,
    evaluate_tubes,
)
from ava_det.evaluation.tubes.report import COUNT_MEANINGS, write_tube_report
from ava_det.files import require_other_files, write_json
from ava_det.formats.tubes import TubeTruth, load_frame_boxes, load_tube_truth, load_tubes

_THRESHOLDS = {"frame": (0.5,), "video": (0.5, 0.2, 0.75)}  # the report shows the first


def run_tubes(args: argparse.Namespace) -> int:
    """Runs `ava-det score` for a task of tubes and returns its exit code."""
    _check_options(args)
    pages = Path(args.report) / "index.html" if args.report else None
    require_other_files(
        {"--json": args.json, "--report": pages},
        {f"--{name}": getattr(args, name) for name in ("annotations", "detections", "compare")},
    )
    truth = load_tube_truth(args.annotations)
    if args.protocol == "all":
        _score_protocols(args, truth)
        return 0
    result = _evaluate(args, truth, args.detections, args.protocol or "multisports")
    _print_result(result)
    compared = None
    if args.compare is not None:
        compared = _evaluate(args, truth, args.compare, result.protocol)
        _print_comparison(result, compared, args.compare)
    if args.json is not None:
        write_json(args.json, result.to_json())
    if args.report:
        sources = Sources(args.annotations, args.detections, args.compare)
        print(f"report: {write_tube_report(args.report, result, sources, compared)}")
    return 0


def _check_options(args: argparse.Namespace) -> None:
    """Refuses options that belong to AVA's files."""
    for name in ("label_map", "excluded", "gt_boxes"):
        if getattr(args, name) is not None:
            raise ValueError(
                f"--{name.replace('_', '-')}: expected --task ava, found --task {args.task}; the "
                "file of the ground truth names the classes and the videos"
            )
    if args.protocol is not None and args.protocol not in (*TUBE_PROTOCOLS, "all"):
        raise ValueError(
            f"--protocol {args.protocol}: expected one of {', '.join(TUBE_PROTOCOLS)} or all for "
            f"--task {args.task}"
        )
    if args.protocol == "all" and (args.report or args.compare):
        option = "--report" if args.report else "--compare"
        raise ValueError(f"{option}: expected one --protocol, found all")
    if args.errors is not None and args.task != "video":
        raise ValueError(f"--errors: expected --task video, found --task {args.task}")
    for value in (*(args.iou or ()), *([args.errors] if args.errors is not None else [])):
        if not 0 < value <= 1:
            raise ValueError(f"expected an IoU above 0 and up to 1, found {value:g}")


def _evaluate(args: argparse.Namespace, truth: TubeTruth, path: str, protocol: str) -> TubeResult:
    thresholds = args.iou or _THRESHOLDS[args.task]
    if args.task == "frame":
        boxes = load_frame_boxes(path, truth, args.split)
        return evaluate_frames(
            truth, boxes, protocol, thresholds, split=args.split, device=args.device
        )
    tubes = load_tubes(path, truth, args.split, args.label_type)
    return evaluate_tubes(
        truth, tubes, protocol, thresholds, tuple(RANGES), args.split, args.errors, args.device
    )


def _score_protocols(args: argparse.Namespace, truth: TubeTruth) -> None:
    """Scores under every protocol; one that refuses the detections has a sentence for a result."""
    results: dict[str, TubeResult | Refusal] = {}
    for name in TUBE_PROTOCOLS:
        try:
            results[name] = _evaluate(args, truth, args.detections, name)
        except ValueError as error:
            results[name] = Refusal(str(error))
    if all(isinstance(result, Refusal) for result in results.values()):
        raise ValueError(next(r.error for r in results.values() if isinstance(r, Refusal)))
    for name, result in results.items():
        if isinstance(result, Refusal):
            print(f"{name:13} error: {result.error}")
            continue
        values = [f"{t:g}: {_number(row.mean_ap)}" for t, row in result.by_threshold.items()]
        values += [f"{t}: {_number(mean)}" for t, mean in result.ranges.items()]
        print(f"{name:13} {args.task} mAP at IoU {'  '.join(values)}")
    if args.json is not None:
        write_json(args.json, {name: result.to_json() for name, result in results.items()})


def _print_result(result: TubeResult) -> None:
    for sentence in result.warnings:
        print(f"warning: {sentence}")
    thresholds = list(result.by_threshold)
    thing = "tubes" if result.task == "video" else "boxes"
    heads = "".join(f"{f'AP@{threshold:g}':>10}" for threshold in thresholds)
    print(f"{heads} {thing:>8} {'found':>9}  action")
    for label, row in result.by_threshold[thresholds[0]].per_class.items():
        values = [result.by_threshold[t].per_class[label].ap for t in thresholds]
        cells = "".join(f"{_number(value):>10}" for value in values)
        print(f"{cells} {row.num_gt:8d} {row.num_det:9d}  {label} {row.name}")
    print(f"detected {thing} that were not scored")
    for name, count in result.counts.items():
        print(f"{count:10d}  {name.replace('_', '-')}: {COUNT_MEANINGS[name]}")
    if result.errors is not None:
        print(f"errors at IoU {result.errors.threshold:g}: area over recall, and false tubes")
        for name, mean in result.errors.means.items():
            print(f"{mean:10.4f} {result.errors.num_errors.get(name, ''):>8}  {name}")
    for name, average in result.ranges.items():
        print(f"{result.task} mAP {_number(average)} at IoU {name}, {result.protocol}")
    for threshold, shown in reversed(result.by_threshold.items()):
        where = f"{result.protocol}, split {result.split}, {result.num_videos} videos"
        print(f"{result.task} mAP {_number(shown.mean_ap)} at IoU {threshold:g}, {where}")


def _print_comparison(result: TubeResult, compared: TubeResult, path: str) -> None:
    threshold, shown = next(iter(result.by_threshold.items()))
    other = compared.by_threshold[threshold]
    gains = compute_gains(shown.per_class, other.per_class)
    print(f"gain in AP over {path} (mAP {_number(other.mean_ap)}), largest first")
    for label in sorted(gains, key=lambda key: -gains[key]):
        print(f"{gains[label]:+8.4f}  {label} {shown.per_class[label].name}")


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
