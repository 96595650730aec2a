"""The convolution of every 3D network here: 1 x k x k, k x 1 x 1, or both at once in a stem."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEM_CHANNELS = 16  # that a stem computes at once: a vector of AVX-512, two of AVX2
MIN_PRODUCT_CHANNELS = 64  # below, oneDNN is as fast


class FactorizedConv3d(nn.Conv3d):
    """Convolves in 3D, as a 2D convolution where the kernel allows it.

    A 1 x k x k kernel is a 2D kernel over frames, a k x 1 x 1 kernel one over (time, position).
    Where channels are last in memory both are views of the same numbers, and libraries have faster
    2D kernels: those of the Fast pathway are ten times as fast on a CPU in float32. In other
    layouts it is the 3D convolution; a dilated kernel is faster as one in every layout. In
    training on a CPU the t x k x k kernels of the Fast stem are computed in 2D too, see
    `convolve_frame_groups`, and gradients of k x 1 x 1 weights by matrix products, see
    `_ConvolveColumns`.

    It is safe for clips shorter than its kernel: oneDNN's bfloat16 weight gradient is wrong, often
    infinite, when the input has fewer frames than the kernel and the convolution pads them itself
    (torch 2.15 on a CPU); padding beforehand avoids that kernel.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolves input [B, C, T, H, W]."""
        time, height, width = (int(amount) for amount in self.padding)
        if input.shape[2] < self.kernel_size[0]:
            input = F.pad(input, (0, 0, 0, 0, time, time))
            time = 0
        viewable = input.is_contiguous(memory_format=torch.channels_last_3d)
        if input.device.type == "cpu" and self.dilation != (1, 1, 1):
            viewable = False
        if viewable and self.kernel_size[0] == self.stride[0] == 1:
            frames = input.transpose(1, 2).flatten(0, 1)
            y = self._convolve_image(frames, self.weight.squeeze(2), (1, 2), (height, width))
            return torch.unflatten(y, 0, (input.shape[0], input.shape[2])).transpose(1, 2)
        if viewable and self.kernel_size[1:] == self.stride[1:] == (1, 1):
            y = self._convolve_image(input.flatten(3), self.weight.squeeze(4), (0, 1), (time, 0))
            return torch.unflatten(y, 3, input.shape[3:])
        if viewable and self._suits_frame_groups(input, time):
            group = STEM_CHANNELS // self.out_channels
            sides = self.stride[1:], (height, width)
            return convolve_frame_groups(input, self.weight, *sides, time, group)
        padding = (time, height, width)
        return F.conv3d(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _convolve_image(
        self, image: Tensor, weight: Tensor, axes: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        """Convolves image [N, C, h, w], whose sides are two of time, height and width."""
        stride = self.stride[axes[0]], self.stride[axes[1]]
        if weight.shape[3] == stride[1] == 1 and self._suits_products():
            if torch.is_autocast_enabled("cpu"):
                half = torch.get_autocast_dtype("cpu")
                image, weight = image.to(half), weight.to(half)
            convolved: Tensor = _ConvolveColumns.apply(image, weight, stride[0], padding[0])
            return convolved
        dilation = self.dilation[axes[0]], self.dilation[axes[1]]
        return F.conv2d(image, weight, self.bias, stride, padding, dilation, self.groups)

    def _suits_products(self) -> bool:
        """Returns whether `_ConvolveColumns` gives the same gradients faster."""
        is_plain = self.bias is None and self.groups == 1
        is_wide = min(self.in_channels, self.out_channels) >= MIN_PRODUCT_CHANNELS
        return is_plain and is_wide and self._is_trained() and self.weight.device.type == "cpu"

    def _suits_frame_groups(self, input: Tensor, padding: int) -> bool:
        """Returns whether `convolve_frame_groups` gives the same result faster.

        It does in training on a CPU.
        """
        is_plain = self.bias is None and self.stride[0] == 1 and self.groups == 1
        is_thin = self.in_channels <= 4 and STEM_CHANNELS % self.out_channels == 0
        keeps_frames = 2 * padding == self.kernel_size[0] - 1
        return (
            is_plain
            and is_thin
            and keeps_frames
            and input.shape[2] % (STEM_CHANNELS // self.out_channels) == 0
            and self._is_trained()
            and input.device.type == "cpu"
        )

    def _is_trained(self) -> bool:
        return torch.is_grad_enabled() and self.weight.requires_grad


class _ConvolveColumns(torch.autograd.Function):
    """Convolves along columns; the weights' gradient is a matrix product for each row of a kernel.

    oneDNN's gradient takes twice as long for hundreds of channels in float32.
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        """Convolves input [B, C, T, P], channels last in memory, with weight [K, C, t, 1]."""
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(input, weight, None, (stride, 1), (padding, 0))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        input, weight = ctx.saved_tensors
        of_input = None
        if ctx.needs_input_grad[0]:
            geometry = (ctx.stride, 1), (ctx.padding, 0), (1, 1), False, (0, 0), 1
            of_input, _, _ = torch.ops.aten.convolution_backward(
                gradient, input, weight, None, *geometry, [True, False, False]
            )
        rows, gradient_rows = input.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1)
        last_frame = input.shape[2] - 1
        products = []
        for frame in range(weight.shape[2]):
            # an output frame `time` sees the input frame `time * stride + shift`
            shift = frame - ctx.padding
            first = max(0, -(shift // ctx.stride))
            end = min(gradient.shape[2], (last_frame - shift) // ctx.stride + 1)
            seen = rows[:, first * ctx.stride + shift :: ctx.stride][:, : end - first]
            of_seen = gradient_rows[:, first:end]
            products.append(of_seen.flatten(0, 2).t() @ seen.flatten(0, 2))
        # [K, t, C] in memory, as the weights are
        of_weight = torch.stack(products, dim=1).transpose(1, 2).unsqueeze(3)
        return of_input, of_weight, None, None


def convolve_frame_groups(
    input: Tensor,
    weight: Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, int],
    time_padding: int,
    group: int,
) -> Tensor:
    """Computes `F.conv3d` as a 2D convolution that computes several output frames at a time.

    The channels of the 2D convolution are the input frames that the output frames see. oneDNN
    computes eight or sixteen channels at once. Of the three channels of a clip it wastes most,
    above all in the gradient of the weights, and four output channels fill a part of a vector. The
    zeros that each of the frames multiplies cost a fifth more arithmetic in a pair of frames and
    three fifths more in four; forward and backward together take half the time.

    Args:
        input: [B, C, T, H, W] with T a multiple of `group`, channels last in memory.
        weight: [K, C, t, k, k].
        stride: Of height and width.
        padding: Of height and width.
        time_padding: (t - 1) / 2.
        group: Output frames at a time.

    Returns:
        [B, K, T, h, w], channels last in memory.
    """
    if torch.is_autocast_enabled("cpu"):  # before the windows are copied
        input = input.to(torch.get_autocast_dtype("cpu"))
    frames = F.pad(input.permute(0, 2, 3, 4, 1), (0, 0, 0, 0, 0, 0, time_padding, time_padding))
    # [B, T / group, H, W, C, group + t - 1]
    windows = frames.unfold(1, group + weight.shape[2] - 1, group)
    images = windows.flatten(4).flatten(0, 1).permute(0, 3, 1, 2)
    # [group * K, C, group + t - 1, k, k]: each output frame sees t input frames of its window
    kernels = [F.pad(weight, (0, 0, 0, 0, i, group - 1 - i)) for i in range(group)]
    y = F.conv2d(images, torch.cat(kernels).flatten(1, 2), None, stride, padding)
    # [B, T / group, h, w, group, K] to [B, T, h, w, K] to channels first
    grouped = y.permute(0, 2, 3, 1).unflatten(0, (len(input), -1)).unflatten(4, (group, -1))
    one_by_one: Tensor = grouped.movedim(4, 2).flatten(1, 2).permute(0, 4, 1, 2, 3)
    return one_by_one
