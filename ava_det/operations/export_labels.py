"""Does what `ava-det export-labels` does: AVA's format as files of annotation tools."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from ava_det.files import require_other_files
from ava_det.formats.annotations import load_annotations, load_boxes, load_detections
from ava_det.formats.label_map import load_label_map
from ava_det.interchange.clock import VideoClocks
from ava_det.interchange.coco_writer import write_coco
from ava_det.interchange.cvat_writer import write_cvat, write_labels
from ava_det.interchange.datumaro_writer import write_datumaro
from ava_det.interchange.drafts import (
    WriteDraft,
    boxes_from_annotations,
    boxes_from_detections,
    boxes_from_persons,
)
from ava_det.interchange.label_studio_writer import write_label_studio, write_labeling_config
from ava_det.interchange.labeled import LabeledBox
from ava_det.interchange.via_writer import write_via
from ava_det.messages.counts import format_count

# the suffix of a video's file, and what writes it
WRITERS: dict[str, tuple[str, WriteDraft]] = {
    "coco": (".json", write_coco),
    "cvat": (".xml", write_cvat),
    "datumaro": (".zip", write_datumaro),
    "label-studio": (".json", write_label_studio),
    "via": (".json", write_via),
}
# what a new project of the tool needs: the file's name, and what writes it
SETTINGS: dict[str, tuple[str, Callable[..., None]]] = {
    "cvat": ("labels.json", write_labels),
    "label-studio": ("labeling_config.xml", write_labeling_config),
}


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det export-labels` and returns its exit code.

    Writes a file for each video, and what a new project of the tool needs.
    """
    label_map = load_label_map(args.label_map)
    boxes = load_source(args, label_map)
    clocks = VideoClocks(args.videos, None, args.start_second)
    read = ("annotations", "detections", "boxes", "label_map")
    sources = {f"--{name.replace('_', '-')}": getattr(args, name) for name in read}
    print(write_files(args.format, args.output, boxes, clocks, label_map, sources))
    return 0


def write_files(
    tool: str,
    folder: Path,
    boxes: Sequence[LabeledBox],
    clocks: VideoClocks,
    label_map: Mapping[int, str],
    sources: Mapping[str, str | Path | None],
) -> str:
    """Writes a file for each video, and what a new project of the tool needs.

    Args:
        tool: One of `WRITERS`.
        folder: Where to.
        boxes: Of all videos.
        clocks: Of the videos.
        label_map: Action names by id.
        sources: Option -> a file that was read, and may not be overwritten.

    Returns:
        What was written, in a line.
    """
    by_video: dict[str, list[LabeledBox]] = {}
    for box in boxes:
        by_video.setdefault(box.video_id, []).append(box)
    suffix, write = WRITERS[tool]
    settings = {folder / name: make for name, make in filter(None, [SETTINGS.get(tool)])}
    require_other_files(
        {"--output": [*(folder / f"{name}{suffix}" for name in by_video), *settings]}, sources
    )
    for video_id, persons in tqdm(by_video.items(), desc="write labels", unit="video"):
        clock = clocks.find(video_id, persons[0].where)
        source = Path(clock.name).name
        write(folder / f"{video_id}{suffix}", source, clock, persons, list(label_map.values()))
    for path, make in settings.items():
        make(path, label_map.values())
    more = "".join(f"; {path.name} for a new project" for path in settings)
    written = f"{format_count(len(boxes), 'box')} in {format_count(len(by_video), 'file')}"
    return f"{folder}: {written} ({suffix}){more}"


def load_source(args: argparse.Namespace, label_map: dict[int, str]) -> list[LabeledBox]:
    """Loads the persons of the one source that was given."""
    if args.annotations:
        return boxes_from_annotations(load_annotations(args.annotations), label_map)
    if args.detections:
        return boxes_from_detections(load_detections(args.detections), label_map, args.min_score)
    return boxes_from_persons(load_boxes(args.boxes, args.min_score), str(args.boxes))
