"""Does what `ava-det label` does: labels an archive of videos."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from ava_det.archive.agenda import Agenda
from ava_det.archive.driver import Driver, Tally
from ava_det.archive.labeler import LabelerLoader
from ava_det.archive.listing import MANIFEST, make_manifest, open_manifest, update_manifest
from ava_det.archive.manifest import Entry, Manifest, ManifestIndex
from ava_det.archive.outcomes import Outcomes, list_failures, list_results
from ava_det.archive.process_workers import ProcessWorkers
from ava_det.archive.run_facts import require_same_run
from ava_det.archive.slurm import submit, write_script
from ava_det.archive.workers import Workers
from ava_det.jobs.claims import CLAIMS, Claims
from ava_det.jobs.store import Store, open_store
from ava_det.messages.counts import format_count

DAY = 86400.0  # seconds after which a file that is not whole is nobody's


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det label` and returns its exit code."""
    store = open_store(absolute(args.output))
    prepare_manifest(args, store)
    with open_manifest(store) as manifest:
        if args.source is not None and Path(args.source).is_dir():
            require_video(manifest, args.source)
            manifest.root = absolute(args.source)  # as this machine names the folder
        if args.engine == "slurm":
            return submit_array(args, manifest.root)
        index = manifest.index(args.shard or (1, 1))
        if args.status:
            print(describe_status(store, index))
            return 0
        store.sweep("results", max(DAY, 2 * args.time_limit))
        agenda = Agenda(index, list_results(store))
        tally = work_off(args, store, agenda)
    if not is_first():  # an exit code of 1 would have torchrun end the first one, which reports
        return 0
    report(store, len(index), tally)
    return 1 if tally.failed else 0


def absolute(address: str) -> str:
    """Makes a path absolute, as other processes and machines need it; leaves a URL as it is."""
    return address if "://" in address else os.path.abspath(address)


def prepare_manifest(args: argparse.Namespace, store: Store) -> None:
    """Makes the manifest in the first run, and brings it up to date where --update asks for it.

    Raises:
        ValueError: The source cannot be read, or none is given.
    """
    is_there = store.has(MANIFEST)
    if args.source is None:
        if args.update:
            raise ValueError("--update: expected FOLDER or LIST too, whose videos are looked at")
        if not is_there:
            raise ValueError(
                f"{store.address}: found no {MANIFEST} of an earlier run, expected FOLDER or LIST"
            )
    elif not is_there:
        make_manifest(args.source, store)
    elif args.update:
        new, changed, gone = update_manifest(args.source, store)
        print(f"{format_count(new, 'new video')}, {changed} changed, {gone} gone", file=sys.stderr)


def require_video(manifest: Manifest, folder: str) -> None:
    """Checks that a folder is the one of a manifest: it has its first video.

    Raises:
        ValueError: It has not.
    """
    first = next(iter(manifest))
    if "://" not in first.path and not (Path(folder) / first.path).exists():
        raise ValueError(
            f"{manifest.name}: expected the folder it was made of, {manifest.root}, with "
            f"{first.path}, or --update, received {folder}"
        )


def work_off(args: argparse.Namespace, store: Store, agenda: Agenda) -> Tally:
    """Labels the videos of an agenda, and shows how far it is."""
    bar = tqdm(
        total=agenda.num_bytes,
        bar_format="{desc} {percentage:3.0f}%|{bar}| [{elapsed}, {remaining} left]",
        disable=not is_first(),
    )
    total = len(agenda)

    def show(entry: Entry, tally: Tally) -> None:
        done = tally.num_done + tally.num_elsewhere
        failed = f", {len(tally.failed)} failed" if tally.failed else ""
        bar.set_description(f"{done + len(tally.failed)} of {total} videos{failed}", refresh=False)
        bar.update(entry.size)

    with (
        bar,
        ended_by_sigterm(),
        Claims(store) as claims,
        closing(start_workers(args)) as workers,
    ):
        driver = Driver(
            agenda,
            workers,
            claims,
            Outcomes(store, claims.name),
            partial(require_same_run, store),
            args.time_limit,
            args.retries,
            show,
        )
        return driver.run()


def submit_array(args: argparse.Namespace, root: str) -> int:
    """Submits a Slurm array of shards, or says how; returns the exit code."""
    folder = Path(absolute(args.output)) / "slurm"
    command = [sys.executable, "-m", "ava_det", "label", root, *list_words(args)]
    script = write_script(folder, command, args.workers or 1, dict(args.slurm))
    answer = submit(script)
    print(answer or f"found no sbatch on this machine; where there is one: sbatch {script}")
    return 0


def list_words(args: argparse.Namespace) -> list[str]:
    """Lists the options of a task, which runs elsewhere."""
    labeler = describe_labeler(args)
    named = {
        "--output": labeler.output,
        "--weights": labeler.weights,
        "--config": labeler.config,
        "--label-map": labeler.label_map,
        "--runtime": labeler.runtime,
        "--detector": None if labeler.boxes else labeler.detector,
        "--boxes": labeler.boxes,
        "--every": repr(labeler.every),
        "--threshold": labeler.threshold,
        "--hwaccel": labeler.hwaccel,
        "--time-limit": repr(args.time_limit),
        "--retries": str(args.retries),
    }
    words = [word for name, value in named.items() if value for word in (name, value)]
    return [*words, *labeler.overrides]


def start_workers(args: argparse.Namespace) -> Workers:
    """Chooses what starts the workers."""
    loader = describe_labeler(args)
    if args.engine == "ray":
        from ava_det.archive.ray_workers import RayWorkers

        return RayWorkers(loader, args.workers, args.address)
    return ProcessWorkers(loader, args.workers or 1, int(os.environ.get("LOCAL_RANK", 0)))


def describe_labeler(args: argparse.Namespace) -> LabelerLoader:
    """Collects the options of a labeler, for a process or machine that works elsewhere."""
    return LabelerLoader(
        absolute(args.output),
        locate(args.weights),
        args.config and locate(args.config),
        tuple(args.overrides),
        args.label_map and locate(args.label_map),
        args.runtime,
        args.detector or "auto",
        args.boxes and locate(args.boxes),
        args.every,
        args.threshold,
        args.hwaccel,
    )


def locate(name: str) -> str:
    """Makes the path of an existing file absolute; other names stay as they are."""
    return os.path.abspath(name) if Path(name).is_file() else name


def is_first() -> bool:
    """Returns whether this process is the first of torchrun's, or alone."""
    return int(os.environ.get("RANK", 0)) == 0


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Lets SIGTERM, as clusters send it, end the block in order, so that claims are released."""

    def end(*_: object) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def describe_status(store: Store, index: ManifestIndex) -> str:
    """Says how far the videos of an index are, by what files there are."""
    done = index.among(list_results(store))
    failed = index.among(list_failures(store)) & ~done
    claimed = index.among(store.names(CLAIMS)) & ~done
    left = ~(done | failed | claimed)
    return (
        f"{format_count(len(index), 'video')}: {done.sum()} labeled, "
        f"{(claimed & ~failed).sum()} in work, {failed.sum()} with failed attempts, "
        f"{left.sum()} to do ({index.sizes[left].sum() / 1e9:.3g} GB)"
    )


def report(store: Store, num_videos: int, tally: Tally) -> None:
    """Prints what the run did, and which videos have no result."""
    elsewhere = f"{tally.num_elsewhere} by other processes, " if tally.num_elsewhere else ""
    print(
        f"{format_count(num_videos, 'video')}: {tally.num_done} labeled, {elsewhere}"
        f"{tally.num_before} there before, {len(tally.failed)} failed; "
        f"{format_count(tally.num_persons, 'person')} on "
        f"{format_count(tally.num_keyframes, 'keyframe')}; written: {store.address}/results"
    )
    for path, why in sorted(tally.failed.items()):
        print(f"failed: {path}: {why}", file=sys.stderr)
    if tally.failed:
        print(
            f"{store.address}/errors names them too; delete it to try them again", file=sys.stderr
        )
