"""PySlowFast's outputs, from PySlowFast's weights under PySlowFast's names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ava_det.checkpoint import load_weights
from ava_det.models.action_detector import ActionClassifier, ActionDetector
from ava_det.models.classification_head import ClassificationHead
from ava_det.models.roi_head import RoIHead
from ava_det.models.slowfast import SlowFast
from tests.support.parity import BOXES, deviation, load_fixture, make_clips, make_state_dict


@pytest.fixture(scope="module")
def ava_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parity") / "ava.pyth"
    torch.save(
        {
            "epoch": 1,
            "model_state": make_state_dict(load_fixture("AVA_SLOWFAST_32x2_R50_SHORT")["keys"]),
        },
        path,
    )
    return path


def build_ava(aligned: bool) -> ActionDetector:
    backbone = SlowFast(alpha=4, lateral_kernel=7, res5_stride=1, res5_dilation=2)
    return ActionDetector(
        backbone, RoIHead(backbone.out_channels, 80, backbone.feature_stride, aligned=aligned)
    )


@pytest.mark.parametrize("aligned", [True, False])
def test_ava_logits(aligned: bool, ava_file: Path) -> None:
    fixture = load_fixture("AVA_SLOWFAST_32x2_R50_SHORT")
    model = build_ava(aligned).eval()
    load_weights(model, ava_file)
    with torch.no_grad():
        logits = model(**make_clips(fixture), rois=BOXES)
    assert deviation(logits, fixture[f"logits_aligned_{aligned}"]) < 1e-4


def test_ava_training_loss(ava_file: Path) -> None:
    fixture = load_fixture("AVA_SLOWFAST_32x2_R50_SHORT")
    model = build_ava(aligned=True).train()
    model.head.dropout.p = 0.0
    load_weights(model, ava_file)
    labels = torch.from_numpy(np.random.RandomState(7).uniform(size=(7, 80)) < 0.05).float()
    with torch.no_grad():
        loss = binary_cross_entropy_with_logits(model(**make_clips(fixture), rois=BOXES), labels)
    assert abs(loss.item() - fixture["train_loss"]) < 1e-5


def test_ava_stages(ava_file: Path) -> None:
    fixture = load_fixture("AVA_SLOWFAST_32x2_R50_SHORT")
    backbone = build_ava(aligned=True).eval()
    load_weights(backbone, ava_file)
    clips = make_clips(fixture)
    network = backbone.backbone
    slow = clips["slow"]
    fast = clips["fast"]
    assert network.slow is not None
    assert network.fast is not None
    with torch.no_grad():
        for index in range(5):
            slow = network.slow.stage(index, slow)
            fast = network.fast.stage(index, fast)
            for clip, expected in zip(
                (slow, fast), fixture["stages"][f"s{index + 1}"], strict=True
            ):
                assert list(clip.shape) == expected["shape"]
                assert clip.mean().item() == pytest.approx(expected["mean"], rel=1e-4)
                assert clip.std().item() == pytest.approx(expected["std"], rel=1e-4)
            if index < 4:
                slow = network.laterals[index](slow, fast)


def test_kinetics_logits(tmp_path: Path) -> None:
    fixture = load_fixture("SLOWFAST_4x16_R50")
    torch.save({"model_state": make_state_dict(fixture["keys"])}, tmp_path / "kinetics.pyth")
    backbone = SlowFast()
    model = ActionClassifier(backbone, ClassificationHead(backbone.out_channels, 400)).eval()
    load_weights(model, tmp_path / "kinetics.pyth")
    with torch.no_grad():
        assert deviation(model(**make_clips(fixture)), fixture["logits"]) < 1e-4
