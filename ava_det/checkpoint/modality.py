"""Begins a network of optical flow with the weights of one of RGB (Wang et al., TSN, ECCV 2016)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ava_det.checkpoint.architecture import FIRST_CONVOLUTION, count_places

_RGB = 3


def spread_rgb(
    tensors: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], int | None]:
    """Gives the first convolutions of an RGB network the channels of a flow network.

    Each new channel has the mean of the kernels of R, G and B. Nothing changes where both networks
    have the same channels, or where the file is not of RGB.

    Args:
        tensors: A file's entries, under our names.
        targets: The model's entries.

    Returns:
        The entries, and the number of channels they were spread over; None where nothing changed.
    """
    spread = dict(tensors)
    channels = None
    for name, kernel in tensors.items():
        if not FIRST_CONVOLUTION.fullmatch(name) or name not in targets:
            continue
        # a kernel of images has as many places as the kernel over time that it is inflated to
        places = count_places(targets[name])
        wanted = targets[name].shape[1] // places
        if kernel.shape[1] == _RGB * places and wanted != _RGB:
            mean = kernel.unflatten(1, (places, _RGB)).mean(2, keepdim=True)
            spread[name] = mean.expand(-1, -1, wanted, *kernel.shape[2:]).flatten(1, 2)
            channels = wanted
    return spread, channels
