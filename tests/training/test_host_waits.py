"""A step reads nothing back from the device, so that a GPU is never waited for; an interval does so
once.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from ava_det.config import load_config
from ava_det.data.transforms import normalize_batch
from ava_det.models.build import build_model, to_device
from ava_det.structures import ClipBatch, Keyframe
from ava_det.tasks.recipe import build_optimizer
from ava_det.training.loop import LoopSettings, take_step
from ava_det.training.loss import ActionLoss
from tests.support.toy import run

SMALL = [
    "model.width=8",
    "model.beta_inv=4",
    "model.num_slow_frames=2",
    "model.alpha=2",
    "model.num_classes=3",
]
MOMENTS: dict[str, Any] = {"mean": [0.45] * 3, "std": [0.225] * 3}


def make_settings(precision: str, columns: list[int] | None) -> LoopSettings:
    loss = ActionLoss(precision, columns, focal_gamma=1.0)
    return LoopSettings(1, 1.0, False, loss, log_every=10, eval_every=None, save_every=1e9)


def make_clips() -> ClipBatch:
    """Two clips of uint8 frames, as the loader gives them."""
    slow, fast = (torch.zeros(2, 3, frames, 64, 64, dtype=torch.uint8) for frames in (2, 4))
    rois = torch.tensor([[0, 1, 1, 30, 40], [1, 0, 9, 60, 50.0]])
    labels = torch.ones(2, 3)
    keyframes = [
        Keyframe("video", second, torch.zeros(0, 4), None, torch.zeros(0)) for second in (1.0, 2.0)
    ]
    return ClipBatch(slow, fast, rois, labels, keyframes)


CASES = [("sgd", "fp32", None), ("adamw", "bf16", [0, 2])]


@pytest.mark.parametrize(("optimizer", "precision", "columns"), CASES)
def test_a_step_reads_no_value(optimizer: str, precision: str, columns: list[int] | None) -> None:
    """Tensors that have shapes but no values go through a whole step; asking one for its value
    would raise.
    """
    config = load_config(
        "configs/synthetic/slowfast.yaml", [*SMALL, f"train.optimizer={optimizer}"]
    )
    with FakeTensorMode():
        model = build_model(config)
        prepare = partial(normalize_batch, device=torch.device("cpu"), **MOMENTS)
        settings = make_settings(precision, columns)
        stepping = build_optimizer(config, model)
        loss, logit = take_step(model, make_clips(), 2.0, 0.1, stepping, prepare, settings)
        assert (loss["loss"].shape, logit.shape) == ((), ())
        with pytest.raises(DataDependentOutputException):
            loss["loss"].item()


def test_an_interval_reads_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[torch.dtype] = []

    def tolist(tensor: Tensor, plain: object = Tensor.tolist) -> object:
        read.append(tensor.dtype)
        return plain(tensor)

    monkeypatch.setattr(Tensor, "tolist", tolist)
    monkeypatch.setattr(
        Tensor, "item", lambda _tensor: pytest.fail("a tensor was asked for its value")
    )
    run(tmp_path, 2, 2, log_every=10)
    intervals = 3  # the first step ends one, and so does each epoch
    assert read.count(torch.float32) == intervals


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize(("optimizer", "precision", "columns"), CASES)
def test_a_step_waits_for_no_gpu(optimizer: str, precision: str, columns: list[int] | None) -> None:
    """Moving and normalizing the clips included; torch itself raises where the host would wait."""
    config = load_config(
        "configs/synthetic/slowfast.yaml", [*SMALL, f"train.optimizer={optimizer}"]
    )
    device = torch.device("cuda")
    model = to_device(build_model(config), device)
    prepare = partial(normalize_batch, device=device, **MOMENTS)
    settings = make_settings(precision, columns)
    stepping = build_optimizer(config, model)
    losses = []
    try:
        for mode in ("default", "error"):  # kernels are chosen in the first step, which may wait
            torch.cuda.set_sync_debug_mode(mode)
            taken = take_step(model, make_clips(), 2.0, 0.1, stepping, prepare, settings)
            losses.append(taken.parts["loss"])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(loss.isfinite() for loss in losses)
