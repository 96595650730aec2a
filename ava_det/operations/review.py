"""Does what `ava-det review` does: serves the pages of a review until Ctrl-C."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ava_det.files import require_other_files
from ava_det.formats.keyframe_records import KeyframeRecord, read_records
from ava_det.formats.label_map import load_label_map
from ava_det.live_page.server import Server, open_socket
from ava_det.messages.counts import format_count
from ava_det.operations.segments import choose_rules, find_names
from ava_det.review import Review, find_candidates
from ava_det.review.app import make_app
from ava_det.review.pages import ReviewPages
from ava_det.video.sources import find_videos, key_by_id, scan_folder, video_id_of

HOST = "127.0.0.1"


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det review` and returns its exit code."""
    check_output(args)
    files = {path: list(read_records(path)) for path in dict.fromkeys(args.detections)}
    found = choose_videos(args.videos, (one.video for every in files.values() for one in every))
    videos = key_by_id(found.values())
    records = group_by_video(files, {name: video_id_of(path) for name, path in found.items()})
    label_map = load_label_map(args.label_map)
    names = find_names(files)
    check_names(names, label_map, args.label_map)
    keyframes = [record for of_video in records.values() for record in of_video]
    candidates = find_candidates(keyframes, choose_rules(args, names))
    if not candidates:
        raise ValueError("JSONL: expected segments to review, found none over the scores asked for")
    with open_socket(HOST, args.port) as listening:
        review = Review(candidates, label_map, args.output)
        app = make_app(args.output.name, ReviewPages(review, records, videos))
        address = f"http://{HOST}:{listening.getsockname()[1]}/"
        try:
            print(f"{describe_progress(review)}; review them at {address}", flush=True)
            Server(app).run(sockets=[listening])
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{args.output}: {describe_progress(review)}; the same command goes on"
            ) from None
    return 0


def check_output(args: argparse.Namespace) -> None:
    """Checks the name of the CSV to write.

    Raises:
        ValueError: It does not end in .csv, is a folder, or a file that is read.
    """
    if args.output.suffix.lower() != ".csv" or args.output.is_dir():
        raise ValueError(
            f"--output: expected a file name that ends in .csv, received {str(args.output)!r}"
        )
    read = {"JSONL": args.detections, "--label-map": args.label_map}
    require_other_files({"--output": args.output}, read)


def group_by_video(
    files: Mapping[Path, list[KeyframeRecord]], ids: Mapping[str, str]
) -> dict[str, list[KeyframeRecord]]:
    """Groups keyframes by the id of their video, in the order of the files.

    Args:
        files: Keyframes by file.
        ids: Video ids by the names that the keyframes have.

    Raises:
        ValueError: A video is in two files, or has two names.
    """
    records: dict[str, list[KeyframeRecord]] = {}
    origin: dict[str, tuple[Path, str]] = {}
    for path, keyframes in files.items():
        for record in keyframes:
            video_id = ids[record.video]
            first = origin.setdefault(video_id, (path, record.video))
            if first != (path, record.video):
                raise ValueError(f"{path}: {record.video!r} is a video of {first[0]} too")
            records.setdefault(video_id, []).append(replace(record, video=video_id))
    return records


def check_names(names: Mapping[int, str], label_map: Mapping[int, str], path: Path) -> None:
    """Checks that the label map names the actions as the detections do.

    Raises:
        ValueError: It does not: the ids of one may be other actions in the other.
    """
    for action_id, name in names.items():
        if label_map.get(action_id) != name:
            found = label_map.get(action_id)
            raise ValueError(
                f"{path}: expected action {action_id} to be {name!r} as in the detections, found "
                f"{'no such id' if found is None else repr(found)}"
            )


def choose_videos(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Finds the videos of detections, which name them by their ids or by their paths in a folder.

    Raises:
        ValueError: The folder lacks one.
    """
    videos = scan_folder(folder, recursive=True).videos  # no name leads out of it
    by_path = {video.relative_to(folder).as_posix(): video for video in videos}
    by_id = find_videos(folder)
    found = {name: by_id.get(name) or by_path.get(name) for name in names}
    for name, video in found.items():
        if video is None:
            raise ValueError(f"--videos: expected {name!r} in {folder}, found no such video")
    return {name: video for name, video in found.items() if video is not None}


def describe_progress(review: Review) -> str:
    """Says how many segments are decided."""
    action_ids = review.decisions.action_ids
    decided = sum(action_id is not None for action_id in action_ids)
    return f"{decided} of {format_count(len(action_ids), 'segment')} decided"
