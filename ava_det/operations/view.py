"""Does what `ava-det view` does: makes the pages of videos from JSON lines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from ava_det.files import require_other_files
from ava_det.formats.annotations import AvaRows, load_annotations
from ava_det.formats.keyframe_records import KeyframeRecord, read_records
from ava_det.formats.label_map import load_label_map
from ava_det.messages.counts import format_count
from ava_det.segments import SegmentRules, find_segments
from ava_det.video.folder import open_video
from ava_det.video.sources import find_videos
from ava_det.viewer import (
    address_of,
    compare_with_truth,
    describe_video,
    make_content,
    read_thumbnails,
    write_index,
    write_view,
)


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det view` and returns its exit code."""
    truth = None if args.annotations is None else load_annotations(args.annotations)
    label_map = {} if args.label_map is None else load_label_map(args.label_map)
    if not args.detections.is_dir():
        check_page_name(args.output)
        read = {"JSONL": args.detections, "--video": args.video, "--annotations": args.annotations}
        require_other_files({"--output": args.output}, {**read, "--label-map": args.label_map})
        write_page(args.detections, args.video, args.output, args.stream, truth, label_map)
        print(f"written: {args.output}")
        return 0
    failed = []
    pages = list(list_pages(args))
    for detections, video, page in tqdm(pages, desc="pages", unit="page"):
        try:
            write_page(detections, video, page, args.stream, truth, label_map)
        except (ValueError, OSError) as error:
            failed.append(" ".join(str(error).split()))
    index = write_index(args.output) if args.output.is_dir() else None
    print(f"{format_count(len(pages) - len(failed), 'page')}; written: {index or 'no index'}")
    for why in failed:
        print(f"passed over: {why}", file=sys.stderr)
    return 1 if failed else 0


def check_page_name(path: Path) -> None:
    """Checks the name of a page to write.

    Raises:
        ValueError: It does not end in .html, or is a folder.
    """
    if path.suffix.lower() != ".html":
        raise ValueError(f"--output: expected a file name that ends in .html, received {path}")
    if path.is_dir():
        raise ValueError(f"--output: expected a file name to write, {path} is a folder")


def list_pages(args: argparse.Namespace) -> Iterator[tuple[Path, Path, Path]]:
    """Yields the JSON lines of a folder, each with its video and its page.

    Raises:
        ValueError: The folder has no JSON lines, or the options are no folders.
    """
    if not args.video.is_dir():
        raise ValueError(f"--video: expected the folder of the videos, received {args.video}")
    if args.output.suffix.lower() == ".html" or args.output.is_file():
        raise ValueError(f"--output: expected a folder for several pages, received {args.output}")
    files = sorted(args.detections.rglob("*.jsonl"))
    if not files:
        raise ValueError(f"{args.detections}: expected files .jsonl of ava-det demo, found none")
    videos: dict[Path, dict[str, Path]] = {}
    for path in files:
        place = path.parent.relative_to(args.detections)
        folder = args.video / place
        if folder not in videos:
            videos[folder] = find_videos(folder) if folder.is_dir() else {}
        video = videos[folder].get(path.stem, folder / path.stem)
        yield path, video, args.output / place / f"{path.stem}.html"


def write_page(
    detections: Path,
    video: Path,
    page: Path,
    stream: int | None,
    truth: AvaRows | None,
    label_map: dict[int, str],
) -> None:
    """Writes the page of one video.

    Raises:
        ValueError: The JSON lines are malformed, of several videos or of none, or the video cannot
            be read.
    """
    records = list(read_records(detections))
    name = check_one_video(records, detections)
    actions = {a.action_id for record in records for p in record.persons for a in p.actions}
    segments = find_segments(records, SegmentRules(dict.fromkeys(actions, 0.0), {}))
    compared = None if truth is None else compare_with_truth(records, truth, label_map)
    with open_video(video, records[0].timestamp - records[0].time, stream) as reader:
        facts = describe_video(reader, address_of(video, page.parent))
        pictures = read_thumbnails(reader, facts.duration)
    write_view(page, name, make_content(records, segments, facts, pictures, compared))


def check_one_video(records: list[KeyframeRecord], path: Path) -> str:
    """Returns the id of the video that all keyframes are of.

    Raises:
        ValueError: There is no keyframe, or there are several videos.
    """
    names = list(dict.fromkeys(record.video for record in records))
    if len(names) != 1:
        found = "no keyframe" if not names else f"{len(names)} videos: {', '.join(names[:5])}"
        raise ValueError(f"{path}: expected the keyframes of one video, found {found}")
    return names[0]
