"""Measures what a long-term feature bank adds where a clip alone cannot give the answer.

    python -m studies.long_term [--output outputs/long_term] [--seeds 0 1 2]

Renders the synthetic set with figures that wait (`ava-det render --waits`). With each seed it
trains a Slow-only network on the set and fits the head of each operator on that network's features,
which stay as they are. The two waits look the same for the two seconds of a clip: how often the
scores rank a wait of one kind above one of the other, over the validation videos, is 0.5 at chance.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.commands.render import main as render
from ava_det.commands.train import main as train
from ava_det.config import Config, load_config
from ava_det.datasets.synthetic.waits import LISTEN, WATCH
from ava_det.models.long_term_head import OPERATORS, LongTermHead
from ava_det.tasks.long_term import build_bank, fill_bank
from ava_det.tasks.splits import build_split
from studies.ablation import spread
from studies.synthetic_table import compute_auc, compute_pair_auc

CONFIG = "configs/synthetic/slow_only.yaml"
BANK_CHANNELS = 512  # of the config's network, 32 * model.width
WINDOW_SECONDS = 8  # holds the signs before and after a wait
STEPS = 1500
BATCH_SIZE = 32


class Windows(NamedTuple):
    """Holds the keyframes of a split, one person each.

    Attributes:
        persons: Float32 [N, D], features of the persons.
        banks: Float32 [N, L, D], the bank around them.
        labels: Float32 [N, C].
    """

    persons: Tensor
    banks: Tensor
    labels: Tensor


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study and returns its exit code."""
    parser = ToolParser("studies.long_term", __doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/long_term"), metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args(argv)
    data: Path = args.output / "set"
    counts = ["--num-train", "24", "--num-val", "20"]
    if render(["--waits", "--output", str(data), "--size", "96x72", *counts]):
        return 1
    runs = [measure(data, args.output / f"seed_{seed}", seed) for seed in args.seeds]
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name}: {spread(values)} ({', '.join(f'{value:.3f}' for value in values)})")
    return 0


def measure(data: Path, output: Path, seed: int) -> dict[str, float]:
    """Trains a network and a head of each operator; returns how well each tells the waits apart.

    Raises:
        ValueError: The training failed.
    """
    first = output / "without_bank"
    shared = [*_name_files(data), f"output_dir={first}", "train.epochs=2", f"seed={seed}"]
    if not (first / "metrics.json").is_file() and train(["--config", CONFIG, *shared]):
        raise ValueError(f"the training in {first} failed")
    (alone,) = compute_pair_auc(
        load_config(CONFIG, shared), first / "detections.csv", [(LISTEN, WATCH)]
    )
    config = load_config(CONFIG, [*shared, *_describe_bank(first, output)])
    learned, scored = (read_windows(config, name) for name in ("train", "val"))
    heads = {name: fit_and_score(name, learned, scored, seed) for name in OPERATORS}
    return {"without a bank": alone, **heads}


def _name_files(data: Path) -> list[str]:
    """Returns overrides for a set with ground-truth boxes."""
    files = [f"data.video_dir={data}/videos", f"data.label_map={data}/labelmap.pbtxt"]
    for split in ("train", "val"):
        files.append(f"data.{split}.annotations={data}/{split}.csv")
        files.append(f"data.{split}.excluded={data}/{split}_excluded.csv")
    return [*files, "data.val.boxes=gt"]


def _describe_bank(first: Path, output: Path) -> list[str]:
    """Returns overrides for a bank of the first network's features."""
    bank = {
        "operator": "max",
        "bank_weights": first / "checkpoints" / "last.pt",
        "bank_dir": output / "bank",
        "bank_channels": BANK_CHANNELS,
        "window_seconds": WINDOW_SECONDS,
        "persons_per_second": 1,
    }
    return [f"model.long_term.{key}={value}" for key, value in bank.items()]


def read_windows(config: Config, name: str) -> Windows:
    """Reads the features of a split and the bank around each keyframe."""
    device = torch.device("cpu")
    split = build_split(config, name, device)
    bank = build_bank(config)
    assert bank is not None
    fill_bank(bank, config, split, device)
    keyframes = [keyframe for keyframe in split.keyframes if len(keyframe.boxes)]
    banks = bank.cut_out_batch(keyframes)
    labels = [keyframe.labels[0] for keyframe in keyframes if keyframe.labels is not None]
    return Windows(banks[:, WINDOW_SECONDS // 2], banks, torch.stack(labels))


def fit_and_score(operator: str, learned: Windows, scored: Windows, seed: int) -> float:
    """Fits a head on frozen features; returns how well it tells the two waits apart."""
    torch.manual_seed(seed)
    num_classes = learned.labels.shape[1]
    head = LongTermHead(
        [BANK_CHANNELS],
        num_classes,
        16,
        operator=operator,
        dropout=0.2,
        bank_channels=BANK_CHANNELS,
        fusion_channels=64,
    )
    optimizer = torch.optim.AdamW(head.parameters(), 0.001, weight_decay=0.02)
    # at a constant rate attention is good or poor by the step it ends at
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(learned.labels), (BATCH_SIZE,))
        optimizer.zero_grad()
        logits = _classify(head, learned, chosen)
        binary_cross_entropy_with_logits(logits, learned.labels[chosen]).backward()
        optimizer.step()
        schedule.step()
    head.eval()
    with torch.no_grad():
        scores = _classify(head, scored, torch.arange(len(scored.labels))).sigmoid()
    margin = scores[:, LISTEN - 1] - scores[:, WATCH - 1]
    listens, watches = (margin[scored.labels[:, i - 1] > 0] for i in (LISTEN, WATCH))
    return compute_auc(listens, watches)


def _classify(head: LongTermHead, windows: Windows, chosen: Tensor) -> Tensor:
    """Computes the logits of some of the persons."""
    clips = torch.arange(len(chosen))
    logits: Tensor = head.classify(windows.persons[chosen], windows.banks[chosen], clips)
    return logits


if __name__ == "__main__":
    sys.exit(main())
