"""Does what `ava-det score` does: computes frame mAP of a result CSV and prints it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path

import torch

from ava_det.evaluation import PROTOCOLS, Evaluation, evaluate_rows
from ava_det.evaluation.ava_evaluator import describe_inputs
from ava_det.evaluation.metrics import FrameMapResult, ProtocolResult, Refusal, compute_gains
from ava_det.evaluation.report import COUNT_MEANINGS, Sources, write_report
from ava_det.evaluation.summary import compute_group_means
from ava_det.evaluation.symptoms import refuse_swapped_files
from ava_det.files import require_other_files, write_json
from ava_det.formats.annotations import AvaRows, load_annotations, load_detections, load_excluded
from ava_det.formats.label_map import load_label_groups, load_label_map
from ava_det.operations.score_tubes import run_tubes
from ava_det.structures import KeyframeKey


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det score` and returns its exit code."""
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "--device cuda: expected a CUDA device, found none that this torch build can use"
        )
    if args.task != "ava":
        return run_tubes(args)
    _require_ava_options(args)
    if args.protocol == "all" and args.report:
        raise ValueError("--report: expected one --protocol, found all")
    pages = Path(args.report) / "index.html" if args.report else None
    read = ("annotations", "detections", "label_map", "excluded", "compare", "gt_boxes")
    require_other_files(
        {"--json": args.json, "--report": pages},
        {f"--{name.replace('_', '-')}": getattr(args, name) for name in read},
    )
    label_map = load_label_map(args.label_map)
    groups = load_label_groups(args.label_map)
    annotations = load_annotations(args.annotations)
    detections = load_detections(args.detections)
    refuse_swapped_files(annotations, detections)
    # also where the protocol has no use for it: a list that cannot be read is a mistake
    excluded: Set[KeyframeKey] = load_excluded(args.excluded) if args.excluded else frozenset()
    if args.protocol == "all":
        _score_protocols(args, annotations, detections, label_map, excluded, groups)
        return 0
    evaluation = _evaluate(
        args, args.protocol, annotations, detections, label_map, excluded, groups
    )
    _print_result(evaluation.result)
    compared = _evaluate_other(args, args.compare, annotations, label_map, excluded)
    if compared is not None:
        _print_comparison(evaluation.result, compared, args.compare)
    if args.json is not None:
        write_json(args.json, evaluation.result.to_json())
    if args.report:
        bound = _evaluate_other(args, args.gt_boxes, annotations, label_map, excluded)
        sources = Sources(args.annotations, args.detections, args.compare, args.gt_boxes)
        print(f"report: {write_report(args.report, evaluation, groups, sources, compared, bound)}")
    return 0


def _require_ava_options(args: argparse.Namespace) -> None:
    """Fills in the defaults of AVA's task and refuses the options of tubes."""
    if args.label_map is None:
        raise ValueError("--label-map: expected the label map of AVA's CSVs, found none")
    for name, default in (("split", 1), ("errors", None), ("label_type", None)):
        if getattr(args, name) != default:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option}: expected --task frame or video, found --task ava")
    args.protocol = args.protocol or "activitynet-2020"
    if args.protocol not in (*PROTOCOLS, "all"):
        raise ValueError(
            f"--protocol {args.protocol}: expected --task frame or video; of --task ava "
            f"{', '.join(PROTOCOLS)} or all"
        )
    args.iou = args.iou or [0.5]


def _score_protocols(
    args: argparse.Namespace,
    annotations: AvaRows,
    detections: AvaRows,
    label_map: Mapping[int, str],
    excluded: Set[KeyframeKey],
    groups: Mapping[int, str],
) -> None:
    """Scores under every protocol; one that refuses the rows has a sentence for a result."""
    results: dict[str, ProtocolResult] = {}
    for name in PROTOCOLS:
        try:
            results[name] = _evaluate(
                args, name, annotations, detections, label_map, excluded, groups
            ).result
        except (ValueError, OSError) as error:
            results[name] = Refusal(str(error))
    if all(isinstance(result, Refusal) for result in results.values()):
        raise ValueError(
            "; ".join(
                f"{name}: {result.error}"
                for name, result in results.items()
                if isinstance(result, Refusal)
            )
        )
    _print_protocols(results)
    if args.json is not None:
        write_json(args.json, {name: result.to_json() for name, result in results.items()})


def _evaluate(
    args: argparse.Namespace,
    protocol: str,
    annotations: AvaRows,
    detections: AvaRows,
    label_map: Mapping[int, str],
    excluded: Set[KeyframeKey],
    groups: Mapping[int, str] | None = None,
) -> Evaluation:
    settings = PROTOCOLS[protocol]
    used = frozenset() if settings.exclusion == "nothing" else excluded
    evaluation = evaluate_rows(
        annotations, detections, label_map, used, protocol, args.iou, args.device
    )
    result = evaluation.result
    sentences = describe_inputs(args.label_map, args.excluded, settings)
    means = None if groups is None else compute_group_means(result.per_class, groups)
    result = replace(result, warnings=(*sentences, *result.warnings), by_group=means)
    return replace(evaluation, result=result)


def _evaluate_other(
    args: argparse.Namespace,
    path: str | None,
    annotations: AvaRows,
    label_map: Mapping[int, str],
    excluded: Set[KeyframeKey],
) -> FrameMapResult | None:
    if path is None:
        return None
    detections = load_detections(path)
    refuse_swapped_files(annotations, detections)
    return _evaluate(args, args.protocol, annotations, detections, label_map, excluded).result


def _print_result(result: FrameMapResult) -> None:
    for sentence in result.warnings:
        print(f"warning: {sentence}")
    print(f"{'AP':>8} {'boxes':>8} {'rows':>9}  action")
    for action_id, row in result.per_class.items():
        print(f"{_number(row.ap)} {row.num_gt:8d} {row.num_det:9d}  {action_id} {row.name}")
    for name, value in (result.by_group or {}).items():
        print(f"{_number(value)}  mean of {name}")
    print("detection rows that were")
    for name, meaning in COUNT_MEANINGS.items():
        print(f"{result.counts[name]:10d}  {name.replace('_', '-')}: {meaning}")
    for threshold, other in result.by_iou.items():
        mean_ap = _number(other.mean_ap).strip()
        print(f"frame mAP {mean_ap} at IoU {threshold:g}, {result.protocol}")
    low, high = result.frame_map.tie_interval
    ties = f"; equal scores leave it between {low:.6f} and {high:.6f}" if low != high else ""
    where = f"at IoU {result.iou_threshold:g}, {result.protocol}, {result.num_keyframes} keyframes"
    print(f"frame mAP {_number(result.mean_ap).strip()} {where}{ties}")


def _print_protocols(results: Mapping[str, ProtocolResult]) -> None:
    sentences: dict[str, None] = {}
    for name, result in results.items():
        if isinstance(result, Refusal):
            print(f"{name:17} error: {result.error}")
            continue
        low, high = result.frame_map.tie_interval
        ties = f"  ({low:.6f} to {high:.6f} by the order of equal scores)" if low != high else ""
        value = _number(result.mean_ap).strip()
        print(f"{name:17} mAP {value}  {result.num_keyframes} keyframes{ties}")
        sentences.update(dict.fromkeys(result.warnings))
    for sentence in sentences:
        print(f"warning: {sentence}")


def _print_comparison(result: FrameMapResult, compared: FrameMapResult, path: str) -> None:
    gains = compute_gains(result.per_class, compared.per_class)
    print(f"gain in AP over {path} (mAP {_number(compared.mean_ap).strip()}), largest first")
    for action_id in sorted(gains, key=lambda key: -gains[key]):
        print(f"{gains[action_id]:+8.4f}  {action_id} {result.per_class[action_id].name}")


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:8.4f}"
