"""Compares two-stream networks with SlowFast at equal steps on the synthetic set.

    python -m studies.two_stream [--full] [--output outputs/two_stream] [--rows rgb flow late ...]
    [--jobs 2] [key=value ...]

The SlowFast paper says that two pathways of frames need no optical flow. Here I3D sees RGB, optical
flow or both, beside SlowFast and SlowFast with flow. Networks that are joined late are trained
alone, as the papers do, and joined without training; those that meet at the map are trained
together, at the steps of one.

One seed and two epochs, 300 steps; with --full three seeds and the four epochs of the config. The
set is rendered first: ava-det render --output data/synthetic/rendered. A run that is already there
is not repeated, so that the study can be made in pieces, a row at a time. Writes table.md: frame
mAP with labeled boxes, groups of actions apart, GMACs, and milliseconds of a clip on this CPU.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import Config, load_config
from ava_det.data.build import build_clip_reader, find_config_videos
from ava_det.files import write_text
from ava_det.flow import build_flow
from ava_det.models.build import build_model
from ava_det.models.inference_form import optimize_for_inference
from ava_det.video.folder import open_video
from studies.ablation import spread
from studies.families import SHORT
from studies.synthetic_table import (
    CLASS_GROUPS,
    ROOT,
    compute_gmacs,
    compute_group_ap,
    run_command,
    train_and_score,
)

CONFIG = ROOT / "configs" / "synthetic" / "slowfast.yaml"
TIMES = 11  # that a clip is run; the median counts


class Row(NamedTuple):
    """Describes a network of the table.

    Attributes:
        name: As the table has it.
        overrides: What is changed in configs/synthetic/slowfast.yaml.
        halves: The rows of the networks that are joined late; empty for one that is trained.
    """

    name: str
    overrides: tuple[str, ...]
    halves: tuple[str, ...] = ()


class Milliseconds(NamedTuple):
    """Holds what one clip costs on this CPU: the network, and the optical flow that it reads."""

    network: float
    flow: float


_I3D = ("model.backbone=i3d", "model.num_slow_frames=16", "model.slow_stride=4")
# The four ticks between two frames of I3D: in one, slow motions are below a level of the coding.
_FLOW = ("data.flow_gap=4", "data.flow_range=10", "data.flow_std=[10,10]")
_BESIDE = ("model.flow.backbone=i3d", "model.flow.num_frames=16", "model.flow.stride=4")
_TWO = ("model.streams=two_stream", *_FLOW)
_LATE = (*_TWO, "model.flow.scores=sigmoid")
ROWS: dict[str, Row] = {
    "rgb": Row("I3D, RGB", _I3D),
    "flow": Row("I3D, flow", (*_I3D, "model.streams=flow", *_FLOW)),
    "late": Row("two-stream I3D, late", (*_I3D, *_LATE), ("rgb", "flow")),
    "map": Row("two-stream I3D, map", (*_I3D, *_TWO, "model.flow.fusion=map")),
    "slowfast": Row("SlowFast", ()),
    "slowfast_flow": Row("SlowFast + flow, late", (*_LATE, *_BESIDE), ("slowfast", "flow")),
}


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study and returns its exit code."""
    parser = ToolParser("python -m studies.two_stream", __doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/two_stream"))
    parser.add_argument("--full", action="store_true", help="three seeds, twice the steps")
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=list(ROWS))
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time (default: 1)")
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    seeds = (0, 1, 2) if args.full else (0,)
    overrides = args.overrides if args.full else [*SHORT, *args.overrides]
    scores = measure(args.rows, args.output, seeds, args.jobs, overrides)
    configs = {row: load_config(CONFIG, [*overrides, *ROWS[row].overrides]) for row in args.rows}
    costs = {
        row: compute_gmacs("slowfast", [*overrides, *ROWS[row].overrides]) for row in args.rows
    }
    times = {row: time_clip(config) for row, config in configs.items()}
    table = format_table(scores, costs, times)
    write_text(args.output / "table.md", table)
    print(table)
    return 0


def measure(
    rows: Sequence[str], output: Path, seeds: Sequence[int], jobs: int, overrides: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Trains and joins what is not there yet, seed by seed.

    Returns:
        Of each row its metrics with labeled boxes, one a seed.
    """
    needed = dict.fromkeys(half for row in rows for half in (ROWS[row].halves or (row,)))
    plan = [(row, seed) for seed in seeds for row in needed]

    def train(item: tuple[str, int]) -> dict[str, Any]:
        row, seed = item
        changed = [*overrides, *ROWS[row].overrides]
        return train_and_score(output / f"{row}_{seed}", "slowfast", seed, jobs, changed).labeled

    with ThreadPoolExecutor(jobs) as pool:
        trained = dict(zip(plan, pool.map(train, plan), strict=True))
    return {
        row: [
            join_and_score(row, output, seed, jobs, overrides)
            if ROWS[row].halves
            else trained[row, seed]
            for seed in seeds
        ]
        for row in rows
    }


def join_and_score(
    row: str, output: Path, seed: int, jobs: int, overrides: Sequence[str]
) -> dict[str, Any]:
    """Joins two trained networks and returns the metrics with labeled boxes.

    What was scored after both were trained is not scored again.
    """
    folder = output / f"{row}_{seed}"
    halves = [output / f"{half}_{seed}" / "checkpoints" / "last.pt" for half in ROWS[row].halves]
    metrics = folder / "metrics.json"
    newest = max(half.stat().st_mtime for half in halves)
    if not metrics.exists() or metrics.stat().st_mtime < newest:
        joined = folder / "joined.safetensors"
        common = ["--config", str(CONFIG), *overrides, *ROWS[row].overrides, f"seed={seed}"]
        files = ["--weights", str(halves[0]), "--flow-weights", str(halves[1])]
        run_command("convert", [*common, *files, "--output", str(joined)], jobs, folder)
        scored = ["--weights", str(joined), "--boxes", "gt", f"output_dir={folder}"]
        run_command("test", [*common, *scored], jobs, folder)
    found: dict[str, Any] = json.loads(metrics.read_text())
    return found


def time_clip(config: Config) -> Milliseconds:
    """Times the network and the flow of one clip of the size that is tested, on the CPU in fp32.

    Flow is timed on the first pair of frames in the middle of a video, and counted for all pairs of
    a clip: those that it shares with the clip before are not left out, decoding is.
    """
    height = config.data.test_short_side
    with open_video(min(find_config_videos(config).values()), config.data.start_second) as reader:
        middle = (config.data.start_second + reader.find_end()) / 2
        later = middle + config.data.flow_gap / config.data.clip_fps
        first, second = reader.read([middle, later], height)
    width = first.shape[1]
    torch.manual_seed(0)
    model = optimize_for_inference(build_model(config))
    inputs = {
        name: torch.randn(1, channels, frames, height, width)
        for name, (channels, frames) in config.model.clip_shapes().items()
    }
    inputs["rois"] = torch.tensor([[0.0, 8.0, 8.0, 56.0, 64.0]])
    with torch.inference_mode():
        network = _time(lambda: model(**inputs))
    of_clips = build_clip_reader(config).flow
    if of_clips is None:
        return Milliseconds(network, 0.0)
    algorithm = build_flow(config.data.flow_algorithm)
    return Milliseconds(
        network, len(of_clips.ticks) * _time(lambda: algorithm.compute(first, second))
    )


def _time(call: Callable[[], object]) -> float:
    """Returns the median of the milliseconds of a call, after one to warm up."""
    taken = []
    for _ in range(TIMES + 1):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    return median(taken[1:])


def format_table(
    scores: dict[str, list[dict[str, Any]]],
    costs: dict[str, float],
    times: dict[str, Milliseconds],
) -> str:
    """Formats a Markdown table, a row a network: means and standard deviations over seeds.

    Args:
        scores: Of each row its metrics, one a seed.
        costs: GMACs of a clip.
        times: Of a clip.
    """
    lines = [
        f"| network | frame mAP | {' | '.join(CLASS_GROUPS)} | GMACs | ms: network | flow | both |",
        "|" + "---|" * (6 + len(CLASS_GROUPS)),
    ]
    for row, metrics in scores.items():
        groups = [
            spread([compute_group_ap(one, group) for one in metrics]) for group in CLASS_GROUPS
        ]
        network, flow = times[row]
        cells = [
            ROWS[row].name,
            spread([one["mAP"] for one in metrics]),
            *groups,
            f"{costs[row]:.3f}",
            f"{network:.1f}",
            f"{flow:.1f}",
            f"{network + flow:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    seeds = max((len(metrics) for metrics in scores.values()), default=0)
    lines.append(f"\n{seeds} seed(s), labeled boxes, the same steps for every network trained.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
