"""Labels one video: finds the persons at every keyframe, and writes what they do as JSON lines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ava_det
from ava_det.archive.manifest import Entry
from ava_det.archive.outcomes import Counts, result_name
from ava_det.archive.run_facts import agree
from ava_det.jobs.object_store import fetched
from ava_det.jobs.store import Store, open_store

PRECISION = "precision.txt"  # what `precision: auto` is in this archive


@dataclass(frozen=True)
class LabelerLoader:
    """Holds the options of a labeler, and loads it in the process that will use it.

    Attributes:
        output: Folder of the archive.
        weights: As `Predictor.from_pretrained` takes them, and so the next ones.
        config: See there.
        overrides: See there.
        label_map: See there.
        runtime: See there.
        detector: Name of a person detector.
        boxes: A box file, in place of a detector; None for none.
        every: Seconds between keyframes.
        threshold: Scores from which actions are kept, as --threshold of the demo; None for those
            of the weights.
        hwaccel: The kind of device that decodes the videos, see `VideoReader`.
    """

    output: str
    weights: str
    config: str | None
    overrides: tuple[str, ...]
    label_map: str | None
    runtime: str
    detector: str
    boxes: str | None
    every: float
    threshold: str | None
    hwaccel: str | None = None

    def open_store(self) -> Store:
        """Opens the store of the archive."""
        return open_store(self.output)

    def load(self) -> VideoLabeler:
        """Loads the network and the person detector.

        Raises:
            ValueError: Something of the options cannot be used; a sentence.
        """
        return VideoLabeler(self)


class VideoLabeler:
    """Labels videos with a network and a person detector.

    Args:
        options: Names them.

    Attributes:
        facts: See `Labeler`.
    """

    def __init__(self, options: LabelerLoader) -> None:
        # a driver has the options too, and needs no torch
        from ava_det.checkpoint.zoo import resolve_weights
        from ava_det.demo.actions import choose_thresholds
        from ava_det.detectors.registry import build_detector
        from ava_det.device.precision import resolve_precision
        from ava_det.device.select import prepare_torch
        from ava_det.formats.annotations import load_boxes
        from ava_det.inference.predictor import Predictor
        from ava_det.inference.pretrained import choose_config, choose_runtime
        from ava_det.video.hardware import require_device

        weights = resolve_weights(options.weights)
        runtime = choose_runtime(weights, options.runtime)
        config = choose_config(weights, options.config, options.overrides, runtime)
        place = prepare_torch(config)
        precision = config.precision
        if precision == "auto":  # is measured, and must be the same in all workers
            precision = agree(options.open_store(), PRECISION, resolve_precision("auto", place))
        config = replace(config, precision=precision)
        who: Any
        if options.boxes is not None:
            who = load_boxes(options.boxes, min_score=0.0)
            persons = _describe_file(options.boxes)
        else:
            who = build_detector(options.detector, place, precision)
            file = options.detector.rpartition(":")[2]
            persons = who.name + (f" {_describe_file(file)}" if Path(file).is_file() else "")
        self._predictor = Predictor.from_pretrained(
            weights,
            who,
            config=options.config,
            overrides=[*options.overrides, f"precision={precision}"],
            label_map=options.label_map,
            runtime=options.runtime,
        )
        self._every = options.every
        self._hwaccel = options.hwaccel
        if options.hwaccel is not None:
            require_device(options.hwaccel)
        self._thresholds = choose_thresholds(
            options.threshold, self._predictor.label_map, self._predictor.thresholds
        )
        self.facts: Mapping[str, Any] = {
            "version": ava_det.__version__,
            "weights": _describe_weights(weights),
            "config": _list_settings(config),
            "precision": resolve_precision(precision, place),  # fp32 where bf16 is only emulated
            "detector": persons,
            "every": options.every,
            "hwaccel": options.hwaccel,  # a level of its frames may be another one
            "start_second": self._predictor.start_second,
            "label_map": {str(i): name for i, name in self._predictor.label_map.items()},
            "thresholds": {str(i): score for i, score in self._thresholds.items()},
        }

    def label(self, root: str, entry: Entry, store: Store) -> Counts:
        """Writes the JSON lines of a video, see docs/demo.md; `video` is its path in the archive.

        Raises:
            ValueError: The video cannot be read.
            OSError: A file cannot be read or written.
        """
        from ava_det.formats.result_files import describe_detections

        began = time.monotonic()
        keyframes = persons = 0
        rules = self._predictor.label_map, self._thresholds, self._predictor.start_second
        with (
            local_video(root, entry) as video,
            store.writing(result_name(entry.id)) as path,
            open(path, "w", encoding="utf-8") as file,
        ):
            for found in self._predictor(video, self._every, hwaccel=self._hwaccel):
                named = replace(found, keyframe=replace(found.keyframe, video_id=entry.path))
                record = describe_detections(named, *rules)
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                keyframes += 1
                persons += len(found.boxes)
        return Counts(keyframes, persons, round(time.monotonic() - began, 3))


@contextmanager
def local_video(root: str, entry: Entry) -> Iterator[Path]:
    """Yields the local file of a video; of one in an object store a copy, which is deleted after.

    Raises:
        ValueError: The file is not there.
        OSError: The disk has no room for a copy.
    """
    address = entry.path
    if "://" not in address and "://" in root:
        address = f"{root}/{address}"
    if "://" in address:
        with fetched(address) as copy:
            yield copy
        return
    path = Path(root) / address
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    yield path


def _describe_weights(path: Path) -> str:
    """Describes weights by their SHA-256; OpenVINO's are two files."""
    values = path.with_suffix(".bin")
    parts = [path, values] if path.suffix.lower() == ".xml" and values.is_file() else [path]
    return " ".join(_describe_file(part) for part in parts)


def _describe_file(path: str | Path) -> str:
    from ava_det.files import hash_file

    return f"sha256 {hash_file(path)}"


def _list_settings(config: Any) -> dict[str, Any]:
    """Lists the settings that decide what a network finds."""
    from ava_det.config import config_to_dict

    whole = config_to_dict(config)
    return {key: whole[key] for key in ("model", "data", "precision")}
