"""The loop on a toy model: a loss that is what it says, and trainings that cannot work said so."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ava_det.structures import ClipBatch
from ava_det.training import loop
from ava_det.training.interval import DivergedError, Interval
from ava_det.training.loop import freeze_batch_norm
from ava_det.training.loss import ActionLoss, StepLoss, split_batch
from ava_det.training.state import Position, TrainingError
from tests.support.toy import CLASSES, ToyDetector, ToyLoader, make_batch, run


def compute_loss(
    model: Any, batch: ClipBatch, num_boxes: float, loss: ActionLoss
) -> tuple[torch.Tensor, torch.Tensor]:
    losses, mean_logit = loss.compute(model, batch, num_boxes)
    assert mean_logit is not None
    return losses["loss"], mean_logit


def test_the_log_has_loss_rate_and_metrics(tmp_path: Path) -> None:
    run(tmp_path, 2, 2)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "step" in line]
    assert steps == [1, 2, 3, 5, 6]
    assert lines[-1]["mAP"] == 0.5
    assert all(0 <= line["data_wait"] <= 1 and line["loss"] > 0 for line in lines if "step" in line)


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, [1, 2, 3, 4, 5, 6]), (1e9, [1, 3, 6])])
def test_slow_steps_are_logged_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, expected: list[int]
) -> None:
    monkeypatch.setattr(loop, "LOG_SECONDS", seconds)
    run(tmp_path, 2, 2, log_every=1000)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "step" in line] == expected


def test_the_loss_is_the_mean_over_boxes_and_classes() -> None:
    model = ToyDetector(dropout=0.0).eval()
    batch = make_batch([0, 1, 2])
    logits = model(None, batch.fast, batch.rois)
    expected = nn.functional.binary_cross_entropy_with_logits(logits, batch.labels)
    loss, mean_logit = compute_loss(model, batch, len(logits), ActionLoss())
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(mean_logit, logits.abs().mean())


def test_focal_loss_is_its_definition_and_dwells_on_what_is_wrong() -> None:
    model = ToyDetector(dropout=0.0).eval()
    batch = make_batch([0, 1, 2])
    scores = model(None, batch.fast, batch.rois).sigmoid()
    true = torch.where(batch.labels > 0, scores, 1 - scores)
    expected = (-((1 - true) ** 2) * true.log()).mean()
    loss, _ = compute_loss(model, batch, len(true), ActionLoss(focal_gamma=2.0))
    torch.testing.assert_close(loss, expected)
    plain, _ = compute_loss(model, batch, len(true), ActionLoss())
    assert loss < plain


def test_only_the_chosen_actions_count() -> None:
    model = ToyDetector(dropout=0.0).eval()
    batch = make_batch([0, 1, 2])
    logits = model(None, batch.fast, batch.rois)[:, [2]]
    loss, _ = compute_loss(model, batch, len(logits), ActionLoss(columns=[2]))
    torch.testing.assert_close(
        loss, nn.functional.binary_cross_entropy_with_logits(logits, batch.labels[:, [2]])
    )
    loss.backward()
    moved = model.linear.weight.grad.abs().sum(dim=1)
    assert moved[2] > 0
    assert moved[:2].sum() == 0


def test_one_true_class_is_a_softmax_and_a_lost_clip_no_gradient() -> None:
    model = ToyDetector(dropout=0.0).eval()
    batch = make_batch([0, 3])  # one box each
    batch.labels = torch.eye(CLASSES)[[2, 0]]
    logits = model(None, batch.fast, batch.rois)
    loss, _ = compute_loss(model, batch, 2, ActionLoss(num_exclusive=CLASSES, per_clip=True))
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits, torch.tensor([2, 0])))
    assert ActionLoss(num_exclusive=CLASSES, per_clip=True).initial_loss == pytest.approx(
        math.log(CLASSES)
    )
    assert ActionLoss().initial_loss == pytest.approx(math.log(2))
    whole = ClipBatch(None, batch.fast, torch.zeros(0, 5), torch.zeros(0, CLASSES), batch.keyframes)
    # a row for each clip
    lost, _ = compute_loss(
        lambda **_: logits, whole, 0, ActionLoss(num_exclusive=CLASSES, per_clip=True)
    )
    assert lost.item() == 0


def test_a_batch_without_boxes_gives_no_gradient() -> None:
    batch = make_batch([0])
    empty = ClipBatch(None, batch.fast, torch.zeros(0, 5), torch.zeros(0, CLASSES), batch.keyframes)
    model = ToyDetector(dropout=0.0).eval()
    loss, _ = compute_loss(model, empty, 0, ActionLoss())
    loss.backward()
    assert loss.item() == 0
    assert model.linear.weight.grad is not None
    assert model.linear.weight.grad.abs().sum().item() == 0


def test_a_loss_that_is_not_finite_stops_with_step_rate_and_clips(tmp_path: Path) -> None:
    """Clip 7 is poisoned: the batch that has it is named, although the look at the losses comes
    later.
    """

    class Poisoned(ToyLoader):
        def __iter__(self) -> Iterator[ClipBatch]:
            for batch in super().__iter__():
                for keyframe, frames in zip(batch.keyframes, batch.fast, strict=True):
                    if keyframe.timestamp == 7:
                        frames[:] = torch.nan
                yield batch

    saved: list[dict[str, Any]] = []
    with pytest.raises(DivergedError) as caught:
        run(tmp_path, 2, 2, loader=Poisoned(), frozen=True, log_every=3, saved=saved)
    batches = list(ToyLoader())
    clips = next(
        batch.keyframes
        for batch in batches
        if 7 in [keyframe.timestamp for keyframe in batch.keyframes]
    )
    step = (
        next(
            i
            for i, batch in enumerate(batches)
            if batch.keyframes[0].timestamp == clips[0].timestamp
        )
        + 1
    )
    names = ", ".join(f"toy at {keyframe.timestamp:g}" for keyframe in clips)
    assert re.search(
        rf"step {step} .* loss is nan at lr 0\.\d+, .* its clips are {names};", str(caught.value)
    )
    assert caught.value.batch is not None
    assert [keyframe.timestamp for keyframe in caught.value.batch.keyframes] == [
        k.timestamp for k in clips
    ]
    assert not saved


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    """The loss of the last step before a save is computed before its update."""
    saved: list[dict[str, Any]] = []
    with pytest.raises(TrainingError, match=r"step 1 .*weight is no finite number"):
        run(tmp_path, 1, 1, lr=float("inf"), save_every=0, saved=saved, log_every=50)
    assert not saved


@pytest.mark.parametrize("lr", [50.0, 2000.0])
def test_a_saturated_start_is_stopped_within_fifty_steps(tmp_path: Path, lr: float) -> None:
    with pytest.raises(TrainingError, match=r"ln 2|saturated.* lr .* too high") as caught:
        run(tmp_path, 100, 100, lr=lr, log_every=1000, clip_grad_norm=None)
    assert int(re.search(r"step (\d+)", str(caught.value)).group(1)) <= 50


def test_large_logits_that_are_right_are_no_saturation() -> None:
    """Of AVA's 80 actions most are absent from a small set: their logits may sink as far as they
    like.
    """
    position = Position(10, batch=1)
    interval = Interval(torch.device("cpu"), position)
    interval.add(StepLoss({"loss": torch.tensor(0.05)}, torch.tensor(200.0)), [])
    assert interval.close(position, 0.1, 10)["loss"] == pytest.approx(0.05)
    interval = Interval(torch.device("cpu"), position)
    interval.add(StepLoss({"loss": torch.tensor(0.5)}, torch.tensor(200.0)), [])
    with pytest.raises(TrainingError, match=r"saturated \(mean size 200, at a loss of 0.5\)"):
        interval.close(position, 0.1, 10)


def test_flow_is_split_with_its_clips() -> None:
    flow = torch.arange(4.0)[:, None, None, None, None].expand(4, 2, 1, 3, 3)
    batch = replace(make_batch([0, 1, 2, 3]), flow=flow, u_at_rest=0.5)
    parts = split_batch(batch, 2)
    assert [part.flow[:, 0, 0, 0, 0].tolist() for part in parts if part.flow is not None] == [
        [0, 1],
        [2, 3],
    ]
    assert {part.u_at_rest for part in parts} == {0.5}


@pytest.mark.parametrize("num_parts", [1, 2, 3, 4, 9])
def test_parts_of_a_batch_are_the_batch(num_parts: int) -> None:
    batch = make_batch([0, 1, 2, 3])
    parts = split_batch(batch, num_parts)
    assert len(parts) == min(num_parts, 4)
    assert [keyframe.timestamp for part in parts for keyframe in part.keyframes] == [0, 1, 2, 3]
    assert torch.equal(
        torch.cat([part.labels for part in parts if part.labels is not None]), batch.labels
    )
    model = ToyDetector(dropout=0.0).eval()
    whole = model(None, batch.fast, batch.rois)
    torch.testing.assert_close(
        torch.cat([model(None, part.fast, part.rois) for part in parts]), whole
    )


@pytest.mark.parametrize("micro_batches", [2, 3, 4])
def test_accumulated_gradients_are_those_of_the_whole_batch(
    tmp_path: Path, micro_batches: int
) -> None:
    """The clips have 1 to 3 boxes each: a mean of means would differ."""
    whole = run(tmp_path, 3, 3, frozen=True)["model"]
    parts = run(tmp_path, 3, 3, frozen=True, micro_batches=micro_batches)["model"]
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-6)


def test_frozen_batch_norm_keeps_its_statistics() -> None:
    model = ToyDetector().train()
    freeze_batch_norm(model)
    before = model.norm.running_mean.clone()
    compute_loss(model, make_batch([0, 1]), 3, ActionLoss())[0].backward()
    torch.testing.assert_close(model.norm.running_mean, before, rtol=0, atol=0)
    assert model.norm.weight.grad is not None


def test_a_step_without_a_clip_leaves_batch_norm_alone_and_an_epoch_of_them_stops(
    tmp_path: Path,
) -> None:
    class Nothing(ToyLoader):
        def __iter__(self) -> Iterator[ClipBatch]:
            yield from (make_batch([]) for _ in range(3))

    saved: list[dict[str, Any]] = []
    with pytest.raises(TrainingError, match="epoch 0: expected clips to learn from"):
        run(tmp_path, 1, 1, loader=Nothing(), saved=saved)
    assert torch.equal(saved[-1]["model"]["norm.running_mean"], torch.zeros(7))
