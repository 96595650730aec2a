"""Every family, in the tiny form of `test_families.py`, learns eight clips and runs in bfloat16."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.config import Config
from ava_det.data.build import build_device_transform
from ava_det.models.build import build_model
from ava_det.models.inference_form import optimize_for_inference
from ava_det.structures import ClipBatch
from ava_det.tasks.splits import build_split, build_train_loader
from tests.models.test_families import (
    CASES,
    QUICK,
    ROIS,
    STREAMS,
    build_small,
    give_statistics,
    make_clips,
    make_config,
    mark_deeper,
)
from tests.support.instruction_sets import needs_bfloat16

CPU = torch.device("cpu")
MAX_STEPS = 200
# These have 12 to 24 blocks without batch norm in every size: with 0.003, which suits the others,
# some of them stay at the loss of one answer for all clips.
DEEP_TRANSFORMERS = ("mvit_v2_s", "swin3d_t", "swin3d_s", "swin3d_b")


def learn_by_heart(
    family: str, model: nn.Module, inputs: dict[str, Tensor], labels: Tensor
) -> list[float]:
    """Trains on one batch until its loss is a twentieth of the first, `MAX_STEPS` at most.

    Returns:
        The loss before each step.
    """
    lr = 0.001 if family in DEEP_TRANSFORMERS else 0.003
    optimizer = torch.optim.Adam(model.train().parameters(), lr=lr)
    losses: list[float] = []
    while len(losses) < MAX_STEPS and not (losses and losses[-1] < losses[0] / 20):
        loss = F.binary_cross_entropy_with_logits(model(**inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "head"), [case for case in CASES if case not in STREAMS or case in QUICK]
)
def test_eight_clips_are_learned_by_heart(family: str, head: str) -> None:
    clips = make_clips(family, head, batch=8, height=64, width=64)
    generator = torch.Generator().manual_seed(3)
    labels = (torch.rand(8, 5, generator=generator) < 0.4).float()
    rois = torch.tensor([[clip, 4.0, 4.0, 56.0, 60.0] for clip in range(8)])
    losses = learn_by_heart(family, build_small(family, head), {**clips, "rois": rois}, labels)
    assert losses[-1] < losses[0] / 20, losses[::20]


def read_real_clips(config: Config) -> ClipBatch:
    """Reads the first eight labeled keyframes of mini_ava that have one person."""
    split = build_split(config, "train", CPU, "gt")
    alone = [keyframe for keyframe in split.keyframes if len(keyframe.boxes) == 1]
    split.keyframes = alone[:8]
    batch = next(iter(build_train_loader(config, split)))
    return build_device_transform(config, CPU)(batch)


@pytest.mark.slow
@pytest.mark.needs_shared
@pytest.mark.parametrize("family", [family for family, head in CASES if head == "roi"])
def test_eight_real_clips_are_learned_by_heart(family: str, shared_data: Path) -> None:
    mini = shared_data / "mini_ava"
    config = make_config(
        family,
        "roi",
        "model.num_classes=80",
        f"data.video_dir={shared_data}/videos",
        f"data.label_map={mini}/labelmap.pbtxt",
        f"data.train.annotations={mini}/train.csv",
        f"data.train.excluded={mini}/train_excluded_timestamps.csv",
        "data.train_short_side=[64,64]",
        "data.crop_size=64",
        "data.flip=false",
        "train.batch_size=8",
        "train.num_workers=0",
    )
    batch = read_real_clips(config)
    assert batch.labels is not None
    assert len(batch.keyframes) == len(batch.labels) == 8
    torch.manual_seed(0)
    clips = {"slow": batch.slow, "fast": batch.fast}
    inputs = {name: clip for name, clip in clips.items() if clip is not None}
    losses = learn_by_heart(
        family, build_model(config), {**inputs, "rois": batch.rois}, batch.labels
    )
    assert losses[-1] < losses[0] / 20, losses[::20]


@needs_bfloat16
@pytest.mark.parametrize(("family", "head"), mark_deeper(CASES))
def test_bfloat16_moves_scores_a_little_and_trains(family: str, head: str) -> None:
    model = give_statistics(build_small(family, head))
    inputs = {**make_clips(family, head), "rois": ROIS}
    with torch.inference_mode():
        expected = model(**inputs).sigmoid()
        received = optimize_for_inference(model, dtype=torch.bfloat16)(**inputs).sigmoid()
    assert float((received - expected).abs().max()) < 0.02
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(**inputs)
    logits.float().square().sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
