"""The loop on a toy model: exact resumes, ranks that agree, and a loss that is what it says."""

from __future__ import annotations

import copy
import functools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor, nn

from ava_det.distributed import gather_objects, process_group, rank, world_size
from ava_det.structures import ClipBatch, Keyframe
from ava_det.training.log import JsonLog
from ava_det.training.loop import LoopSettings, TrainingError, compute_loss, freeze_batch_norm, train
from ava_det.training.optimizer import compute_lr

NUM_CLIPS, BATCH, CLASSES = 12, 4, 3
TOY = Keyframe("toy", 0.0, torch.zeros(0, 4), None, torch.zeros(0))


class ToyDetector(nn.Module):
    """Mean colour and box corners through a linear layer with dropout: learns, and uses the random state."""

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

    lossy: every second clip of every second batch cannot be read: of two ranks, the second has none left.
    """

    def __init__(self, lossy: bool = False) -> None:
        self.epoch, self.lossy = 0, lossy

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return NUM_CLIPS // BATCH

    def __iter__(self) -> Iterator[ClipBatch]:
        order = torch.randperm(NUM_CLIPS, generator=torch.Generator().manual_seed(self.epoch)).tolist()
        for start in range(0, NUM_CLIPS, BATCH):
            places = range(rank(), BATCH, world_size())
            lost = self.lossy and start % (2 * BATCH) == 0
            yield make_batch([order[start + place] for place in places if not (lost and place % 2)])


def make_batch(clips: list[int]) -> ClipBatch:
    """Without a clip: one blank one without a person, as the loader makes."""
    rois, labels, frames = [], [], []
    for position, clip in enumerate(clips):
        generator = torch.Generator().manual_seed(clip)
        count = 1 + clip % 3
        frames.append(torch.rand(3, 2, 4, 4, generator=generator))
        rois.append(torch.cat((torch.full((count, 1), position), torch.rand(count, 4, generator=generator)), dim=1))
        labels.append((torch.rand(count, CLASSES, generator=generator) > 0.5).float())
    if not clips:
        return ClipBatch(None, torch.zeros(1, 3, 2, 4, 4), torch.zeros(0, 5), torch.zeros(0, CLASSES), [TOY])
    return ClipBatch(None, torch.stack(frames), torch.cat(rois), torch.cat(labels), [TOY] * len(clips))


def run(
    folder: Path,
    epochs: int,
    total: int,
    state: dict[str, Any] | None = None,
    frozen: bool = False,
    lr: float = 0.5,
    lossy: bool = False,
    evaluate: Callable[[nn.Module], dict[str, Any]] = lambda _: {"mAP": 0.5},
) -> dict[str, Any]:
    """Trains `epochs` of a schedule of `total`; returns the last saved state."""
    model = ToyDetector(dropout=0.0 if frozen else 0.3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    saved: list[dict[str, Any]] = []
    settings = LoopSettings(epochs, 5.0, frozen, "fp32", 2, None)
    schedule = functools.partial(compute_lr, lr=lr, num_epochs=total, warmup_epochs=0.5, schedule="cosine", steps=[])
    train(
        model, ToyLoader(lossy), optimizer, schedule, lambda batch: batch, evaluate,
        lambda new: saved.append(copy.deepcopy(new)), JsonLog(folder / "log.jsonl"), settings, state,
    )  # fmt: skip
    return saved[-1]


def test_two_and_two_epochs_are_four(tmp_path: Path) -> None:
    whole = run(tmp_path, 4, 4)
    torch.manual_seed(99)  # whatever happened in between
    resumed = run(tmp_path, 4, 4, state=run(tmp_path, 2, 4))
    for name, value in whole["model"].items():
        assert torch.equal(value, resumed["model"][name]), name
    torch.testing.assert_close(whole["optimizer"]["state"], resumed["optimizer"]["state"], rtol=0, atol=0)


def test_the_log_has_loss_rate_and_metrics(tmp_path: Path) -> None:
    run(tmp_path, 2, 2)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "step" in line]
    assert steps == [2, 3, 5, 6]
    assert lines[-1]["mAP"] == 0.5
    assert all(0 <= line["data_wait"] <= 1 and line["loss"] > 0 for line in lines if "step" in line)


def test_a_resumed_log_has_no_line_twice(tmp_path: Path) -> None:
    log = JsonLog(tmp_path / "log.jsonl")
    for epoch in (0.5, 1.0, 1.5):
        log.write(epoch=epoch, loss=1.0)
    log.cut_after(1)
    assert [json.loads(line)["epoch"] for line in log.path.read_text().splitlines()] == [0.5, 1.0]
    log.write(loss=float("nan"))
    assert json.loads(log.path.read_text().splitlines()[-1]) == {"loss": None}


def test_the_loss_is_the_mean_over_boxes_and_classes() -> None:
    model, batch = ToyDetector(dropout=0.0).eval(), make_batch([0, 1, 2])
    logits = model(None, batch.fast, batch.rois)
    expected = nn.functional.binary_cross_entropy_with_logits(logits, batch.labels)
    torch.testing.assert_close(compute_loss(model, batch, "fp32"), expected)


def test_a_batch_without_boxes_gives_no_gradient() -> None:
    batch = make_batch([0])
    empty = ClipBatch(None, batch.fast, torch.zeros(0, 5), torch.zeros(0, CLASSES), batch.keyframes)
    model = ToyDetector(dropout=0.0).eval()
    loss = compute_loss(model, empty, "fp32")
    loss.backward()
    assert loss.item() == 0
    assert model.linear.weight.grad is not None
    assert model.linear.weight.grad.abs().sum().item() == 0


def test_a_loss_that_is_not_finite_stops_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step \d+ .*lr .*finite"):
        run(tmp_path, 2, 2, lr=float("inf"))


def test_frozen_batch_norm_keeps_its_statistics() -> None:
    model = ToyDetector().train()
    freeze_batch_norm(model)
    before = model.norm.running_mean.clone()
    compute_loss(model, make_batch([0, 1]), "fp32").backward()
    torch.testing.assert_close(model.norm.running_mean, before, rtol=0, atol=0)
    assert model.norm.weight.grad is not None


def _rank_main(index: int, folder: Path, port: int) -> None:
    os.environ.update(
        RANK=str(index), LOCAL_RANK=str(index), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    with process_group(torch.device("cpu")):
        states = {name: run(folder, 3, 3, frozen=True, lossy=name == "lossy")["model"] for name in ("whole", "lossy")}
        assert gather_objects(index) == [0, 1]
    if index == 0:
        torch.save(states, folder / "two.pt")
    os._exit(0)  # gloo's threads sometimes abort an interpreter that ends as usual


def _score_on_every_rank(index: int, folder: Path, port: int) -> None:
    os.environ.update(
        RANK=str(index), LOCAL_RANK=str(index), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    scored: dict[str, Tensor] = {}

    def evaluate(model: nn.Module) -> dict[str, Any]:
        scored.update(copy.deepcopy(model.state_dict()))
        return {"mAP": 0.5}

    with process_group(torch.device("cpu")):
        state = run(folder, 2, 2, evaluate=evaluate)
        first, second = gather_objects(scored)
    if index == 0:
        for name, value in first.items():
            assert torch.equal(value, second[name]), name
            assert torch.equal(value, state["model"][name]), name
        (folder / "compared").touch()
    os._exit(0)


def test_every_rank_scores_the_model_that_is_saved(tmp_path: Path) -> None:
    mp.spawn(_score_on_every_rank, args=(tmp_path, 30600 + os.getpid() % 1000), nprocs=2)
    assert (tmp_path / "compared").exists()


def test_two_ranks_equal_one_also_when_one_of_them_loses_all_clips_of_a_step(tmp_path: Path) -> None:
    mp.spawn(_rank_main, args=(tmp_path, 29500 + os.getpid() % 1000), nprocs=2)
    together = torch.load(tmp_path / "two.pt", weights_only=True)
    for kind in ("whole", "lossy"):
        alone = run(tmp_path, 3, 3, frozen=True, lossy=kind == "lossy")["model"]
        for name, value in alone.items():
            torch.testing.assert_close(together[kind][name], value, rtol=0, atol=1e-6)
    assert not torch.equal(together["whole"]["linear.weight"], together["lossy"]["linear.weight"])


def test_a_step_without_a_clip_leaves_batch_norm_alone_and_an_epoch_of_them_stops(tmp_path: Path) -> None:
    seen: list[Tensor] = []

    class Nothing(ToyLoader):
        def __iter__(self) -> Iterator[ClipBatch]:
            yield from (make_batch([]) for _ in range(3))

    model = ToyDetector()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.norm.register_forward_hook(lambda norm, *_: seen.append(norm.running_mean.clone()))
    with pytest.raises(TrainingError, match="epoch 0: expected clips to learn from"):
        train(
            model, Nothing(), optimizer, lambda _: 0.1, lambda batch: batch, lambda _: {"mAP": 0.0},
            lambda _: None, JsonLog(tmp_path / "log.jsonl"), LoopSettings(1, None, False, "fp32", 1, None),
        )  # fmt: skip
    assert len(seen) == 3
    assert all(torch.equal(mean, torch.zeros(7)) for mean in seen)
