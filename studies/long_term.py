"""Measures what a long-term feature bank adds where a clip alone cannot give the answer.

    python -m studies.long_term [--output outputs/long_term] [--operators non_local max avg]
    [key=value ...]

Renders the synthetic set with figures that wait (`ava-det render --waits`), trains a Slow-only
network on it, then the same network with a bank of its features for each operator. The two waits
look the same for the two seconds of a clip: how often the scores rank a wait of one kind above one
of the other, over the validation videos, is 0.5 at chance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.commands.render import main as render
from ava_det.commands.train import main as train
from ava_det.config import load_config
from ava_det.datasets.synthetic.waits import LISTEN, WATCH
from studies.synthetic_table import compute_pair_auc

CONFIG = "configs/synthetic/slow_only.yaml"
OPERATORS = ("non_local", "max", "avg")
BANK_CHANNELS = 512  # of the config's network, 32 * model.width
WINDOW_SECONDS = 8  # holds the signs before and after a wait, and not those of the next


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study and returns its exit code."""
    parser = ToolParser("studies.long_term", __doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/long_term"), metavar="DIR")
    parser.add_argument("--operators", nargs="+", choices=OPERATORS, default=OPERATORS)
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    data = args.output / "set"
    if render(["--waits", "--output", str(data), "--size", "128x96"]):
        return 1
    shared = [*_name_files(data), *args.overrides]
    first = args.output / "without_bank"
    if not _train(first, shared):
        return 1
    rows = [("none", first)]
    for operator in args.operators:
        folder = args.output / operator
        if not _train(folder, [*shared, *_describe_bank(operator, first, args.output)]):
            return 1
        rows.append((operator, folder))
    print("operator     waits told apart   mAP")
    for operator, folder in rows:
        config = load_config(CONFIG, [*shared, f"output_dir={folder}"])
        (auc,) = compute_pair_auc(config, folder / "detections.csv", [(LISTEN, WATCH)])
        mean_ap = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["mAP"]
        print(f"{operator:10}   {auc:16.3f}   {mean_ap:.3f}")
    return 0


def _name_files(data: Path) -> list[str]:
    """Returns overrides for a set with ground-truth boxes."""
    files = [f"data.video_dir={data}/videos", f"data.label_map={data}/labelmap.pbtxt"]
    for split in ("train", "val"):
        files.append(f"data.{split}.annotations={data}/{split}.csv")
        files.append(f"data.{split}.excluded={data}/{split}_excluded.csv")
    return [*files, "data.val.boxes=gt"]


def _describe_bank(operator: str, first: Path, output: Path) -> list[str]:
    """Returns overrides for a network that begins from the first one and reads its features."""
    weights = first / "checkpoints" / "last.pt"
    bank = {
        "operator": operator,
        "bank_weights": weights,
        "bank_dir": output / "bank",
        "bank_channels": BANK_CHANNELS,
        "window_seconds": WINDOW_SECONDS,
        "persons_per_second": 1,
        "channels": 64,
    }
    keys = [f"model.long_term.{key}={value}" for key, value in bank.items()]
    return [f"weights={weights}", *keys]


def _train(folder: Path, overrides: Sequence[str]) -> bool:
    """Trains once; a run that is already there is kept. Returns whether it is there."""
    if (folder / "metrics.json").is_file():
        return True
    return train(["--config", CONFIG, f"output_dir={folder}", *overrides]) == 0


if __name__ == "__main__":
    sys.exit(main())
