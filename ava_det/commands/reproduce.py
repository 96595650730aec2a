"""Reproduces a published mAP from AVA's original validation movies, and says why where it does not.

    ava-det reproduce --weights pyslowfast/SLOWFAST_32x2_R101_50_50_v2.1 --videos data/ava/videos
    ava-det reproduce --weights ... --videos DIR --limit 1 train.num_workers=2
    torchrun --nproc-per-node 8 -m ava_det reproduce --weights ... --videos DIR

The same command goes on with what was scored before. See docs/reproducing.md.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ava_det.checkpoint import resolve_weights
from ava_det.cli import ToolParser, count, reports_mistakes
from ava_det.config import Config, SplitConfig, config_to_dict, load_config
from ava_det.data.build import load_label_map_for
from ava_det.data.transforms import normalize_batch
from ava_det.device.precision import resolve_precision
from ava_det.device.select import prepare_torch
from ava_det.distributed import gather_objects, is_main_process, process_group
from ava_det.evaluation import PROTOCOLS
from ava_det.files import hash_file
from ava_det.files.shared_jobs import begin_job, share_out
from ava_det.formats.annotations import (
    AvaRows,
    concatenate_rows,
    load_annotation_files,
    load_detections,
    load_excluded,
    write_detections,
)
from ava_det.inference.batch import predict_batch
from ava_det.inference.trained_model import load_trained_model
from ava_det.reproduction.causes import (
    compare,
    find_annotation_problems,
    find_list_problems,
    find_odd_classes,
    name_causes,
)
from ava_det.reproduction.published import PublishedResult, find_published, load_reference
from ava_det.reproduction.report import Reproduction, protocol_table, write_reports
from ava_det.reproduction.scoring import score_protocols, select_videos
from ava_det.reproduction.videos import (
    VideoFacts,
    find_video_problems,
    inspect_videos,
    require_start_second,
)
from ava_det.structures import Detections, Keyframe, KeyframeKey
from ava_det.tasks.run_folder import describe_environment
from ava_det.tasks.splits import Split, build_eval_loader, build_split
from ava_det.video.sources import find_videos

logger = logging.getLogger("ava_det")

FIRST_KEYFRAME = 902.0
LAST_KEYFRAME = 1798.0  # of AVA; the published box lists reach further


@dataclass
class Plan:
    """What is to be scored: whole videos, by id, each with the keyframes of the box list."""

    annotations: AvaRows
    label_map: dict[int, str]
    excluded: set[KeyframeKey]
    keyframes: dict[str, list[Keyframe]]
    missing: list[str]
    facts: list[VideoFacts]
    problems: list[str]


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_intermixed_args(argv)
    published = find_published(args.weights)
    overrides = [f"data.video_dir={args.videos}", *args.overrides]
    if args.config is not None:
        config = load_config(args.config, overrides)
    elif published is not None:
        config = load_config(published.config, [*published.overrides, *overrides])
    else:
        raise ValueError(
            f"--weights {args.weights}: no published name or file, expected --config to say how to run it"
        )
    reference = (
        load_reference(args.reference)
        if args.reference
        else dict(published.reference)
        if published
        else {}
    )
    weights = resolve_weights(args.weights)
    folder = Path(args.output or f"outputs/reproduce/{Path(args.weights).stem}")
    device = prepare_torch(config)
    # results and reports name it
    config = replace(config, precision=resolve_precision(config.precision, device))
    with process_group(device):
        plan = make_plan(config, published, device, args.limit)
        if is_main_process():
            for problem in plan.problems:
                logger.warning(problem)
        identity = describe_identity(config, weights)
        if is_main_process():
            prepare_folder(folder, identity)
        model, _ = load_trained_model(config, args.weights, device)
        lost = score_videos(config, model, plan, folder, device)
        if is_main_process():
            protocols = list(PROTOCOLS) if args.protocol == "all" else [args.protocol]
            results = score_results(plan, folder, protocols)
            reproduction = summarize(
                args.weights, identity["weights"], published, config, plan, results, lost
            )
            reproduction.reference_source = args.reference or reproduction.reference_source
            reproduction.classes = find_odd_classes(headline(published, results), reference)
            report(reproduction, folder)
    return 0


def make_parser() -> ToolParser:
    parser = ToolParser("ava-det reproduce", __doc__)
    parser.add_weights("a published name (MODEL_ZOO.md), or a weights file", required=True)
    parser.add_argument(
        "--videos",
        required=True,
        metavar="DIR",
        help="original movies, cut ones, or picture folders",
    )
    parser.add_config(
        "how to run the weights (default: the published config of their name)", required=False
    )
    parser.add_argument(
        "--protocol", choices=[*PROTOCOLS, "all"], default="all", help="default: %(default)s"
    )
    parser.add_argument("--limit", type=count, metavar="N", help="score the first N movies only")
    parser.add_argument(
        "--reference", metavar="LOG", help="a published test log, to compare every class with"
    )
    parser.add_argument(
        "--output", metavar="DIR", help="default: outputs/reproduce/NAME; run again to go on"
    )
    parser.add_device_key()
    parser.add_overrides()
    return parser


def make_plan(
    config: Config, published: PublishedResult | None, device: torch.device, limit: int | None
) -> Plan:
    """Which movies there are, what is wrong with them, and which keyframes the box list asks for.

    Keyframes are those of the box list, not of the annotations: a published evaluator counts a
    person on an unlabeled keyframe as a false positive. Excluded ones are scored too, as not every
    protocol drops them.
    """
    val = config.data.val
    if not val.annotation_files:
        raise ValueError("data.val.annotations: expected the AVA CSV of the validation movies")
    annotations = load_annotation_files(val.annotation_files)
    label_map = load_label_map_for(config)
    excluded = {keyframe for path in val.excluded_files for keyframe in load_excluded(path)}
    videos = find_videos(config.data.video_dir or "")
    wanted = sorted(annotations.video_names)
    present = [video_id for video_id in wanted if video_id in videos]
    if not present:
        raise ValueError(
            f"{config.data.video_dir}: expected movies named by the ids of {annotations.path} ({wanted[0]}, ...)"
        )
    facts, broken = inspect_videos(present[:limit], videos, config.data.start_second)
    require_start_second(facts, config.data.grid_start_second)
    list_only = replace(config, data=replace(config.data, val=SplitConfig(boxes=val.boxes)))
    keyframes: dict[str, list[Keyframe]] = {video.video_id: [] for video in facts}
    if val.boxes == "gt" or not Path(val.boxes).is_file():
        raise ValueError(
            f"data.val.boxes: expected the published list of person boxes, found no file {val.boxes}"
        )
    for keyframe in build_split(list_only, "val", device).keyframes:
        if keyframe.video_id in keyframes and FIRST_KEYFRAME <= keyframe.timestamp <= LAST_KEYFRAME:
            keyframes[keyframe.video_id].append(keyframe)
    last = max((k.timestamp for part in keyframes.values() for k in part), default=0.0)
    problems = [
        *find_video_problems(facts, last),
        *find_list_problems(published, val.boxes, config.data.min_person_score),
        *find_annotation_problems(published, config.data.ava_version, val.annotation_files),
        *(f"unreadable: {sentence}" for sentence in broken),
    ]
    missing = [video_id for video_id in wanted if video_id not in videos]
    if missing and limit is None:
        problems.append(f"missing movies: {len(missing)} of {len(wanted)}, such as {missing[0]}")
    return Plan(annotations, label_map, excluded, keyframes, missing, facts, problems)


def score_videos(
    config: Config, model: nn.Module, plan: Plan, folder: Path, device: torch.device
) -> list[str]:
    """Runs this process's share of the videos that have no result yet; sentences about lost clips
    of all processes.
    """
    mine, num_pending = share_out(
        sorted(plan.keyframes),
        is_done=lambda video_id: (folder / "videos" / f"{video_id}.csv").is_file(),
    )
    num_done = len(plan.keyframes) - num_pending
    if is_main_process() and num_done:
        print(f"{num_done} of {len(plan.keyframes)} movies are there from an earlier run")
    lost: list[str] = []
    total = sum(len(plan.keyframes[video_id]) for video_id in mine)
    with tqdm(total=total, unit="keyframe", disable=not is_main_process()) as bar:
        for video_id in mine:
            bar.set_description(video_id)
            lost += score_video(config, model, video_id, plan, folder, device, bar)
    return [sentence for part in gather_objects(lost) for sentence in part]


def score_video(
    config: Config,
    model: nn.Module,
    video_id: str,
    plan: Plan,
    folder: Path,
    device: torch.device,
    bar: tqdm,
) -> list[str]:
    """Writes videos/ID.csv, or ID.partial.csv, which the next run tries again, where clips were
    lost.
    """
    keyframes = plan.keyframes[video_id]
    target = folder / "videos" / f"{video_id}.csv"
    detections: list[Detections] = []
    losses: dict[str, tuple[int, str]] = {}
    if any(len(keyframe.boxes) for keyframe in keyframes):
        split = Split("val", keyframes, None, set(), config.data.val.boxes)
        loader = build_eval_loader(config, split, config.data.test_short_side, shared=False)
        with loader.failures_named():
            for batch in loader:
                ready = normalize_batch(batch, config.data.mean, config.data.std, device)
                detections += predict_batch(model, ready, config.precision)
                bar.update(len(batch.keyframes))
        losses = loader.count_lost()
    detections.sort(key=lambda detection: detection.keyframe.timestamp)
    partial = target.with_suffix(".partial.csv")
    write_detections(partial if losses else target, detections, action_ids=list(plan.label_map))
    if not losses:
        partial.unlink(missing_ok=True)
    return [
        f"{count} keyframes of {name} got no detections: {reason}"
        for name, (count, reason) in losses.items()
    ]


def result_files(folder: Path, video_ids: Mapping[str, list[Keyframe]]) -> list[Path]:
    """The result of each video, whole or partial."""
    wholes = [folder / "videos" / f"{name}.csv" for name in sorted(video_ids)]
    return [whole if whole.is_file() else whole.with_suffix(".partial.csv") for whole in wholes]


def score_results(plan: Plan, folder: Path, protocols: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Protocol -> metrics, of the detections of all videos against the ground truth of the same
    videos.
    """
    detections = concatenate_rows(
        [load_detections(path) for path in result_files(folder, plan.keyframes)]
    )
    truth = select_videos(plan.annotations, plan.keyframes.keys())
    return score_protocols(truth, detections, plan.label_map, plan.excluded, protocols)


def headline(
    published: PublishedResult | None, results: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The metrics of the published protocol, or of the first one."""
    first = (
        published.protocol
        if published is not None and published.protocol in results
        else next(iter(results))
    )
    return results[first]


def summarize(
    weights: str,
    sha256: str,
    published: PublishedResult | None,
    config: Config,
    plan: Plan,
    results: Mapping[str, Mapping[str, Any]],
    lost: list[str],
) -> Reproduction:
    difference, verdict = compare(published, results, len(plan.keyframes))
    boxes = [len(keyframe.boxes) for keyframes in plan.keyframes.values() for keyframe in keyframes]
    return Reproduction(
        weights,
        sha256,
        published,
        verdict,
        difference,
        results,
        settings_of(config),
        plan.facts,
        plan.missing,
        len(boxes),
        sum(boxes),
        causes=name_causes(
            difference, headline(published, results).get("mAP"), plan.problems + lost
        ),
        lost=lost,
        reference_source=published.reference_source if published else None,
        environment=describe_environment(),
    )


def report(reproduction: Reproduction, folder: Path) -> None:
    """Prints what matters and writes the rest."""
    path = write_reports(folder, reproduction)
    print("\n".join(protocol_table(reproduction.results, reproduction.published)))
    for cause in reproduction.causes:
        print(f"likely cause: {cause}")
    print(f"{reproduction.verdict}; report: {path}")


def settings_of(config: Config) -> dict[str, Any]:
    """What decides the number, for the report."""
    data = config.data
    keys = (
        "ava_version",
        "start_second",
        "frame_grid",
        "grid_start_second",
        "frame_colour",
        "box_arithmetic",
        "slow_frame_policy",
        "test_short_side",
        "min_person_score",
        "label_map",
    )
    values = {f"data.{key}": getattr(data, key) for key in keys}
    values |= {
        f"data.val.{key}": getattr(data.val, key) for key in ("annotations", "excluded", "boxes")
    }
    return {**values, "model.roi_aligned": config.model.roi_aligned, "precision": config.precision}


def describe_identity(config: Config, weights: Path) -> dict[str, Any]:
    """What must be the same for results of an earlier run to count: weights, network, frames,
    boxes.
    """
    model = config_to_dict(config)["model"]
    return {
        "weights": hash_file(weights),
        "boxes": hash_file(Path(config.data.val.boxes)),
        "videos": str(Path(config.data.video_dir or "").resolve()),
        "model": model,
        "settings": {key: value for key, value in settings_of(config).items() if "val." not in key},
    }


def prepare_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Raises ValueError where the folder holds the results of something else."""
    changed = begin_job(folder / "identity.json", identity)
    if changed:
        names = ", ".join(setting.name for setting in changed)
        raise ValueError(f"{folder}: holds results of other {names}; choose another --output")


if __name__ == "__main__":
    sys.exit(main())
