"""The convolution of the 3D networks beside torch's own: output, gradients, layouts, precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ava_det.models import factorized_conv
from ava_det.models.factorized_conv import MIN_PRODUCT_CHANNELS, FactorizedConv3d
from ava_det.models.resnet3d import Stem

Shape = tuple[int, int, int]
WIDE = MIN_PRODUCT_CHANNELS


def draw(*shape: int, layout: torch.memory_format = torch.channels_last_3d) -> Tensor:
    return torch.randn(shape, dtype=torch.float64).to(memory_format=layout).requires_grad_()


def compute_gradients(y: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    """Returns gradients, and the gradients of their squares: the second derivatives."""
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    first = torch.autograd.grad((y * y * weights).sum(), wanted, create_graph=True)
    squares = torch.stack([gradient.square().sum() for gradient in first])
    second = torch.autograd.grad(squares.sum(), wanted)
    return [*first, *second]


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One number for each convolution whose weights get their gradient by matrix products."""
    made: list[int] = []
    apply = factorized_conv._ConvolveColumns.apply

    def count(*args: object) -> object:
        made.append(1)
        return apply(*args)

    monkeypatch.setattr(factorized_conv._ConvolveColumns, "apply", count)
    return made


@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
@pytest.mark.parametrize("frames", [1, 4, 9])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [
        ((1, 1, 1), (1, 1, 1), 1),
        ((1, 1, 1), (1, 2, 2), 1),
        ((3, 1, 1), (1, 1, 1), 1),
        ((5, 1, 1), (4, 1, 1), 1),
        ((7, 1, 1), (3, 1, 1), 1),
        ((1, 3, 3), (1, 1, 1), 1),
        ((1, 3, 3), (1, 2, 2), 1),
        ((1, 3, 3), (1, 1, 1), 2),
    ],
)
def test_it_is_torchs(
    kernel: Shape,
    stride: Shape,
    dilation: int,
    frames: int,
    layout: torch.memory_format,
    products: list[int],
) -> None:
    """Both derivatives too, of clips that are longer and shorter than the kernel."""
    torch.manual_seed(0)
    padding = (kernel[0] // 2, kernel[1] // 2 * dilation, kernel[2] // 2 * dilation)
    conv = FactorizedConv3d(
        WIDE, WIDE, kernel, stride, padding, dilation=(1, dilation, dilation), bias=False
    )
    conv = conv.double().to(memory_format=torch.channels_last_3d)
    clip = draw(2, WIDE, frames, 4, 5, layout=layout)
    ours = conv(clip)
    plain = F.conv3d(clip, conv.weight, None, stride, padding, conv.dilation)
    torch.testing.assert_close(ours, plain)
    wanted = [clip, conv.weight]
    for one, other in zip(
        compute_gradients(ours, wanted), compute_gradients(plain, wanted), strict=True
    ):
        torch.testing.assert_close(one, other)
    is_temporal = kernel[1] == 1 and stride[1] == 1
    # the padding of a short clip makes a new one, of torch's choice of layout
    if layout == torch.channels_last_3d and frames >= kernel[0]:
        assert len(products) == is_temporal
        gradient = torch.autograd.grad(conv(clip).sum(), conv.weight)[0]
        assert not is_temporal or gradient.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "groups", "bias"),
    [
        (WIDE - 1, WIDE, 1, False),
        (WIDE, WIDE // 2, 1, False),
        (WIDE, WIDE, 1, True),
        (WIDE, WIDE, 2, False),
    ],
)
def test_other_convolutions_are_left_to_torch(
    in_channels: int, out_channels: int, groups: int, bias: bool, products: list[int]
) -> None:
    conv = FactorizedConv3d(in_channels, out_channels, 1, groups=groups, bias=bias).double()
    clip = draw(2, in_channels, 2, 3, 4)
    torch.testing.assert_close(conv(clip), F.conv3d(clip, conv.weight, conv.bias, groups=groups))
    assert not products


def test_nothing_is_kept_where_nothing_is_learned(products: list[int]) -> None:
    conv = FactorizedConv3d(WIDE, WIDE, 1, bias=False)
    clip = draw(1, WIDE, 2, 3, 4).float()
    with torch.inference_mode():
        conv(clip)
    conv.requires_grad_(False)
    conv(clip).sum().backward()
    assert not products


@pytest.mark.parametrize("kernel", [1, 3])
def test_gradients_under_autocast(kernel: int, products: list[int]) -> None:
    """They are those of float32 but for the rounding of bfloat16, of the parameter's own type."""
    torch.manual_seed(0)
    conv = FactorizedConv3d(WIDE, WIDE, (kernel, 1, 1), padding=(kernel // 2, 0, 0), bias=False)
    clip = draw(2, WIDE, 4, 3, 4).detach().float().requires_grad_()
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = conv(clip)
        assert y.dtype == (torch.bfloat16 if enabled else torch.float32)
        found.append([y, *torch.autograd.grad(y.float().square().sum(), [clip, conv.weight])])
    assert len(products) == 2
    for exact, rounded in zip(*found, strict=True):
        assert (rounded - exact).norm() < 0.02 * exact.norm()
    assert [tensor.dtype for tensor in found[1][1:]] == [torch.float32] * 2


@pytest.mark.slow
def test_a_compiled_network_has_the_same_gradients() -> None:
    torch.manual_seed(0)
    conv = FactorizedConv3d(WIDE, WIDE, (3, 1, 1), padding=(1, 0, 0), bias=False)
    clip = draw(1, WIDE, 4, 3, 4).detach().float()
    compiled = torch.compile(conv, backend="eager", fullgraph=True)
    gradients = [
        torch.autograd.grad(f(clip).square().sum(), conv.weight)[0] for f in (conv, compiled)
    ]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("channels", "kernel", "frames"), [(1, 5, 16), (2, 5, 16), (4, 5, 16), (8, 5, 8), (16, 3, 4)]
)
def test_frame_groups_are_the_convolution(
    channels: int, kernel: int, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output and gradients; frames that make no whole groups go the usual way."""
    torch.manual_seed(0)
    stem = Stem(channels, kernel).double().to(memory_format=torch.channels_last_3d)
    grouped: list[int] = []
    plain = factorized_conv.convolve_frame_groups
    monkeypatch.setattr(
        factorized_conv,
        "convolve_frame_groups",
        lambda *args: grouped.append(args[-1]) or plain(*args),
    )
    for length in (frames, frames - 1):
        clip = draw(2, 3, length, 18, 22)
        ours = stem.conv(clip)
        whole = F.conv3d(clip, stem.conv.weight, None, (1, 2, 2), (kernel // 2, 3, 3))
        torch.testing.assert_close(ours, whole)
        if length == frames and 1 < channels < 16:
            assert ours.is_contiguous(memory_format=torch.channels_last_3d)
        wanted = [clip, stem.conv.weight]
        for one, other in zip(
            compute_gradients(ours, wanted), compute_gradients(whole, wanted), strict=True
        ):
            torch.testing.assert_close(one, other)
    assert grouped == [16 // channels] * (2 if channels == 16 else 1)


def test_frame_groups_under_autocast() -> None:
    torch.manual_seed(0)
    stem = Stem(4, 5)
    clip = draw(2, 3, 8, 18, 22).detach().float()
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = stem.conv(clip)
        found.append([y, torch.autograd.grad(y.float().square().sum(), stem.conv.weight)[0]])
    assert found[1][0].dtype == torch.bfloat16
    for exact, rounded in zip(*found, strict=True):
        assert (rounded - exact).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("channels", [16, WIDE])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("kernel", [3, 5])
def test_bf16_weight_gradients_of_short_clips(frames: int, kernel: int, channels: int) -> None:
    """The case `FactorizedConv3d` pads for: clips shorter than the kernel under bfloat16."""
    torch.manual_seed(0)
    padding = (kernel // 2, 0, 0)
    conv = FactorizedConv3d(channels, channels, (kernel, 1, 1), padding=padding, bias=False)
    x = torch.randn(2, channels, frames, 6, 8)
    weights = torch.randn(2, channels, frames, 6, 8)
    gradients = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = conv(x)
        gradients.append(torch.autograd.grad((y * weights).sum(), conv.weight)[0])
    assert (gradients[1] - gradients[0]).norm() < 0.02 * gradients[0].norm()
