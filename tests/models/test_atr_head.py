"""The actor-target relation head: its formula, and which boxes and maps a row depends on."""

from __future__ import annotations

import pytest
import torch

from ava_det.config import ConfigError, load_config
from ava_det.models.atr_head import ATRHead

CONFIG = "configs/ava/atr_r50_nl.yaml"


def build_head() -> ATRHead:
    torch.manual_seed(0)
    head = ATRHead([4, 2], 5, 16, resolution=2).eval()
    for linear in (head.theta, head.phi, head.g, head.out):
        torch.nn.init.normal_(linear.weight)
        torch.nn.init.normal_(linear.bias)
    return head


def test_each_cell_of_a_box_gathers_from_the_map_of_its_clip() -> None:
    head = build_head()
    boxes, maps = torch.randn(3, 6, 2, 2), torch.randn(2, 6, 3, 4)
    clips = torch.tensor([1, 0, 1])
    with torch.no_grad():
        related = head.relate(boxes, maps, clips)
        for k, clip in enumerate(clips):
            regions = [maps[clip, :, y, x] for y in range(3) for x in range(4)]
            for cell in range(4):
                actor = boxes[k, :, cell // 2, cell % 2]
                query = head.theta(actor)
                products = torch.stack([query @ head.phi(region) for region in regions])
                weights = (products / 3**0.5).softmax(dim=0)
                found = sum(w * head.g(r) for w, r in zip(weights, regions, strict=True))
                torch.testing.assert_close(related[k, cell], actor + head.out(found))


def test_a_row_depends_on_its_box_and_on_all_of_its_own_clip() -> None:
    head = build_head()
    maps = [torch.randn(2, channels, 2, 6, 6) for channels in (4, 2)]
    rois = torch.tensor([[0, 0.0, 0.0, 40.0, 40.0], [1, 0.0, 0.0, 40.0, 40.0]])
    far = [m.clone() for m in maps]
    far[0][0, :, :, 5, 5] += 3  # outside of both boxes, in the first clip
    moved = rois.clone()
    moved[1, 1:] += 20
    with torch.no_grad():
        before, changed, after = head(maps, rois), head(far, rois), head(maps, moved)
    assert not torch.allclose(changed[0], before[0])
    torch.testing.assert_close(changed[1], before[1])
    torch.testing.assert_close(after[0], before[0])
    assert not torch.allclose(after[1], before[1])


def test_what_it_cannot_be_joined_with_is_said() -> None:
    with pytest.raises(ConfigError, match=r"model\.roi_hidden_layer: expected false"):
        load_config(CONFIG, ["model.roi_hidden_layer=true"])
    with pytest.raises(ConfigError, match="did you mean atr"):
        load_config(CONFIG, ["model.roi_relation=art"])
    girdhar = "configs/ava/i3d_inception_girdhar.yaml"
    with pytest.raises(ConfigError, match=r"model\.roi_context: expected false with .*roi_tail"):
        load_config(girdhar, ["model.roi_context=true"])
