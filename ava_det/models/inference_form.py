"""Builds the form of a network that runs fastest for inference.

It equals the plain network up to rounding. Batch norms are folded into the convolutions before
them. Bias, residual and ReLU are applied while a convolution writes its output. Tensors are
channels last in memory. In that layout the frames of a clip and the pixels of a frame are one row
of feature vectors after another, so that factorized convolutions can be computed as 2D ones without
copying:

    1 x k x k  over [B * T, C, H, W]      each frame is an image of its own
    k x 1 x 1  over [B, C, T, H * W]      an image whose rows are times and whose columns are places

Libraries have faster 2D kernels: on a CPU the same 1 x 3 x 3 of the Fast pathway runs ten times as
fast. The plain network is the one that is trained; this form is made from it and cannot be trained.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.conv_unit import ConvUnit
from ava_det.models.factorized_conv import FactorizedConv3d
from ava_det.models.non_local import NonLocal
from ava_det.models.resnet3d import Bottleneck, Stem
from ava_det.models.slowfast import LateralConnection


def optimize_for_inference(
    model: nn.Module, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> nn.Module:
    """Copies an `ActionDetector` or `ActionClassifier` into its form for inference on `device`.

    The copy is called like the plain model.

    Args:
        model: The plain network.
        device: Of the copy.
        dtype: Of the backbone: float32 changes no sigmoid by more than 1e-6, bfloat16 none by more
            than 0.006 (measured on networks with trained statistics). Clips of any float type are
            cast on entry, the head stays float32. Where oneDNN refuses to multiply the type,
            numbers are stored in it and multiplied in float32, which saves no time.
    """
    device = torch.device(device)
    convolve = _choose_convolution(device, dtype)

    def fold(conv: nn.Conv3d, norm: nn.Module | None, relu: bool) -> FoldedConv:
        return FoldedConv(conv, norm, relu, dtype, convolve)

    def replaced(module: nn.Module) -> nn.Module:
        if isinstance(module, Stem):
            return InferenceStem(module, fold)
        if isinstance(module, Bottleneck):
            return InferenceBottleneck(module, fold)
        if isinstance(module, LateralConnection) and module.kind == "t_conv":
            return InferenceLateral(module, fold)
        if isinstance(module, ConvUnit):
            module.conv = fold(module.conv, module.bn, module.relu)  # type: ignore[assignment]
            module.bn = nn.Identity()  # type: ignore[assignment]
            module.relu = False
            return module
        if isinstance(module, NonLocal):
            for name, norm in (("theta", None), ("phi", None), ("g", None), ("out", module.bn)):
                if hasattr(module, name):  # the Gaussian form compares x itself: no theta, no phi
                    setattr(module, name, fold(getattr(module, name), norm, relu=False))
            module.bn = nn.Identity()  # type: ignore[assignment]
            return module
        if isinstance(module, FactorizedConv3d):
            return fold(module, None, False)
        for name, child in module.named_children():
            setattr(module, name, replaced(child))
        return module

    return replaced(copy.deepcopy(model).eval()).requires_grad_(False).to(device)


Fold = Callable[[nn.Conv3d, nn.Module | None, bool], "FoldedConv"]
Convolve = Callable[..., Tensor]


class FoldedConv(nn.Module):
    """Computes convolution, batch norm, sum with a residual and ReLU in one, in 2D where possible.

    Args:
        conv: The convolution.
        norm: The batch norm after it, or None.
        relu: Whether a ReLU follows.
        dtype: Of weight and bias.
        convolve: Function of x, weight, bias, stride, padding, dilation, groups, relu and residual,
            in two or three dimensions.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        conv: nn.Conv3d,
        norm: nn.Module | None,
        relu: bool,
        dtype: torch.dtype,
        convolve: Convolve,
    ) -> None:
        super().__init__()
        weight, bias = _fold_norm(conv, norm)
        geometry = [tuple(values) for values in (conv.stride, conv.padding, conv.dilation)]
        along_time = weight.shape[2] > 1 or conv.stride[0] > 1
        along_space = max(*weight.shape[3:], *conv.stride[1:]) > 1
        self.view = (
            "volume" if along_time and along_space else "moments" if along_time else "frames"
        )
        if self.view == "frames":
            weight = weight[:, :, 0]
            geometry = [values[1:] for values in geometry]
        elif self.view == "moments":
            weight = weight[:, :, :, :, 0]
            geometry = [values[:2] for values in geometry]
        memory_format = torch.channels_last_3d if self.view == "volume" else torch.channels_last
        # Filled, not converted: a 1x1 kernel counts as both layouts, and oneDNN's operator asks the
        # weight for its layout.
        ordered = torch.empty(weight.shape, dtype=dtype, memory_format=memory_format).copy_(weight)
        self.register_buffer("weight", ordered)
        self.register_buffer("bias", bias.to(dtype))
        self.stride, self.padding, self.dilation = geometry
        self.groups = conv.groups
        self.relu = relu
        # One channel has no layout at all: there oneDNN's operator falls back to one without
        # bfloat16.
        without_layout = convolve is _convolve_onednn and weight.shape[1] == 1
        self.convolve: Convolve = _convolve if without_layout else convolve

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Convolves x [B, C, T, H, W] to [B, C', T', H', W'], both channels last in memory.

        Args:
            x: The input.
            residual: Is added, of the shape of the output.
        """
        x = x.to(self.weight.dtype).contiguous(memory_format=torch.channels_last_3d)
        inputs = self._flatten(x)
        other = None if residual is None else self._flatten(residual)
        geometry = (self.stride, self.padding, self.dilation, self.groups)
        y = self.convolve(inputs, self.weight, self.bias, *geometry, self.relu, other)
        if self.view == "frames":
            return torch.unflatten(y, 0, (x.shape[0], x.shape[2])).transpose(1, 2)
        return torch.unflatten(y, 3, x.shape[3:]) if self.view == "moments" else y

    def _flatten(self, x: Tensor) -> Tensor:
        if self.view == "frames":
            return x.transpose(1, 2).flatten(0, 1)
        return x.flatten(3) if self.view == "moments" else x


class InferenceStem(nn.Module):
    """Computes `Stem`; its input may have any float type and layout."""

    def __init__(self, stem: Stem, fold: Fold) -> None:
        super().__init__()
        self.conv = fold(stem.conv, stem.bn, True)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, 3, T, H, W] to [B, out_channels, T, H/4, W/4]."""
        y = self.conv(x)
        pooled = F.max_pool2d(y.transpose(1, 2).flatten(0, 1), 3, stride=2, padding=1)
        return torch.unflatten(pooled, 0, (y.shape[0], y.shape[2])).transpose(1, 2)


class InferenceBottleneck(nn.Module):
    """Computes `Bottleneck` in three or four passes over memory."""

    def __init__(self, block: Bottleneck, fold: Fold) -> None:
        super().__init__()
        self.a = fold(block.a, block.a_bn, True)
        self.b = fold(block.b, block.b_bn, True)
        self.c = fold(block.c, block.c_bn, True)
        self.shortcut = (
            fold(block.shortcut, block.shortcut_bn, False) if block.has_shortcut else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, in_channels, T, H, W] to [B, out_channels, T, H/stride, W/stride]."""
        output: Tensor = self.c(self.b(self.a(x)), self.shortcut(x))
        return output


class InferenceLateral(nn.Module):
    """Computes `LateralConnection` of kind t_conv, and concatenates pixel by pixel in memory."""

    def __init__(self, lateral: LateralConnection, fold: Fold) -> None:
        super().__init__()
        self.conv = fold(lateral.conv, lateral.bn, lateral.bn is not None)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        """Returns the Slow pathway's next input, [B, C + added_channels, T, h, w]."""
        rows = [stream.permute(0, 2, 3, 4, 1) for stream in (slow, self.conv(fast))]
        return torch.cat(rows, dim=-1).permute(0, 4, 1, 2, 3)


def _fold_norm(conv: nn.Conv3d, norm: nn.Module | None) -> tuple[Tensor, Tensor]:
    """Computes weight and bias, in float64, of a convolution with a batch norm folded into it.

    The running statistics of the norm are used.
    """
    weight = conv.weight.detach().double()
    bias = (
        torch.zeros(len(weight), dtype=torch.float64)
        if conv.bias is None
        else conv.bias.detach().double()
    )
    if norm is None:
        return weight, bias
    assert isinstance(norm, nn.BatchNorm3d)
    scale, shift, mean, variance = (
        value.detach().double()
        for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
        if value is not None
    )
    scale = scale / (variance + norm.eps).sqrt()
    return weight * scale[:, None, None, None, None], (bias - mean) * scale + shift


def _choose_convolution(device: torch.device, dtype: torch.dtype) -> Convolve:
    """Returns oneDNN's fused convolution on a CPU where it takes the type.

    Without AVX-512 it refuses bfloat16.
    """
    if device.type != "cpu":
        return _convolve
    pixel, kernel = (torch.ones(1, 2, 1, 1, dtype=dtype) for _ in range(2))
    geometry = (1, 1), (0, 0), (1, 1), 1
    try:
        if torch.backends.mkldnn.is_available():
            _convolve_onednn(pixel, kernel, pixel.new_zeros(1), *geometry, False, None)
            return _convolve_onednn
    except RuntimeError:
        pass
    return _convolve if dtype == torch.float32 else _convolve_in_float32


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    relu: bool,
    residual: Tensor | None,
) -> Tensor:
    """Computes a convolution, sum and ReLU by torch's plain operators."""
    convolution = F.conv3d if x.ndim == 5 else F.conv2d
    y = convolution(x, weight, bias, stride, padding, dilation, groups)
    if residual is not None:
        y += residual
    return F.relu(y, inplace=True) if relu else y


def _convolve_in_float32(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    relu: bool,
    residual: Tensor | None,
) -> Tensor:
    """Computes the same on 16-bit numbers, with products and sums in float32."""
    other = None if residual is None else residual.float()
    with torch.autocast(x.device.type, enabled=False):
        return _convolve(
            x.float(), weight.float(), bias.float(), stride, padding, dilation, groups, relu, other
        ).to(x.dtype)


def _convolve_onednn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    relu: bool,
    residual: Tensor | None,
) -> Tensor:
    """Computes the same by the operators that torch.compile uses on CPUs.

    They apply sum and ReLU before the output leaves the cache.
    """
    fused = torch.ops.mkldnn._convolution_pointwise
    after = "relu" if relu else "none"
    if residual is None:
        output: Tensor = fused(x, weight, bias, padding, stride, dilation, groups, after, [], "")
        return output
    last = "relu" if relu else None
    summed: Tensor = fused.binary(
        x, residual, weight, bias, padding, stride, dilation, groups, "add", 1.0, last, [], None
    )
    return summed
