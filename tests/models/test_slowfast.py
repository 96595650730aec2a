"""Wiring: lateral connections by hand, non-local blocks, temporal kernels, initialization, wrong
values.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ava_det.models.slowfast import LateralConnection, SlowFast


def test_time_to_channel_keeps_every_frame() -> None:
    # one channel, 8 frames, alpha 4 -> 2 frames of 4 channels
    fast = torch.arange(8.0).reshape(1, 1, 8, 1, 1)
    slow = torch.zeros(1, 4, 2, 1, 1)
    summed = LateralConnection("ttoc_sum", 1, 4, 5)(slow, fast)
    assert summed[0, :, :, 0, 0].tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    concatenated = LateralConnection("ttoc_concat", 1, 4, 5)(slow, fast)
    assert concatenated.shape == (1, 8, 2, 1, 1)
    assert torch.equal(concatenated[:, 4:], summed)


def test_t_sample_takes_every_alpha_th_frame() -> None:
    fast = torch.arange(8.0).reshape(1, 1, 8, 1, 1)
    fused = LateralConnection("t_sample", 1, 4, 5)(torch.zeros(1, 4, 2, 1, 1), fast)
    assert fused[0, 4, :, 0, 0].tolist() == [0, 4]


@pytest.mark.parametrize("kernel", [5, 7])
def test_t_conv_is_centerd_on_every_alpha_th_frame(kernel: int) -> None:
    lateral = LateralConnection("t_conv", 1, 4, kernel, norm=False)
    with torch.no_grad():
        lateral.conv.weight.zero_()
        lateral.conv.weight[:, :, kernel // 2] = 1
        fused = lateral(torch.zeros(1, 4, 2, 1, 1), torch.arange(8.0).reshape(1, 1, 8, 1, 1))
    assert fused[0, 4:, :, 0, 0].tolist() == [[0, 4], [0, 4]]


def kernels(network: SlowFast, pathway: str, stage: str) -> list[Any]:
    blocks = network.get_submodule(f"{pathway}.{stage}.blocks").children()
    return [block.a.kernel_size[0] for block in blocks]


def test_temporal_kernels_of_table_one() -> None:
    with torch.device("meta"):
        network = SlowFast(depth=101, res4_temporal_blocks=6)
        i3d = SlowFast("i3d")
    assert [kernels(network, "slow", stage)[0] for stage in ("res2", "res3", "res4", "res5")] == [
        1,
        1,
        3,
        3,
    ]
    assert (
        kernels(network, "slow", "res4") == kernels(network, "fast", "res4") == [3] * 6 + [1] * 17
    )
    assert set(kernels(network, "fast", "res2")) == {3}
    assert [kernels(i3d, "slow", f"res{stage}") for stage in (2, 3, 5)] == [
        [3, 3, 3],
        [3, 1, 3, 1],
        [1, 3, 1],
    ]


def test_dilation_is_in_every_b_of_res5_and_never_in_a_shortcut() -> None:
    with torch.device("meta"):
        network = SlowFast(res5_stride=1, res5_dilation=2)
    for pathway in (network.slow, network.fast):
        assert pathway is not None
        blocks: Any = pathway.get_submodule("res5.blocks")
        assert [block.b.dilation for block in blocks] == [(1, 2, 2)] * 3
        assert blocks[0].shortcut.dilation == (1, 1, 1)
        assert blocks[0].shortcut.stride == (1, 1, 1)
        assert pathway.get_submodule("res4.blocks")[1].b.dilation == (1, 1, 1)


def test_zero_init_last_gamma_is_a_choice() -> None:
    for zero in (True, False):
        network = SlowFast("slow_only", depth=14, width=8, zero_init_last_gamma=zero)
        gammas = [p for name, p in network.named_parameters() if name.endswith("c_bn.weight")]
        assert all(bool((gamma == 0).all()) == zero for gamma in gammas)


def test_half_of_the_temporal_filters_can_start_blind_to_what_stands_still() -> None:
    network = SlowFast(depth=14, width=8, beta_inv=4, temporal_difference_init=True)
    temporal = [
        m for m in network.modules() if isinstance(m, torch.nn.Conv3d) and m.kernel_size[0] > 1
    ]
    assert (
        len(temporal) == 11
    )  # stem and four stages of the Fast pathway, two of the Slow one, four laterals
    for conv in temporal:
        still = conv.weight.sum(dim=2).abs().flatten(1).amax(dim=1)
        half = conv.out_channels // 2
        assert still[:half].amax() < 1e-5
        assert still[half:].amin() > 1e-3
    frame = torch.randn(1, 3, 1, 16, 16).expand(-1, -1, 9, -1, -1)
    seen = network.fast.stem.conv(frame)[
        0, :, 2:-2
    ]  # at both ends of the clip the padding is a change
    assert seen[0].abs().amax() < 1e-5 < seen[1].abs().amax()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"backbone": "slow"},
            "backbone is 'slow', expected one of slowfast, slow_only, fast_only, i3d",
        ),
        ({"depth": 18}, "depth is 18, expected one of 14, 26, 50, 101"),
        ({"lateral": "sum"}, "lateral is 'sum', expected one of none"),
        ({"lateral": "ttoc_sum", "alpha": 4}, "alpha must equal beta_inv"),
        ({"non_local_res4": [6]}, "non-local block after block 6: this stage has blocks 0..5"),
    ],
)
def test_wrong_values_are_one_sentence(values: dict[str, object], message: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        SlowFast(**values)  # type: ignore[arg-type]
