"""Every shipped config of optical flow runs, small, and both of its streams reach the scores."""

from __future__ import annotations

import pytest
import torch

from ava_det.config import load_config
from ava_det.models.build import build_model

# config, values of `model` that make it small
_RESNET = ("depth=14", "num_slow_frames=8", "width=8")
_ATR = (*_RESNET, "non_local_res4=[0]", "nl_i3d.non_local_res3=[0]")
CONFIGS = [
    ("kinetics/two_stream_cnn", ("width=4",)),
    ("kinetics/jeffreyyihuang/two_stream_resnet101", ("depth=14", "width=8")),
    ("kinetics/i3d_inception_flow", ("num_slow_frames=16",)),
    ("kinetics/i3d_two_stream", ("num_slow_frames=16",)),
    ("kinetics/s3dg_two_stream", ("num_slow_frames=16",)),
    ("kinetics/r2plus1d_34_flow", ("num_slow_frames=8", "r2plus1d.depth=10")),
    ("kinetics/r2plus1d_34_two_stream", ("num_slow_frames=8", "r2plus1d.depth=10")),
    ("ava/i3d_two_stream", ("num_slow_frames=16",)),
    ("ava/s3d_acrn_two_stream", ("num_slow_frames=16",)),
    ("ava/atr_r50_nl_two_stream", _ATR),
    ("ava/slowfast_plus_flow", ("depth=14", "flow.num_frames=16")),
]


@pytest.mark.parametrize(("name", "small"), CONFIGS)
def test_each_config_runs_and_reads_all_its_clips(name: str, small: tuple[str, ...]) -> None:
    values = ("width=8", "num_classes=5", *small)
    config = load_config(f"configs/{name}.yaml", [f"model.{value}" for value in values])
    torch.manual_seed(0)
    model = build_model(config).eval()
    generator = torch.Generator().manual_seed(0)
    clips = {
        clip: torch.randn(2, channels, frames, 64, 64, generator=generator)
        for clip, (channels, frames) in config.model.clip_shapes().items()
    }
    assert "flow" in clips
    rois = torch.tensor([[0.0, 4, 4, 40, 60], [1.0, 10, 0, 60, 50], [1.0, 0, 0, 20, 20]])
    with torch.no_grad():
        logits = model(**clips, rois=rois)
        assert logits.shape == (3 if config.model.head == "roi" else 2, 5)
        assert bool(logits.isfinite().all())
        for clip in clips:
            still = {**clips, clip: torch.zeros_like(clips[clip])}
            assert not torch.allclose(model(**still, rois=rois), logits, atol=1e-7), clip
