"""A step in several parts (train.micro_batches) asks the device for no value; whole ones are in
test_host_waits.py.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from ava_det.config import load_config
from ava_det.models.build import build_model
from ava_det.structures import ClipBatch, Keyframe
from ava_det.training.loop import LoopSettings, take_step
from ava_det.training.loss import ActionLoss

CONFIG = Path(__file__).resolve().parent.parent.parent / "configs/synthetic/slowfast.yaml"


def make_step(model: nn.Module, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Two clips with three persons, in two parts, focal loss and a chosen action: every branch of a
    step.
    """
    slow, fast = (torch.zeros(2, 3, frames, 32, 48, device=device) for frames in (4, 16))
    rois = torch.tensor([[0, 1, 2, 20, 30], [0, 4, 4, 30, 30], [1, 1, 2, 20, 30.0]])
    keyframes = [
        Keyframe("v", second, torch.zeros(0, 4), None, torch.zeros(0)) for second in (0.0, 1.0)
    ]
    batch = ClipBatch(slow, fast, rois, torch.zeros(3, 80), keyframes)

    def place(part: ClipBatch) -> ClipBatch:
        assert part.labels is not None
        return ClipBatch(
            part.slow, part.fast, part.rois.to(device), part.labels.to(device), part.keyframes
        )

    loss = ActionLoss("fp32", columns=[3, 5], focal_gamma=2.0)
    settings = LoopSettings(
        1, 1.0, False, loss, log_every=1, eval_every=None, save_every=1.0, micro_batches=2
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses, mean_logit = take_step(model, batch, 3.0, 0.1, optimizer, place, settings)
    assert mean_logit is not None
    return losses["loss"], mean_logit


def test_a_step_in_parts_asks_the_device_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors on the meta device have no values: whoever asks for one gets an exception."""
    # not made for that device
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    model = build_model(load_config(CONFIG, ["model.width=4"])).to("meta")
    with pytest.raises(RuntimeError):
        bool(next(model.parameters()).sum() > 0)
    loss, mean_logit = make_step(model, "meta")
    assert loss.shape == mean_logit.shape == ()
