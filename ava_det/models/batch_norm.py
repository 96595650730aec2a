"""Batch normalization that is fast for very few channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

MAX_CHANNELS = 4
ROW = 64  # numbers in a row of the folded table


class BatchNorm3d(nn.BatchNorm3d):
    """Normalizes by batch as torch does, in a quarter of the time for up to four channels.

    torch's CPU kernel for channels last in memory handles one position at a time. Of the four
    channels of a narrow Fast pathway it fills half of a vector, and it adds hundreds of thousands
    of numbers one by one in float32. In training on a CPU such a batch is therefore computed as a
    table with sixteen positions in a row, which also makes its sums more accurate. Under autocast
    too it is computed in float32, and stays so: ReLU and the stem's pool are no faster on four
    numbers of bfloat16, and the next convolution rounds them.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalizes input [B, C, T, H, W]."""
        if not self._suits_table(input):
            return super().forward(input)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        normalized: Tensor = _NormalizeTable.apply(input, self.weight, self.bias, self)
        return normalized

    def _suits_table(self, input: Tensor) -> bool:
        """Returns whether the table gives the same result faster."""
        is_plain = self.affine and self.track_running_stats and self.momentum is not None
        half = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
        is_float = input.dtype in (torch.float32, half) and input.device.type == "cpu"
        is_narrow = self.num_features <= MAX_CHANNELS and ROW % self.num_features == 0
        return (
            self.training
            and is_plain
            and is_float
            and is_narrow
            and input.numel() > 0
            and input.numel() % ROW == 0
            and input.is_contiguous(memory_format=torch.channels_last_3d)
        )


class _NormalizeTable(torch.autograd.Function):
    """Normalizes a batch whose memory is seen as rows of `ROW` numbers, its channels repeated."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor, norm: BatchNorm3d) -> Tensor:
        repeats = ROW // norm.num_features
        count = input.numel() // norm.num_features
        table = _to_table(input).float()
        mean = _sum_channels(table, repeats) / count
        centered = table - mean.repeat(repeats)
        variance = _sum_channels(centered.square(), repeats) / count
        inverse_std = torch.rsqrt(variance + norm.eps)
        assert norm.running_mean is not None and norm.running_var is not None
        assert norm.momentum is not None
        norm.running_mean.lerp_(mean, norm.momentum)
        # as torch: the running variance is the unbiased one
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
        ctx.save_for_backward(centered, inverse_std, weight)
        ctx.dtype = input.dtype
        scale = (inverse_std * weight).repeat(repeats)
        # not a view of the table: ReLU changes the result in place
        normalized = torch.empty_like(input, dtype=torch.float32)
        torch.addcmul(bias.repeat(repeats), centered, scale, out=_to_table(normalized))
        return normalized

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        centered, inverse_std, weight = ctx.saved_tensors
        channels = len(weight)
        repeats = ROW // channels
        count = gradient.numel() // channels
        table = _to_table(gradient)
        of_bias = _sum_channels(table, repeats)
        of_weight = _sum_channels(table * centered, repeats) * inverse_std
        # Ioffe and Szegedy 2015, section 3, written as one factor each and a constant
        scale = inverse_std * weight
        slope = -scale * inverse_std * of_weight / count
        constant = -scale * of_bias / count
        of_input = torch.addcmul(constant.repeat(repeats), table, scale.repeat(repeats))
        of_input.addcmul_(centered, slope.repeat(repeats))
        clips, _, *positions = gradient.shape
        of_input = of_input.view(clips, *positions, channels).permute(0, 4, 1, 2, 3)
        return of_input.to(ctx.dtype), of_weight, of_bias, None


def _to_table(batch: Tensor) -> Tensor:
    """Views [B, C, T, H, W] as rows of `ROW` numbers; copies it unless channels are last."""
    return batch.permute(0, 2, 3, 4, 1).reshape(-1, ROW)


def _sum_channels(table: Tensor, repeats: int) -> Tensor:
    """Sums each channel of a table, [C]."""
    return table.sum(0).view(repeats, -1).sum(0)
