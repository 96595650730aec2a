"""A detector of a few numbers and a loader of a dozen clips, for tests of the loop."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ava_det.distributed import rank, world_size
from ava_det.structures import ClipBatch, Keyframe
from ava_det.training.log import JsonLog
from ava_det.training.loop import Hooks, LoopSettings, train
from ava_det.training.loss import ActionLoss
from ava_det.training.optimizer import compute_lr
from ava_det.training.stop import StopRequest

NUM_CLIPS = 12
BATCH = 4
CLASSES = 3


class ToyDetector(nn.Module):
    """Mean color and box corners through a linear layer with dropout: learns, and uses the random
    state.
    """

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.BatchNorm1d(7)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(7, CLASSES)

    def forward(self, slow: Tensor | None, fast: Tensor, rois: Tensor) -> Tensor:
        features = torch.cat((fast.mean(dim=(2, 3, 4))[rois[:, 0].long()], rois[:, 1:]), dim=1)
        return self.linear(self.dropout(self.norm(features)))


class ToyLoader:
    """Clip i has 1 + i % 3 boxes, so that ranks get unequal numbers of them.

    lossy: every second clip of every second batch cannot be read: of two ranks, the second has none
    left.
    """

    def __init__(self, lossy: bool = False) -> None:
        self.epoch = 0
        self.first_batch = 0
        self.lossy = lossy

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        self.epoch = epoch
        self.first_batch = first_batch

    def __len__(self) -> int:
        return NUM_CLIPS // BATCH

    def __iter__(self) -> Iterator[ClipBatch]:
        order = torch.randperm(
            NUM_CLIPS, generator=torch.Generator().manual_seed(self.epoch)
        ).tolist()
        for start in range(self.first_batch * BATCH, NUM_CLIPS, BATCH):
            places = range(rank(), BATCH, world_size())
            lost = self.lossy and start % (2 * BATCH) == 0
            yield make_batch([order[start + place] for place in places if not (lost and place % 2)])


def make_batch(clips: list[int]) -> ClipBatch:
    """Without a clip: one blank one without a person, as the loader makes."""
    rois = []
    labels = []
    frames = []
    for position, clip in enumerate(clips):
        generator = torch.Generator().manual_seed(clip)
        count = 1 + clip % 3
        frames.append(torch.rand(3, 2, 4, 4, generator=generator))
        rois.append(
            torch.cat(
                (torch.full((count, 1), position), torch.rand(count, 4, generator=generator)), dim=1
            )
        )
        labels.append((torch.rand(count, CLASSES, generator=generator) > 0.5).float())
    if not clips:
        blank = Keyframe("toy", 0.0, torch.zeros(0, 4), None, torch.zeros(0))
        return ClipBatch(
            None, torch.zeros(1, 3, 2, 4, 4), torch.zeros(0, 5), torch.zeros(0, CLASSES), [blank]
        )
    keyframes = [
        Keyframe("toy", float(clip), torch.zeros(0, 4), None, torch.zeros(0)) for clip in clips
    ]
    return ClipBatch(None, torch.stack(frames), torch.cat(rois), torch.cat(labels), keyframes)


@dataclass(frozen=True)
class ToyMetrics:
    score: float

    def to_log(self) -> dict[str, float | None]:
        return {"mAP": self.score}


def run(
    folder: Path,
    epochs: int,
    total: int,
    state: dict[str, Any] | None = None,
    frozen: bool = False,
    lr: float = 0.5,
    evaluate: Callable[[nn.Module], ToyMetrics] = lambda _: ToyMetrics(0.5),
    loader: ToyLoader | None = None,
    stop: StopRequest | None = None,
    saved: list[dict[str, Any]] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Trains `epochs` of a schedule of `total`; returns the last saved state, all of them are in
    `saved`.
    """
    model = ToyDetector(dropout=0.0 if frozen else 0.3)
    torch.manual_seed(rank())  # each rank drops out other features
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    saved = [] if saved is None else saved
    chosen = {
        "num_epochs": epochs,
        "clip_grad_norm": 5.0,
        "freeze_bn": frozen,
        "loss": ActionLoss(),
        "log_every": 2,
        "eval_every": None,
        "save_every": 1e9,
        **settings,
    }
    schedule = functools.partial(
        compute_lr, lr=lr, num_epochs=total, warmup_epochs=0.5, schedule="cosine", steps=[]
    )
    train(
        model,
        loader or ToyLoader(),
        optimizer,
        schedule,
        lambda batch: batch,
        LoopSettings(**chosen),
        Hooks(
            evaluate,
            lambda new: saved.append(copy.deepcopy(new)),
            JsonLog(folder / "log.jsonl"),
            stop or StopRequest(),
        ),
        state,
    )
    return saved[-1]
