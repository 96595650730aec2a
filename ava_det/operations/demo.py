"""Does what `ava-det demo` does: draws the actions of persons into videos and result files."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from ava_det.checkpoint.zoo import choose_weights
from ava_det.choices import DEFAULT_ACTION_WEIGHTS, DETECTORS
from ava_det.config import ConfigError
from ava_det.demo.actions import choose_actions, choose_thresholds
from ava_det.demo.event_rules import READ_FILES, choose_events
from ava_det.demo.job import name_files, run_job
from ava_det.demo.options import (
    SUFFIXES,
    DisplayOptions,
    Outputs,
    SamplingOptions,
)
from ava_det.demo.video import process_live, process_video
from ava_det.detectors.registry import names_detector
from ava_det.distributed import is_main_process
from ava_det.files import require_other_files
from ava_det.formats.annotations import load_boxes
from ava_det.inference.predictor import Predictor
from ava_det.inference.probe import describe_best
from ava_det.messages.counts import format_count
from ava_det.segments import SegmentRules, check_table_name
from ava_det.structures import PersonBoxes
from ava_det.video.folder import open_video
from ava_det.video.hardware import require_device
from ava_det.video.sources import Source, find_source
from ava_det.visualization import Window

logger = logging.getLogger("ava_det")

WRITTEN = ", ".join(f"--{option}" for option in SUFFIXES)


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det demo` and returns its exit code."""
    args.weights = choose_weights(args.weights)  # its own name, which a job remembers
    source = find_source(args.video, args.recursive)
    outputs = check_outputs(args, source)
    if source.left_out is not None:
        logger.warning(source.left_out)
    window = Window(f"{args.video} (q quits)") if args.show else None
    if args.hwaccel is not None:
        require_device(args.hwaccel)
    if source.is_single:
        with open_video(
            source.videos[0], stream=args.stream
        ):  # a file that is no video is said before minutes go into the weights
            pass
    if args.weights == DEFAULT_ACTION_WEIGHTS and is_main_process():
        print(describe_best(), file=sys.stderr)
    predictor = load_predictor(args)
    actions = choose_actions(args.classes, predictor.label_map)
    thresholds = choose_thresholds(args.threshold, actions, predictor.thresholds)
    ends = choose_thresholds(args.off, actions, thresholds, "--off")
    display = DisplayOptions(
        actions,
        thresholds,
        args.topk,
        SegmentRules(thresholds, ends, args.max_gap, args.min_duration),
        choose_events(args, source.videos, predictor, thresholds),
    )
    sampling = SamplingOptions(
        args.every, args.start, args.end, args.smooth, args.stream, args.hwaccel
    )
    with stopped_by_interrupt() as stop:
        if source.live is not None:
            summary, dropped = process_live(
                predictor, source.live, sampling, outputs, display, stop, window
            )
            print(f"{summary.seconds:.1f} s watched, {dropped} frames dropped", file=sys.stderr)
        elif not source.is_single:
            return run_job(
                predictor, source, sampling, outputs, display, stop, describe_settings(args)
            )
        else:
            summary = process_video(
                predictor, source.videos[0], sampling, outputs, display, stop, window
            )
    files = ", ".join(str(path) for path in outputs.paths()) or "nothing"
    print(
        f"{format_count(summary.num_persons, 'person')} on "
        f"{format_count(summary.num_keyframes, 'keyframe')}; written: {files}"
    )
    if display.events is not None:
        found = ", ".join(f"{name} {count}" for name, count in summary.events.items())
        number = format_count(sum(summary.events.values()), "event")
        print(f"{number}: {found}" if found else number)
    if stop.is_set() and source.live is None:
        print(f"stopped at {summary.seconds:.1f} s of the video", file=sys.stderr)
        return 130
    return 0


def check_outputs(args: argparse.Namespace, source: Source) -> Outputs:
    """Lists the files to write, or for several videos the folders.

    Raises:
        ConfigError: An option does not fit the source, or a name cannot be written.
        ValueError: A file to write is one that is read.
    """
    one_file = source.is_single or source.live is not None
    for option in ("sheet", "view", "tubes", "start", "hwaccel") if source.live is not None else ():
        if getattr(args, option):
            raise ConfigError(f"--{option}: not for a live source, received {source.live}")
    others = [getattr(args, option) for option in SUFFIXES]
    if args.events and not one_file and not any(others):
        raise ConfigError(
            f"--events: expected one of {WRITTEN} too for several videos: what is there already "
            "says which are done"
        )
    if args.show and not one_file:
        raise ConfigError("--show: one video at a time, received several")
    output_paths = {
        option: getattr(args, option) for option in SUFFIXES if getattr(args, option) is not None
    }
    for option, path in output_paths.items():
        wanted = SUFFIXES[option]
        if one_file and option in ("output", "sheet", "view") and path.suffix.lower() != wanted:
            raise ConfigError(
                f"--{option}: expected a file name that ends in {wanted}, received {str(path)!r}"
            )
        if one_file and path.is_dir():
            raise ConfigError(f"--{option}: expected a file name to write, {path} is a folder")
        if one_file and option == "segments":
            check_table_name(path, "--segments")
        named = path.name.lower().endswith((wanted, Path(f"any{wanted}").suffix))
        if not one_file and (path.is_file() or named):
            raise ConfigError(
                f"--{option}: expected a folder for the files of several videos, received "
                f"{str(path)!r}"
            )
    if one_file and len({path.resolve() for path in output_paths.values()}) < len(output_paths):
        raise ConfigError(f"{WRITTEN}: expected different files")
    outputs = Outputs(
        args.output, args.csv, args.json, args.sheet, args.segments, args.view, args.tubes
    )
    written = [outputs]
    if not one_file:
        written = [name_files(video, outputs, source.root) for video in source.videos]
    files = [path for each in written for path in each.paths()]
    pictures = [path for video in source.videos if video.is_dir() for path in video.iterdir()]
    read = {f"--{name}": getattr(args, name) for name in READ_FILES}
    require_other_files(
        {WRITTEN: files},
        {"--video": [*source.videos, *pictures], "--label-map": args.label_map, **read},
    )
    return outputs


def load_predictor(args: argparse.Namespace) -> Predictor:
    """Loads the weights and the person detector, or the person boxes, that the options name.

    Raises:
        ConfigError: `--boxes` or `--detector` is neither a box file nor a detector.
    """
    who: str | PersonBoxes = args.boxes or args.detector or "auto"
    option = "--boxes" if args.boxes else "--detector"
    if not names_detector(str(who)):
        if not args.boxes or not Path(args.boxes).is_file():
            kinds = "a box file or one of " if args.boxes else "one of "
            raise ConfigError(f"{option}: expected {kinds}{', '.join(DETECTORS)}, received {who!r}")
        who = load_boxes(args.boxes, min_score=0.0)
    return Predictor.from_pretrained(
        args.weights,
        who,
        config=args.config,
        overrides=args.overrides,
        label_map=args.label_map,
        runtime=args.runtime,
    )


def describe_settings(args: argparse.Namespace) -> dict[str, object]:
    """Describes all options that decide what a job writes.

    A job only goes on if these are the same as when it began.
    """
    keys = (
        "weights config runtime label_map detector boxes every start end smooth threshold "
        "topk classes overrides stream hwaccel off max_gap min_duration events"
    )
    return {key: str(getattr(args, key)) for key in keys.split()}


@contextmanager
def stopped_by_interrupt() -> Iterator[Event]:
    """Provides an event that the first Ctrl-C sets, so that files are closed properly.

    The second Ctrl-C interrupts at once.
    """
    stop = Event()

    def on_interrupt(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, previous)

    previous = signal.getsignal(signal.SIGINT)
    if previous is not signal.SIG_IGN:  # as a shell's background jobs have it
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)
