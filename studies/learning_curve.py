"""Compares `ava-det suggest` with random choice: mAP against the number of labeled keyframes.

    python -m studies.learning_curve [--output outputs/learning_curve] [--seeds 0 1 2 ...]
    [--arms suggest random ...] [key=value ...]

A network is trained for 300 steps on other videos (rendered with another seed) with six of the
twelve actions, as somebody begins with weights that know some of their actions. Then each seed
labels 16 keyframes of the synthetic set, drawn by chance, and adds labels round by round: of those
that are suggested, or of others drawn by chance. Each round fits a head on the frozen network, as
`ava-det train-head` does, and scores it on data.val with labeled boxes. Persons are the labeled
boxes in all of it, so that nothing but the choice differs. The other arms are the three reasons of
suggestions, each alone.

The set is rendered first: ava-det render --output data/synthetic/rendered. What is already there is
not repeated. Writes table.md and, where matplotlib is installed, learning_curve.png.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.config import Config, load_config
from ava_det.data.build import load_label_map_for
from ava_det.device.select import prepare_torch
from ava_det.files import atomic_path, write_json, write_text
from ava_det.operations.train_head import fit, to_detections
from ava_det.structures import Keyframe
from ava_det.suggest import Calibration, Labeled, Pool, Reasons, choose_keyframes
from ava_det.suggest.selection import WEIGHTS
from ava_det.tasks.action_detection import compute_metrics
from ava_det.tasks.frozen_network import join_labels, load_frozen, score_features
from ava_det.tasks.own_head import load_features
from ava_det.tasks.splits import Split, build_split
from studies.ablation import spread
from studies.synthetic_table import ROOT, run_command

CONFIG = ROOT / "configs" / "synthetic" / "slowfast.yaml"
COUNTS = (16, 24, 32, 48, 64, 96, 128)  # labeled keyframes
KNOWN_ACTIONS = "[8,10,12,14,17,69]"
OTHER_SEED = 7  # of the other videos
# what chooses: weights of the three reasons, or chance
ARMS: dict[str, Reasons | None] = {
    "suggest": WEIGHTS,
    "random": None,
    "novelty": Reasons(1.0, 0.0, 0.0),
    "uncertainty": Reasons(0.0, 1.0, 0.0),
    "rarity": Reasons(0.0, 0.0, 1.0),
}


class Point(NamedTuple):
    """Holds what a number of labeled keyframes gives.

    Attributes:
        keyframes: How many are labeled.
        persons: How many persons are on them.
        mean_ap: Frame mAP on data.val with labeled boxes.
    """

    keyframes: int
    persons: int
    mean_ap: float


class Boxes(NamedTuple):
    """Holds the labeled boxes of a split: keyframes, features [N, D] and labels [N, C]."""

    keyframes: list[Keyframe]
    features: Tensor
    labels: Tensor

    def take(self, indices: Sequence[int]) -> Boxes:
        """Returns those of some keyframes."""
        sizes = [len(keyframe.boxes) for keyframe in self.keyframes]
        rows = torch.arange(len(self.features)).split(sizes)
        chosen = torch.cat([rows[index] for index in indices])
        keyframes = [self.keyframes[index] for index in indices]
        return Boxes(keyframes, self.features[chosen], self.labels[chosen])


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study and returns its exit code."""
    parser = ToolParser("python -m studies.learning_curve", __doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/learning_curve"))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(6)))
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=["suggest", "random"])
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    overrides = ["precision=fp32", *args.overrides]
    load_label_map_for(load_config(CONFIG, overrides))  # or a set that is missing is missed late
    weights = train_start(args.output, overrides)
    curves = measure(args.output, weights, args.seeds, args.arms, overrides)
    table = format_table(curves)
    write_text(args.output / "table.md", table)
    print(table)
    try:
        draw(args.output / "learning_curve.png", curves)
    except ImportError:
        print("no learning_curve.png was drawn: pip install 'ava_det[report]' brings matplotlib")
    return 0


def train_start(output: Path, overrides: Sequence[str]) -> Path:
    """Trains the network that all curves begin with, where it is not there yet, on one thread.

    Returns:
        Its weights.
    """
    jobs = os.cpu_count() or 1
    other, folder = output / "other", output / "start"
    options = ["--output", str(other), f"--seed={OTHER_SEED}", "--num-val=2"]
    run_command("render", options, jobs, output)
    changed = [*overrides, "data.val.boxes=gt", "train.epochs=2", f"output_dir={folder}"]
    changed += [f"data.video_dir={other}/videos", f"data.label_map={other}/labelmap.pbtxt"]
    for split in ("train", "val"):
        changed += [f"data.{split}.annotations={other}/{split}.csv"]
        changed += [f"data.{split}.excluded={other}/{split}_excluded.csv"]
    changed += [f"train.action_ids={KNOWN_ACTIONS}"]
    finished = (folder / "metrics.json").exists()
    if not finished or load_config(folder / "config.yaml") != load_config(CONFIG, changed):
        run_command("train", ["--config", str(CONFIG), *changed], jobs, folder)
    return folder / "checkpoints" / "last.pt"


def measure(
    output: Path,
    weights: Path,
    seeds: Sequence[int],
    arms: Sequence[str],
    overrides: Sequence[str],
) -> dict[str, list[list[Point]]]:
    """Measures the curves that are not there yet, seed by seed.

    Returns:
        Arm -> its curves, one a seed; a seed begins with the same labels in all arms.
    """
    config = load_config(CONFIG, [*overrides, f"weights={weights}", f"output_dir={output}"])
    loop: Loop | None = None
    curves: dict[str, list[list[Point]]] = {arm: [] for arm in arms}
    for seed in seeds:
        for arm in arms:
            path = output / "curves" / f"{arm}_{seed}.json"
            if not path.exists() or path.stat().st_mtime < weights.stat().st_mtime:
                loop = loop or Loop(config)
                write_json(path, loop.run(arm, seed))
            curves[arm].append([Point(*point) for point in json.loads(path.read_text())])
            print(f"seed {seed}, {arm}: {curves[arm][-1][-1].mean_ap:.3f}", flush=True)
    return curves


class Loop:
    """Labels a set round by round and fits a head each time, on a network that stays as it is.

    Args:
        config: With the network's weights.
    """

    def __init__(self, config: Config) -> None:
        device = prepare_torch(config)
        self._config = config
        self._label_map = load_label_map_for(config)
        self._columns = [action_id - 1 for action_id in self._label_map]
        self._model = load_frozen(config)
        self._val_split = build_split(config, "val", device, boxes="gt")
        train_split = build_split(config, "train", device)
        self._train = self._load(train_split, device)
        self._val = self._load(self._val_split, device)

    def _load(self, split: Split, device: torch.device) -> Boxes:
        folder = Path(self._config.output_dir) / "features"
        keyframes, features = load_features(self._config, self._model, split, folder, device)
        return Boxes(keyframes, features, join_labels(keyframes))

    def run(self, arm: str, seed: int) -> list[Point]:
        """Measures one curve.

        Args:
            arm: One of `ARMS`.
            seed: Of the keyframes that are labeled first, and of those that `random` adds.
        """
        order = np.random.default_rng(seed).permutation(len(self._train.keyframes)).tolist()
        labeled = order[: COUNTS[0]]
        points = []
        for count in COUNTS:
            more = count - len(labeled)
            if more and ARMS[arm] is None:
                labeled = order[:count]
            elif more:
                labeled = [*labeled, *self._suggest(labeled, more, ARMS[arm])]
            points.append(self._fit(labeled))
        return points

    def _fit(self, labeled: Sequence[int]) -> Point:
        """Fits the head on labeled keyframes and scores it."""
        known = self._train.take(labeled)
        val = self._val.features, self._val.labels
        fit(self._model, (known.features, known.labels), val, self._label_map)
        detections = to_detections(
            self._val.keyframes, score_features(self._model, self._val.features)
        )
        metrics = compute_metrics(
            detections, self._val_split, self._label_map, self._config.eval.protocol
        )
        assert metrics.result.mean_ap is not None
        return Point(len(labeled), len(known.features), metrics.result.mean_ap)

    def _suggest(self, labeled: Sequence[int], count: int, weights: Reasons | None) -> list[int]:
        """Chooses keyframes as `ava-det suggest` does, with the head that was fitted last."""
        assert weights is not None
        taken = set(labeled)
        others = [index for index in range(len(self._train.keyframes)) if index not in taken]
        rest, known = self._train.take(others), self._train.take(labeled)
        scores, val_scores = (
            score_features(self._model, boxes.features)[:, self._columns]
            for boxes in (rest, self._val)
        )
        calibration = Calibration.fit(val_scores, self._val.labels[:, self._columns])
        pool = Pool(rest.keyframes, rest.features, calibration.apply(scores))
        counts = known.labels[:, self._columns].sum(dim=0)
        chosen = choose_keyframes(pool, Labeled(known.features, counts), count, weights)
        return [others[one.index] for one in chosen]


def average(curves: Sequence[Sequence[Point]]) -> list[tuple[float, float, float]]:
    """Averages curves: keyframes, persons and mAP of each count."""
    return [
        (
            mean(point.keyframes for point in points),
            mean(point.persons for point in points),
            mean(point.mean_ap for point in points),
        )
        for points in zip(*curves, strict=True)
    ]


def find_needed(curve: Sequence[tuple[float, float]], mean_ap: float) -> float | None:
    """Finds how many labels first reach an mAP, by linear interpolation between points.

    Args:
        curve: Labels and mAP, labels ascending.
        mean_ap: The mAP to reach.

    Returns:
        The number; None where the curve does not reach it.
    """
    for (few, low), (many, high) in pairwise(curve):
        if low < mean_ap <= high:
            return few + (many - few) * (mean_ap - low) / (high - low)
    return None


def format_table(curves: Mapping[str, Sequence[Sequence[Point]]]) -> str:
    """Formats a Markdown table, a row for each number of keyframes.

    Each arm has its mAP and the persons that were labeled for it. With `random`, the last column
    says how many keyframes `suggest` needs for the mAP of random choice.
    """
    averages = {arm: average(of_arm) for arm, of_arm in curves.items()}
    compares = {"suggest", "random"} <= curves.keys()
    needs = ["suggested keyframes for the same mAP as random"] if compares else []
    lines = [
        "| " + " | ".join(["keyframes", *(f"{arm} (persons)" for arm in curves), *needs]) + " |"
    ]
    lines.append("|" + "---|" * (1 + len(curves) + len(needs)))
    for row, count in enumerate(COUNTS):
        cells = [str(count)]
        for arm, of_arm in curves.items():
            values = spread([points[row].mean_ap for points in of_arm])
            cells.append(f"{values} ({averages[arm][row][1]:.0f})")
        if compares:
            curve = [(keyframes, ap) for keyframes, _, ap in averages["suggest"]]
            needed = find_needed(curve, averages["random"][row][2])
            fewer = "" if needed is None else f"{needed:.0f} ({needed / count - 1:+.0%})"
            cells.append(fewer)
        lines.append("| " + " | ".join(cells) + " |")
    number = max(len(of_arm) for of_arm in curves.values())
    lines.append(f"\n{number} starts, mean ± standard deviation; data.val, labeled boxes.")
    return "\n".join(lines) + "\n"


def draw(path: Path, curves: Mapping[str, Sequence[Sequence[Point]]]) -> None:
    """Draws mAP against labeled keyframes, and against the persons on them.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure((11, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for arm, of_arm in curves.items():
        keyframes, persons, mean_ap = np.array(average(of_arm)).T
        deviation = np.std([[point.mean_ap for point in points] for points in of_arm], axis=0)
        for panel, labels in zip(panels, (keyframes, persons), strict=True):
            panel.plot(labels, mean_ap, "o-", label=arm, markersize=4)
            panel.fill_between(labels, mean_ap - deviation, mean_ap + deviation, alpha=0.12)
    for panel, what in zip(panels, ("keyframes", "persons"), strict=True):
        panel.set(xlabel=f"labeled {what}")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("frame mAP, labeled boxes")
    panels[0].legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


if __name__ == "__main__":
    sys.exit(main())
