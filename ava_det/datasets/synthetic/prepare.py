"""Renders the synthetic dataset: videos in H.264 and their annotations in AVA's format."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from ava_det.datasets.synthetic import scene
from ava_det.datasets.synthetic.actions import ACTION_NAMES
from ava_det.datasets.synthetic.room import Palette, draw_palette
from ava_det.datasets.synthetic.tubes import annotate_frames, format_rows, join_frames
from ava_det.datasets.synthetic.waits import WAITING_NAMES, plan_waits
from ava_det.files import write_text
from ava_det.formats.tubes import Tube, TubeTruth
from ava_det.formats.tubes.frame_table import VideoFrames, write_frame_table
from ava_det.formats.tubes.truth_writer import write_truth
from ava_det.interrupts import run_in_workers

# raise it when the rendered pixels or rows change, so that older folders are rendered again
VERSION = 3
SPLITS = ("train", "val", "demo")
STAMP = "complete.json"

Job = tuple[Path, str, int, int, int, int, int, bool, bool]


class RenderedVideo(NamedTuple):
    """Holds the annotations of one rendered video.

    Attributes:
        lines: Of the annotation CSV.
        excluded: Lines of the exclusion CSV.
        dense_lines: Of the annotation CSV of every frame, empty where it is not wanted.
        tubes: The ground truth of tubes; none where it is not wanted.
    """

    lines: str
    excluded: str
    dense_lines: str = ""
    tubes: tuple[Tube, ...] = ()


def write_video(path: Path, frames: Iterable[np.ndarray], width: int, height: int) -> None:
    """Writes H.264 at 15 fps, a key picture every second and no B frames: seeking is cheap."""
    temporary = path.with_name(path.stem + ".part.mp4")
    options = {"crf": "24", "preset": "ultrafast", "bf": "0", "sc_threshold": "0", "threads": "1"}
    with av.open(str(temporary), "w") as container:
        stream = container.add_stream("libx264", rate=scene.FPS, options=options)
        stream.width = width
        stream.height = height
        stream.pix_fmt = "yuv420p"
        stream.gop_size = scene.FPS
        for image in frames:
            planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode())
    os.replace(temporary, path)


def name_video(split: str, index: int) -> str:
    """Returns the id of a video of a split."""
    return f"{split}_{index:0{10 - len(split)}d}"


def list_actions(waits: bool) -> dict[int, str]:
    """Returns names by action id, rising, of the plain set or of the one with waits."""
    return dict(sorted((ACTION_NAMES | (WAITING_NAMES if waits else {})).items()))


def render_video(job: Job) -> RenderedVideo:
    """Renders one video and returns its annotations."""
    cv2.setNumThreads(1)
    folder, split, index, seed, seconds, width, height, waits, wants_tubes = job
    video_id = name_video(split, index)
    plan_rng, paint_rng = (
        np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), index, use]))
        for use in (0, 1)
    )
    palette = draw_palette(plan_rng)
    if waits:
        actors = [_build_waiting_actor(plan_rng, palette, (width, height), seconds)]
    else:
        # Somebody alone would be a dull demonstration.
        count = 2 if split == "demo" else scene.draw_num_persons(plan_rng)
        actors = scene.build_actors(plan_rng, palette, count, (width, height), seconds)
    rows, excluded = scene.compute_ground_truth(actors, width, height, seconds)
    frames = scene.render_frames(paint_rng, palette, actors, width, height)
    write_video(folder / f"{video_id}.mp4", frames, width, height)
    lines: list[str] = []
    for row in rows:
        keyframe_and_box = f"{video_id},{row.timestamp:04d},{','.join(f'{v:.4f}' for v in row.box)}"
        lines += [f"{keyframe_and_box},{action},{row.person_id}\n" for action in row.action_ids]
    rendered = RenderedVideo(
        "".join(lines), "".join(f"{video_id},{timestamp:04d}\n" for timestamp in excluded)
    )
    if not wants_tubes:
        return rendered
    frame_rows = annotate_frames(actors, width, height)
    labels = {action_id: label for label, action_id in enumerate(list_actions(waits))}
    return rendered._replace(
        dense_lines=format_rows(video_id, frame_rows, width, height),
        tubes=tuple(join_frames(video_id, frame_rows, labels)),
    )


def _build_waiting_actor(
    rng: np.random.Generator, palette: Palette, size: tuple[int, int], seconds: int
) -> scene.Actor:
    """Draws a figure that waits; alone, so that nobody else's seconds stand beside its own."""
    role = scene.draw_role(rng, palette, size, seconds, 0, 1)
    return scene.play(dataclasses.replace(role, segments=plan_waits(rng, seconds)), seconds)


def render_dataset(
    output: Path,
    seed: int,
    counts: dict[str, int],
    seconds: int,
    width: int,
    height: int,
    waits: bool = False,
    tubes: bool = False,
) -> None:
    """Renders every split into ``output``. The stamp is removed first and written last.

    Args:
        output: Folder to write.
        seed: Of everything that is drawn.
        counts: Videos of each split.
        seconds: Of each video.
        width: Pixels.
        height: Pixels.
        waits: Whether every video has one figure that waits, see `waits.py`, in place of those of
            the plain set.
        tubes: Whether every frame is annotated too, see `tubes.py`.
    """
    parameters = {
        "version": VERSION,
        "seed": seed,
        "videos": counts,
        "seconds": seconds,
        "size": [width, height],
    }
    if waits:
        parameters["waits"] = True
    if tubes:
        parameters["tubes"] = True
    stamp = output / STAMP
    if stamp.exists() and json.loads(stamp.read_text(encoding="utf-8")) == parameters:
        print(f"{output} is already complete.")
        return
    stamp.unlink(missing_ok=True)
    videos = output / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    for stale in videos.glob("*.mp4"):
        if stale.stem.split("_")[0] in SPLITS:
            stale.unlink()
    numbers = [(split, number) for split in SPLITS for number in range(counts[split])]
    jobs = [(videos, *job, seed, seconds, width, height, waits, tubes) for job in numbers]
    kept = f"they stay in {videos}, without annotations; the same command renders all of them again"
    num_workers = min(len(jobs), os.cpu_count() or 1)
    results = run_in_workers(render_video, jobs, num_workers, "rendering", kept)
    _write_annotations(output, jobs, results, waits)
    if tubes:
        _write_tubes(output, jobs, results)
    write_text(stamp, json.dumps(parameters) + "\n")


def _write_annotations(
    output: Path, jobs: list[Job], results: list[RenderedVideo], waits: bool
) -> None:
    """Writes the CSV files of every split and the label map."""
    for split in SPLITS:
        own = [video for job, video in zip(jobs, results, strict=True) if job[1] == split]
        write_text(output / f"{split}.csv", "".join(video.lines for video in own))
        write_text(output / f"{split}_excluded.csv", "".join(video.excluded for video in own))
    items = (
        f'item {{\n  name: "{name}"\n  id: {action_id}\n}}\n'
        for action_id, name in list_actions(waits).items()
    )
    write_text(output / "labelmap.pbtxt", "".join(items))


def _write_tubes(output: Path, jobs: list[Job], results: list[RenderedVideo]) -> None:
    """Writes the annotations of every frame, the frame table and the ground truth of tubes."""
    names: dict[str, list[str]] = {split: [] for split in SPLITS}
    texts: dict[str, list[str]] = {split: [] for split in SPLITS}
    frames = []
    for job, video in zip(jobs, results, strict=True):
        _, split, index, _, seconds, width, height, waits, _ = job
        name = name_video(split, index)
        names[split].append(name)
        texts[split].append(video.dense_lines)
        size = seconds * scene.FPS, width, height
        frames.append(VideoFrames(name, name, Fraction(scene.FPS), *size))
    for split, lines in texts.items():
        write_text(output / f"{split}_dense.csv", "".join(lines))
    write_frame_table(output / "frames.csv", frames)
    truth = TubeTruth(
        tuple(list_actions(waits).values()),
        (tuple(names["train"]),),
        (tuple(names["val"]),),
        {row.video_id: row.num_frames for row in frames},
        {row.video_id: (row.height, row.width) for row in frames},
        {tube.video: video.tubes for video in results for tube in video.tubes[:1]},
    )
    write_truth(output / "tubes_GT.pkl", truth)
