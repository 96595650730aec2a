"""Does what `ava-det reproduce` does: scores published weights on AVA's movies."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from ava_det.checkpoint import resolve_weights
from ava_det.checkpoint.zoo import choose_weights
from ava_det.config import Config, SplitConfig, load_config
from ava_det.data.build import build_device_transform, load_label_map_for
from ava_det.device.precision import resolve_precision
from ava_det.device.select import prepare_torch
from ava_det.distributed import gather_objects, is_main_process, process_group
from ava_det.evaluation import PROTOCOLS
from ava_det.evaluation.metrics import ProtocolResult
from ava_det.formats.annotations import (
    load_annotation_files,
    load_excluded,
    write_detections,
)
from ava_det.inference.batch import predict_batch
from ava_det.inference.trained_model import load_trained_model
from ava_det.jobs.shared_job import PATIENCE, SharedJob, shared_job
from ava_det.reproduction.causes import (
    compare,
    find_annotation_problems,
    find_list_problems,
    find_odd_classes,
    name_causes,
)
from ava_det.reproduction.identity import describe_identity, list_settings, prepare_folder
from ava_det.reproduction.plan import Plan, score_results
from ava_det.reproduction.published import PublishedResult, find_published, load_reference
from ava_det.reproduction.report import Reproduction, protocol_table, write_reports
from ava_det.reproduction.videos import (
    find_video_problems,
    inspect_videos,
    require_start_second,
)
from ava_det.structures import Detections, Keyframe
from ava_det.tasks.run_folder import describe_environment
from ava_det.tasks.splits import Split, build_eval_loader, build_split
from ava_det.video.sources import find_videos

logger = logging.getLogger("ava_det")

FIRST_KEYFRAME = 902.0
LAST_KEYFRAME = 1798.0  # of AVA; the published box lists reach further


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det reproduce` and returns its exit code."""
    args.weights = choose_weights(args.weights)
    published = find_published(args.weights)
    overrides = [f"data.video_dir={args.videos}", *args.overrides]
    if args.config is not None:
        config = load_config(args.config, overrides)
    elif published is not None:
        config = load_config(published.config, [*published.overrides, *overrides])
    else:
        raise ValueError(
            f"--weights {args.weights}: no published name or file, expected --config to say "
            "how to run it"
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
    with process_group(device, PATIENCE):
        plan = make_plan(config, published, device, args.limit)
        if is_main_process():
            for problem in plan.problems:
                logger.warning(problem)
        identity = describe_identity(config, weights)
        if is_main_process():
            prepare_folder(folder, identity)
        model, _ = load_trained_model(config, args.weights, device)
        with shared_job(folder) as job:
            lost = score_videos(config, model, plan, folder, device, job)
        if is_main_process():
            protocols = list(PROTOCOLS) if args.protocol == "all" else [args.protocol]
            results = score_results(plan, folder, protocols)
            reproduction = summarize(
                args.weights, identity["weights"], published, config, plan, results, lost
            )
            reproduction.reference_source = args.reference or reproduction.reference_source
            reproduction.classes = find_odd_classes(select_result(published, results), reference)
            report(reproduction, folder)
    return 0


def make_plan(
    config: Config, published: PublishedResult | None, device: torch.device, limit: int | None
) -> Plan:
    """Finds the movies, what is wrong with them, and the keyframes that the box list asks for.

    Args:
        config: How to run the weights.
        published: The published result to reproduce; None where there is none.
        device: Where a person detector would run.
        limit: Score the first so many movies; None for all.

    Raises:
        ValueError: The annotations, all movies or the box list are missing.
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
            f"{config.data.video_dir}: expected movies named by the ids of {annotations.path} "
            f"({wanted[0]}, ...)"
        )
    facts, broken = inspect_videos(present[:limit], videos, config.data.start_second)
    require_start_second(facts, config.data.grid_start_second)
    keyframes = list_keyframes(config, [video.video_id for video in facts], device)
    last = max((k.timestamp for part in keyframes.values() for k in part), default=0.0)
    problems = [
        *find_video_problems(facts, last),
        *find_list_problems(published, val.box_sources[0], config.data.min_person_score),
        *find_annotation_problems(published, config.data.ava_version, val.annotation_files),
        *(f"unreadable: {sentence}" for sentence in broken),
    ]
    missing = [video_id for video_id in wanted if video_id not in videos]
    if missing and limit is None:
        problems.append(f"missing movies: {len(missing)} of {len(wanted)}, such as {missing[0]}")
    return Plan(annotations, label_map, excluded, keyframes, missing, facts, problems)


def list_keyframes(
    config: Config, video_ids: Sequence[str], device: torch.device
) -> dict[str, list[Keyframe]]:
    """Lists the keyframes of each video, those of the box list and not of the annotations.

    A published evaluator counts a person on an unlabeled keyframe as a false positive. Excluded
    keyframes are scored too, as not every protocol drops them.

    Raises:
        ValueError: The box list is no file.
    """
    boxes, *more = config.data.val.box_sources
    if more:
        raise ValueError("data.val.boxes: expected the published list of person boxes alone")
    if boxes == "gt" or not Path(boxes).is_file():
        raise ValueError(
            f"data.val.boxes: expected the published list of person boxes, found no file {boxes}"
        )
    list_only = replace(config, data=replace(config.data, val=SplitConfig(boxes=boxes)))
    keyframes: dict[str, list[Keyframe]] = {video_id: [] for video_id in video_ids}
    for keyframe in build_split(list_only, "val", device).keyframes:
        if keyframe.video_id in keyframes and FIRST_KEYFRAME <= keyframe.timestamp <= LAST_KEYFRAME:
            keyframes[keyframe.video_id].append(keyframe)
    return keyframes


def score_videos(
    config: Config,
    model: nn.Module,
    plan: Plan,
    folder: Path,
    device: torch.device,
    job: SharedJob,
) -> list[str]:
    """Scores the videos that have no result yet, and that no other process has.

    Returns:
        Sentences about lost clips, of all processes of torchrun.
    """

    def is_done(video_id: str) -> bool:
        return (folder / "videos" / f"{video_id}.csv").is_file()

    pending = job.find_pending(
        plan.keyframes, is_done, size=lambda video_id: len(plan.keyframes[video_id])
    )
    num_done = len(plan.keyframes) - len(pending)
    if is_main_process() and num_done:
        print(f"{num_done} of {len(plan.keyframes)} movies are there from an earlier run")
    lost: list[str] = []
    counts = [len(plan.keyframes[video_id]) for video_id in pending]
    with tqdm(total=sum(counts), unit="keyframe", disable=not is_main_process()) as bar:
        for number, video_id in job.take(pending, is_done):
            bar.update(sum(counts[:number]) - bar.n)
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
    """Scores one video and writes videos/ID.csv.

    Where clips were lost, it writes videos/ID.partial.csv, and the next run tries the video again.

    Returns:
        Sentences about lost clips.
    """
    keyframes = plan.keyframes[video_id]
    target = folder / "videos" / f"{video_id}.csv"
    detections: list[Detections] = []
    losses: dict[str, tuple[int, str]] = {}
    if any(len(keyframe.boxes) for keyframe in keyframes):
        split = Split("val", keyframes, None, set(), config.data.val.box_sources[0])
        loader = build_eval_loader(config, split, config.data.test_short_side, shared=False)
        to_device = build_device_transform(config, device)
        with loader.failures_named():
            for batch in loader:
                detections += predict_batch(
                    model,
                    to_device(batch),
                    config.precision,
                    multilabel=config.model.multilabel,
                )
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


def select_result(
    published: PublishedResult | None, results: Mapping[str, ProtocolResult]
) -> ProtocolResult:
    """Returns the result of the published protocol, or of the first one."""
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
    results: Mapping[str, ProtocolResult],
    lost: list[str],
) -> Reproduction:
    """Compares the results with the published number and names what may explain a difference."""
    difference, verdict = compare(published, results, len(plan.keyframes))
    boxes = [len(keyframe.boxes) for keyframes in plan.keyframes.values() for keyframe in keyframes]
    return Reproduction(
        weights,
        sha256,
        published,
        verdict,
        difference,
        results,
        list_settings(config),
        plan.facts,
        plan.missing,
        len(boxes),
        sum(boxes),
        causes=name_causes(
            difference, select_result(published, results).mean_ap, plan.problems + lost
        ),
        lost=lost,
        reference_source=published.reference_source if published else None,
        environment=describe_environment(),
    )


def report(reproduction: Reproduction, folder: Path) -> None:
    """Prints the table, the likely causes and the verdict; writes the reports."""
    path = write_reports(folder, reproduction)
    print("\n".join(protocol_table(reproduction.results, reproduction.published)))
    for cause in reproduction.causes:
        print(f"likely cause: {cause}")
    print(f"{reproduction.verdict}; report: {path}")
