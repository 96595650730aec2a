"""Does what `ava-det link` does: makes tubes of a result CSV."""

from __future__ import annotations

import argparse
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ava_det.files import require_other_files
from ava_det.formats.annotations import load_detections
from ava_det.formats.label_map import load_label_map
from ava_det.formats.tubes import Tube, write_tubes
from ava_det.formats.tubes.frame_table import VideoFrames, read_frame_table
from ava_det.linking.result_rows import detections_from_rows
from ava_det.linking.track_tubes import TrackRule
from ava_det.linking.video import LinkingOptions, find_frames, find_stride, link_video
from ava_det.messages.counts import format_count
from ava_det.structures import Detections

logger = logging.getLogger("ava_det")

GAP_SECONDS = 1.0  # a person not seen for longer is another track


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det link` and returns its exit code."""
    read = {f"--{name}": getattr(args, name.replace("-", "_")) for name in READ}
    require_other_files({"--output": args.output}, read)
    videos = read_frame_table(args.frames)
    label_map = dict(sorted(load_label_map(args.label_map).items()))
    rows = load_detections(args.detections)
    by_video: dict[str, list[Detections]] = defaultdict(list)
    for keyframe in detections_from_rows(rows, list(label_map)):
        by_video[keyframe.keyframe.video_id].append(keyframe)
    unknown = [name for name in by_video if name not in videos]
    if unknown:
        raise ValueError(
            f"{args.frames}: expected a row for each video of {args.detections}, found none for "
            f"{unknown[0]}"
        )
    options = choose_options(args, by_video, videos, len(label_map))
    count = write_tubes(args.output, link_all(by_video, videos, options), list(label_map.values()))
    if not count:
        logger.warning(f"{args.detections}: no tube comes of its {format_count(len(rows), 'row')}")
    steps = f", keyframes {options.every} frames apart" if options.every > 1 else ""
    print(
        f"{args.output}: {format_count(count, 'tube')} of {format_count(len(by_video), 'video')} "
        f"by {args.method}{steps}"
    )
    return 0


READ = ("detections", "frames", "label-map")


def choose_options(
    args: argparse.Namespace,
    by_video: Mapping[str, Sequence[Detections]],
    videos: Mapping[str, VideoFrames],
    num_labels: int,
) -> LinkingOptions:
    """Makes the options of the linkers of those of the command."""
    frames = {
        name: find_frames(keyframes, videos[name], args.start_second)
        for name, keyframes in by_video.items()
    }
    steps = [frame - numbers[0] for numbers in frames.values() for frame in numbers]
    last = [float(keyframes[-1].action_scores[-1].max()) for keyframes in by_video.values()]
    return LinkingOptions(
        args.method,
        range(num_labels),
        args.every or find_stride(steps),
        args.start_second,
        args.min_frames,
        TrackRule(args.high, args.low),
        last[-1] if last else 0.0,
    )


def link_all(
    by_video: Mapping[str, Sequence[Detections]],
    videos: Mapping[str, VideoFrames],
    options: LinkingOptions,
) -> Iterator[Tube]:
    """Yields the tubes of all videos, one video after the other."""
    for name, keyframes in by_video.items():
        gap = round(GAP_SECONDS * float(videos[name].fps))
        rule = options.rule._replace(max_gap=gap)
        yield from link_video(keyframes, videos[name], replace(options, rule=rule))
