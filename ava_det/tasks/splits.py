"""Builds the keyframes of a split with their person boxes, and loaders of their clips."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ava_det.choices import DETECTORS
from ava_det.config import Config, ConfigError, SplitConfig
from ava_det.data.build import (
    build_dataset_reader,
    build_training_augmentation,
    describe_other_names,
    find_config_videos,
    load_label_map_for,
)
from ava_det.data.dataset import ClipDataset
from ava_det.data.loader import ClipLoader
from ava_det.data.samplers import TrainBatchSampler, VideoBatchSampler
from ava_det.data.transforms import evaluation_augmentation
from ava_det.detectors.keyframe_boxes import (
    add_proposals,
    compute_recall,
    detect_persons,
    replace_boxes,
)
from ava_det.detectors.registry import build_detector, names_detector
from ava_det.distributed import is_main_process, merge_over_ranks, rank, world_size
from ava_det.formats.annotations import (
    AvaRows,
    keyframes_from_annotations,
    load_annotation_files,
    load_box_files,
    load_excluded,
)
from ava_det.formats.ava_csv import describe_stray_exclusions
from ava_det.structures import Keyframe, KeyframeKey, PersonBoxes
from ava_det.tasks.box_fit import describe_fit, describe_unknown_keyframes

logger = logging.getLogger("ava_det")


def choose_label_map(config: Config, carried: Mapping[int, str] | None) -> dict[int, str]:
    """Chooses the actions that are trained or scored, and says where the weights learned others.

    Args:
        config: Its data.label_map goes before that of the weights.
        carried: The label map that came with the weights, None where there is none.

    Returns:
        Names by action id.
    """
    label_map = load_label_map_for(config, carried)
    log_warnings(describe_other_names(label_map, carried))
    return label_map


def log_warnings(warnings: Iterable[str]) -> None:
    """Logs warnings, on the main process."""
    for sentence in warnings if is_main_process() else ():
        logger.warning(sentence)


@dataclass
class Split:
    """Describes one split, ready to be read.

    Attributes:
        name: train, val or test.
        keyframes: With the boxes to classify.
        annotations: The rows of its files, None where it has none.
        excluded: Keyframes that the protocol may leave out.
        boxes: Where the boxes came from: gt, a detector's name or a file.
        recall: Of these boxes against the labeled ones at IoU 0.5; None where the boxes are the
            labels, or there are none.
        precision: As `recall`.
        warnings: What looks wrong.
    """

    name: str
    keyframes: list[Keyframe]
    annotations: AvaRows | None
    excluded: set[KeyframeKey]
    boxes: str
    recall: float | None = None
    precision: float | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def is_labeled(self) -> bool:
        """Returns whether any person has an action."""
        return self.annotations is not None and bool((self.annotations.action_ids > 0).any())


def build_split(config: Config, name: str, device: torch.device, boxes: str | None = None) -> Split:
    """Reads the annotations of a split and gives its keyframes their boxes.

    Args:
        config: Names the files.
        name: train, val or test.
        device: Of a detector.
        boxes: As `data.<split>.boxes`, which it overrides. In training the labeled boxes always
            stay, and others join them where they overlap by data.proposal_iou; in evaluation they
            take their place.

    Raises:
        ConfigError: The files do not give keyframes with boxes.
    """
    if config.model.head != "roi":
        raise ConfigError(
            f"model.head: expected roi, which scores each person, received {config.model.head!r}"
        )
    section: SplitConfig = getattr(config.data, name)
    every = section.every_nth
    sources = [boxes] if boxes else section.box_sources
    source = " and ".join(sources)
    excluded = {keyframe for path in section.excluded_files for keyframe in load_excluded(path)}
    minimum = config.data.min_person_score
    if not section.annotation_files:
        if name == "train":
            raise ConfigError("data.train.annotations: expected the AVA CSV to train on")
        found = take_every_nth(_keyframes_of_box_files(name, sources, excluded, minimum), every)
        return Split(name, found, None, excluded, source)
    rows = load_annotation_files(section.annotation_files)
    if every > 1:
        rows = rows.take(np.flatnonzero(find_every_nth(rows.video_index, rows.timestamps, every)))
    # in evaluation the protocol says what an exclusion means, and the evaluator follows it
    left_out = excluded if name == "train" else frozenset()
    keyframes = keyframes_from_annotations(rows, config.model.num_classes, excluded=left_out)
    if not config.model.multilabel:
        _require_one_action(keyframes, rows)
    stray = describe_stray_exclusions(left_out, rows)
    log_warnings([stray] if stray else [])
    if source == "gt":
        if name != "train" and not any(len(keyframe.boxes) for keyframe in keyframes):
            raise ConfigError(
                f"data.{name}.boxes: {rows.path} has no boxes, expected a box file or a detector"
            )
        return Split(name, keyframes, rows, excluded, source)
    person_boxes = _load_person_boxes(config, name, keyframes, sources, device)
    recall, precision = compute_recall(keyframes, person_boxes, minimum)
    warnings = describe_fit(source, keyframes, person_boxes, minimum, recall, precision)
    if name == "train":
        log_warnings(warnings)
        keyframes = add_proposals(keyframes, person_boxes, minimum, config.data.proposal_iou)
    else:
        keyframes = replace_boxes(keyframes, person_boxes, minimum)
    return Split(name, keyframes, rows, excluded, source, recall, precision, warnings)


def find_every_nth(videos: np.ndarray, timestamps: np.ndarray, every: int) -> np.ndarray:
    """Finds the rows of every n-th keyframe of each video, from its first in time.

    Args:
        videos: Int [R], numbers of the videos.
        timestamps: Float [R], seconds.
        every: n.

    Returns:
        Bool [R].
    """
    taken = np.zeros(len(videos), dtype=bool)
    for video in np.unique(videos):
        rows = np.flatnonzero(videos == video)
        _, order = np.unique(timestamps[rows].round(6), return_inverse=True)
        taken[rows] = order % every == 0
    return taken


def take_every_nth(keyframes: Sequence[Keyframe], every: int) -> list[Keyframe]:
    """Takes every n-th keyframe of each video, from its first in time; the order stays."""
    if every == 1:
        return list(keyframes)
    names = {name: n for n, name in enumerate({key.video_id: None for key in keyframes})}
    videos = np.array([names[keyframe.video_id] for keyframe in keyframes], dtype=np.int64)
    times = np.array([keyframe.timestamp for keyframe in keyframes])
    chosen = np.flatnonzero(find_every_nth(videos, times, every)).tolist()
    return [keyframes[index] for index in chosen]


def _require_one_action(keyframes: Sequence[Keyframe], rows: AvaRows) -> None:
    """Refuses persons with several actions where the network gives exactly one."""
    for keyframe in keyframes:
        counts = torch.zeros(0) if keyframe.labels is None else keyframe.labels.sum(dim=1)
        if bool((counts > 1).any()):
            raise ConfigError(
                f"model.multilabel: false gives each person exactly one action, {rows.path} has "
                f"one with {int(counts.max())} in {keyframe.video_id} at "
                f"{keyframe.timestamp:g} s; expected one, or model.multilabel true"
            )


def _keyframes_of_box_files(
    name: str, paths: Sequence[str], excluded: set[KeyframeKey], min_score: float
) -> list[Keyframe]:
    """Returns the keyframes of box files, for a split without annotations."""
    if not all(Path(path).is_file() for path in paths):
        raise ConfigError(
            f"data.{name}.annotations: expected an AVA CSV (video_id,timestamp rows are enough to "
            "predict)"
        )
    return [
        Keyframe(video_id, float(key), boxes, None, scores)
        for (video_id, key), (boxes, scores) in load_box_files(paths, min_score).items()
        if (video_id, key) not in excluded
    ]


def _load_person_boxes(
    config: Config,
    name: str,
    keyframes: Sequence[Keyframe],
    sources: Sequence[str],
    device: torch.device,
) -> PersonBoxes:
    """Loads boxes from files, or detects them, each rank in its share of the videos."""
    minimum = config.data.min_person_score
    source = sources[0]
    if len(sources) == 1 and names_detector(source):
        detector = build_detector(source, device, config.precision)
        videos = find_config_videos(config)
        video_ids = sorted({keyframe.video_id for keyframe in keyframes})[rank() :: world_size()]
        own_keyframes = [keyframe for keyframe in keyframes if keyframe.video_id in set(video_ids)]
        title = f"persons ({name}, {detector.name})"
        bar = partial(
            tqdm,
            desc=title,
            total=len(own_keyframes),
            unit="keyframe",
            disable=not is_main_process(),
        )
        detected = detect_persons(detector, videos, own_keyframes, config.data.start_second, bar)
        detected = merge_over_ranks(detected)
        best = max(
            (float(scores.max()) for _, scores in detected.values() if len(scores)), default=0.0
        )
        if best < minimum:
            log_warnings(
                [
                    f"{source} is not sure of any person: its highest score is {best:.2f}, below "
                    f"data.min_person_score = {minimum:g}"
                ]
            )
        return detected
    for path in sources:
        if not Path(path).is_file():
            choices = f"gt, box files or one of {', '.join(DETECTORS)}"
            raise ConfigError(
                f"data.{name}.boxes (or --boxes): expected {choices}, received {path!r}"
            )
    boxes = load_box_files(sources, minimum)
    wanted = [keyframe.key for keyframe in keyframes]
    if wanted and not any(key in boxes for key in wanted):
        raise ConfigError(describe_unknown_keyframes(sources, name, keyframes, minimum))
    return boxes


def build_train_loader(config: Config, split: Split) -> ClipLoader:
    """Builds a loader of this rank's shuffled, augmented batches of keyframes that have boxes."""
    data = config.data
    keyframes = [keyframe for keyframe in split.keyframes if len(keyframe.boxes)]
    keyframes.sort(key=lambda keyframe: (keyframe.video_id, keyframe.timestamp))
    if not any(
        keyframe.labels is not None and bool(keyframe.labels.any()) for keyframe in keyframes
    ):
        files = " and ".join(data.train.annotation_files)
        raise ConfigError(f"data.train.annotations: {files} has no labeled box to train on")
    sampler = TrainBatchSampler(
        len(keyframes), config.train.batch_size, config.seed, rank(), world_size()
    )
    dataset = ClipDataset(
        keyframes,
        find_config_videos(config),
        data.start_second,
        build_dataset_reader(config),
        build_training_augmentation(data),
        config.seed,
        cache_side=max(data.train_short_side) if data.cache_clips else None,
    )
    dataset.require_a_readable_clip()
    if data.cache_clips:
        dataset.fill_cache(
            partial(tqdm, desc="read clips", unit="clip", disable=not is_main_process())
        )
    return ClipLoader(dataset, sampler, config.train.num_workers)


def build_eval_loader(
    config: Config, split: Split, short_side: int, shared: bool = True
) -> ClipLoader:
    """Builds a loader that reads every keyframe with a box once, whole frames, in order.

    Args:
        config: How clips are read.
        split: Whose keyframes are read.
        short_side: Of the frames, in pixels.
        shared: Whether this rank reads its share only, or all of the split.
    """
    data = config.data
    keyframes = [keyframe for keyframe in split.keyframes if len(keyframe.boxes)]
    augmentation_for = partial(evaluation_augmentation, short_side=short_side)
    reader = build_dataset_reader(config)
    dataset = ClipDataset(
        keyframes,
        find_config_videos(config),
        data.start_second,
        reader,
        augmentation_for,
        config.seed,
    )
    # a wrong folder or start_second is said before hours of training
    dataset.require_a_readable_clip()
    share = (rank(), world_size()) if shared else (0, 1)
    sampler = VideoBatchSampler(keyframes, config.eval.batch_size, *share)
    # a set small enough to be kept in memory is read faster than workers start
    return ClipLoader(
        dataset, sampler, num_workers=0 if data.cache_clips else config.train.num_workers
    )
