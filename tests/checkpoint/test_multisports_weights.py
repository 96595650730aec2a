"""MMAction2's detectors of MultiSports: 66 actions, no background, a softmax, by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import WeightsError, load_weights
from ava_det.checkpoint.zoo import ZOO
from ava_det.config import load_config
from ava_det.models.build import build_model
from tests.support.foreign_names import to_mmaction2, without_counters


@pytest.mark.parametrize("kind", ["slowfast", "slowonly"])
def test_a_file_of_their_names_fills_the_network_of_the_config(tmp_path: Path, kind: str) -> None:
    config = load_config(f"configs/multisports/{kind}_r50_4x16.yaml", ["model.width=16"])
    assert (config.model.num_classes, config.model.multilabel) == (66, False)
    model = build_model(config)
    dice = torch.Generator().manual_seed(0)
    expected = {
        name: torch.rand(tensor.shape, generator=dice)
        for name, tensor in without_counters(model.state_dict()).items()
    }
    theirs = {
        to_mmaction2(name, two_pathways=kind == "slowfast"): tensor
        for name, tensor in expected.items()
    }
    assert len(theirs["roi_head.bbox_head.fc_cls.bias"]) == 66
    path = tmp_path / "weights.pth"
    torch.save({"meta": {"epoch": 8}, "state_dict": theirs}, path)
    assert load_weights(model, path).source == "mmaction2"
    loaded = without_counters(model.state_dict())
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())

    gone = next(name for name in theirs if "layer4" in name)
    torch.save({"state_dict": {k: v for k, v in theirs.items() if k != gone}}, path)
    with pytest.raises(WeightsError, match="does not fit the model"):
        load_weights(model, path)


def test_their_numbers_are_no_ava_scores() -> None:
    names = {name for name in ZOO if name.endswith("_multisports")}
    assert names == {f"mmaction2/{kind}_r50_4x16_multisports" for kind in ("slowfast", "slowonly")}
    assert all(ZOO[name].mean_ap is None and ZOO[name].commercial for name in names)
