"""Trains the five synthetic configs at equal steps over three seeds and prints the README's table.

    python -m studies.synthetic_table [--output outputs/synthetic_table] [--seeds 0 1 2] [--jobs 2]
    [key=value ...]

Every run trains once and is scored with detected and with ground-truth boxes; a run that is already
there is not repeated. With --jobs 2 two runs share the machine, each on half of its cores, and the
table says so below its training times.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from ava_det.boxes import compute_iou
from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import Config, load_config
from ava_det.device.threads import build_child_environment
from ava_det.files import write_text
from ava_det.formats.annotations import (
    keyframes_from_annotations,
    load_annotation_files,
    load_detections,
)
from ava_det.models.build import build_model
from ava_det.models.cost import compute_cost
from ava_det.structures import KeyframeKey

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("single_frame", "slow_only", "fast_only", "slowfast_no_lateral", "slowfast")
# AVA ids: pairs that only motion separates, the last two faster than four slow frames can follow
MOTION_PAIRS = {
    "fall / get up": (5, 6),
    "run / walk": (10, 14),
    "wave / point": (69, 43),
    "hit / lift": (34, 36),
}
# what distinguishes the classes of a group; all twelve classes of the set
CLASS_GROUPS = {
    "appearance": (8, 12, 17, 48),
    "slow motion": (5, 6, 10, 14),
    "fast motion": (69, 43, 34, 36),
}


@dataclass
class Run:
    """Holds the numbers of one training.

    Attributes:
        name: The config.
        seed: The seed.
        detected: Metrics with detected boxes.
        labeled: Metrics with ground-truth boxes.
        pair_auc: The separation of each motion pair, as `compute_pair_auc` returns it.
        train_seconds: Seconds of training.
    """

    name: str
    seed: int
    detected: dict[str, Any]
    labeled: dict[str, Any]
    pair_auc: list[float]
    train_seconds: float


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study and returns its exit code."""
    parser = ToolParser("python -m studies.synthetic_table", __doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/synthetic_table"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--configs", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time (default: 1)")
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    plan = [(name, seed) for seed in args.seeds for name in args.configs]
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = [
            pool.submit(
                train_and_score,
                args.output / f"{name}_{seed}",
                name,
                seed,
                args.jobs,
                args.overrides,
            )
            for name, seed in plan
        ]
        runs = [future.result() for future in futures]
    table = format_table(runs, args.configs, args.jobs)
    write_text(args.output / "table.md", table)
    print(table)
    return 0


def train_and_score(folder: Path, name: str, seed: int, jobs: int, overrides: Sequence[str]) -> Run:
    """Trains one config with one seed and reads its numbers.

    A run that this folder already holds is not repeated.
    """
    config_file = str(ROOT / "configs" / "synthetic" / f"{name}.yaml")
    wanted = load_config(config_file, [*overrides, f"seed={seed}", f"output_dir={folder}"])
    finished = (folder / "gt_boxes" / "metrics.json").exists()
    if not finished or load_config(folder / "config.yaml") != wanted:
        common = ["--config", config_file, *overrides, f"seed={seed}"]
        run_command("train", [*common, f"output_dir={folder}"], jobs, folder)
        weights = ["--weights", str(folder / "checkpoints" / "last.pt"), "--boxes", "gt"]
        run_command("test", [*common, f"output_dir={folder}/gt_boxes", *weights], jobs, folder)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    seconds = sum(line["seconds"] for line in lines if "seconds" in line)
    detected, labeled = (
        json.loads((folder / part / "metrics.json").read_text()) for part in ("", "gt_boxes")
    )
    config = load_config(folder / "config.yaml")
    pairs = list(MOTION_PAIRS.values())
    auc = compute_pair_auc(config, folder / "gt_boxes" / "detections.csv", pairs)
    return Run(name, seed, detected, labeled, auc, seconds)


def run_command(name: str, arguments: list[str], jobs: int, folder: Path) -> None:
    """Runs a command of ava-det; its output goes to `folder`/console.txt.

    Raises:
        ValueError: The command failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // jobs)
    print(f"$ ava-det {name} {shlex.join(arguments)}", flush=True)
    with open(folder / "console.txt", "a") as console:
        command = [sys.executable, "-m", "ava_det", name, *arguments]
        environment = build_child_environment(threads)
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        code = subprocess.run(
            command, stdout=console, stderr=console, env=environment, check=False
        ).returncode
    if code:
        raise ValueError(
            f"ava-det {name} ended with exit code {code}, its output is in {folder}/console.txt"
        )


def compute_pair_auc(
    config: Config, detections: Path, pairs: Sequence[tuple[int, int]]
) -> list[float]:
    """Computes how well scores separate the classes of each pair of actions.

    This is how often a person of the first class outranks one of the second by score difference;
    0.5 is chance. Persons are the labeled boxes with exactly one class of the pair.
    """
    keyframes = keyframes_from_annotations(
        load_annotation_files(config.data.val.annotation_files), config.model.num_classes
    )
    rows = load_detections(detections)
    scores: dict[KeyframeKey, list[tuple[list[float], int, float]]] = {}
    columns = (rows.video_index, rows.timestamps, rows.boxes, rows.action_ids, rows.scores)
    for video, timestamp, box, action_id, score in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        key = KeyframeKey.at(rows.video_names[video], timestamp)
        scores.setdefault(key, []).append((box, action_id, score))
    margins: list[tuple[list[float], list[float]]] = [([], []) for _ in pairs]
    for keyframe in keyframes:
        assert keyframe.labels is not None
        results = scores.get(keyframe.key, [])
        if not results:
            continue
        boxes = torch.tensor([box for box, _, _ in results])
        for person, labels in zip(keyframe.boxes, keyframe.labels, strict=True):
            is_person = compute_iou(person[None], boxes)[0] > 0.999
            by_id = {results[i][1]: results[i][2] for i in is_person.nonzero().flatten().tolist()}
            for (first, second), margin in zip(pairs, margins, strict=True):
                if bool(labels[first - 1]) != bool(labels[second - 1]):
                    margin[0 if labels[first - 1] else 1].append(by_id[first] - by_id[second])
    return [
        compute_auc(torch.tensor(positive), torch.tensor(negative))
        for positive, negative in margins
    ]


def compute_auc(positive: torch.Tensor, negative: torch.Tensor) -> float:
    """Returns the share of pairs in which the positive is larger; ties count half."""
    above = (positive[:, None] > negative[None]).double() + 0.5 * (
        positive[:, None] == negative[None]
    ).double()
    return float(above.mean())


def compute_gmacs(name: str, overrides: Sequence[str] = ()) -> float:
    """Counts multiply-accumulates of one clip with one box, in billions.

    Convolutions and linear layers are counted.
    """
    config = load_config(ROOT / "configs" / "synthetic" / f"{name}.yaml", overrides)
    with torch.device("meta"):
        model = build_model(config)
    height = config.data.test_short_side
    return compute_cost(model, config.model.clip_shapes(), height, height * 4 // 3).gmacs


def compute_group_ap(metrics: dict[str, Any], group: str) -> float:
    """Computes the mean AP of a group of classes.

    A class that was never seen to be right, or has no labeled box, counts as 0.
    """
    return mean(
        metrics["per_class"][str(action_id)]["AP"] or 0.0 for action_id in CLASS_GROUPS[group]
    )


def format_table(runs: Sequence[Run], names: Sequence[str], jobs: int) -> str:
    """Formats a Markdown table: means and standard deviations over seeds.

    Groups of classes are scored with labeled boxes.
    """

    def spread(values: Sequence[float]) -> str:
        return (
            f"{mean(values):.3f} ± {stdev(values):.3f}"
            if len(values) > 1
            else f"{mean(values):.3f}"
        )

    pairs = " | ".join(MOTION_PAIRS)
    groups = " | ".join(CLASS_GROUPS)
    lines = [
        f"| config | frame mAP, detected boxes | labeled boxes | {groups} | AUC {pairs} | "
        "GMACs | training |",
        "|" + "---|" * (5 + len(CLASS_GROUPS) + len(MOTION_PAIRS)),
    ]
    for name in names:
        network_runs = [run for run in runs if run.name == name]
        cells = [
            name,
            spread([run.detected["mAP"] for run in network_runs]),
            spread([run.labeled["mAP"] for run in network_runs]),
        ]
        cells += [
            spread([compute_group_ap(run.labeled, group) for run in network_runs])
            for group in CLASS_GROUPS
        ]
        cells += [
            f"{mean(run.pair_auc[i] for run in network_runs):.2f}" for i in range(len(MOTION_PAIRS))
        ]
        cells += [
            f"{compute_gmacs(name):.2f}",
            f"{mean(run.train_seconds for run in network_runs):.0f} s",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    seeds = len({run.seed for run in runs})
    lines.append(
        f"\n{seeds} seeds, mean ± standard deviation; training with {threads} thread(s), "
        f"{jobs} run(s) at a time."
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
