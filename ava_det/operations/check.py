"""Does what `ava-det check` does: looks for faults in the dataset of a config."""

from __future__ import annotations

import argparse
import shutil
from functools import partial
from pathlib import Path

from tqdm import tqdm

from ava_det.config import Config, ConfigError, SplitConfig, load_config
from ava_det.dataset_check import (
    DatasetFiles,
    SplitFiles,
    check_dataset,
    choose_tiles,
    format_examination,
    write_sheet_page,
)
from ava_det.detectors.registry import names_detector
from ava_det.visualization import draw_label_sheet, write_png


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det check` and returns its exit code."""
    suffix = Path(args.sheet).suffix.lower() if args.sheet else ".png"
    if suffix not in (".png", ".html"):
        raise ValueError(
            f"--sheet: expected a file name that ends in .png or .html, received {args.sheet}"
        )
    config = load_config(args.config, args.overrides)
    examination = check_dataset(list_files(config), partial(tqdm, desc="open videos", unit="video"))
    width = shutil.get_terminal_size((140, 0)).columns
    print(format_examination(examination, max(width, 100)))
    if args.sheet:
        tiles = choose_tiles(examination, config.data.start_second, config.seed)
        if suffix == ".html":
            write_sheet_page(args.sheet, args.config, examination, tiles)
        elif tiles:
            write_png(args.sheet, draw_label_sheet(tiles))
        print(
            f"sheet: {args.sheet}"
            if tiles or suffix == ".html"
            else "no sheet: no keyframe lies in a video that can be read"
        )
    return 1 if examination.has_errors else 0


def list_files(config: Config) -> DatasetFiles:
    """Lists the files that a config names, for `check_dataset`.

    Raises:
        ConfigError: The config names the annotations of no split.
    """
    data = config.data
    splits = []
    for name in ("train", "val", "test"):
        section: SplitConfig = getattr(data, name)
        boxes = tuple(section.box_sources)
        is_detected = names_detector(boxes[0])
        annotations = tuple(Path(path) for path in section.annotation_files)
        excluded = tuple(Path(path) for path in section.excluded_files)
        if annotations or (boxes != ("gt",) and not is_detected):
            splits.append(SplitFiles(name, annotations, excluded, boxes, is_detected))
    if not splits:
        raise ConfigError("data.train.annotations: expected the annotations of at least one split")
    return DatasetFiles(
        splits,
        _path(data.video_dir),
        _path(data.label_map),
        data.start_second,
        config.model.num_classes,
        data.min_person_score,
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
