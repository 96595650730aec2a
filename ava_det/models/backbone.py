"""What every backbone gives to the heads, and the checks of a clip that all of them share."""

from __future__ import annotations

from torch import Tensor, nn


class Backbone(nn.Module):
    """Turns the clips of a batch into maps: `forward(slow, fast, flow)` gives a list of tensors.

    Attributes:
        in_channels: Channels of a frame: 3 for RGB; of any other number are fields of flow.
        out_channels: Channels of each feature map [B, C_i, T_i, h, w].
        feature_stride: Clip pixels per feature cell.
        pool_window: (time, height, width) of the average pool of stride 1 that goes before the
            mean in the network's own classification head; None where the mean is all.
        left_out: Parts of the whole network that this form of it does not have; weights of the
            whole network may have them.
        norm_in_head: Whether a LayerNorm follows the mean in that head.
        token_parts: Children whose output is tokens, [B, N, C] or [B, T, H, W, C].
    """

    in_channels: int = 3
    out_channels: list[int]
    feature_stride: int
    pool_window: tuple[int, int, int] | None = None
    left_out: tuple[str, ...] = ()
    norm_in_head: bool = False
    token_parts: tuple[str, ...] = ()

    def choose_clip(self, slow: Tensor | None, flow: Tensor | None) -> Tensor:
        """Returns the one clip of a backbone that reads one: slow, or flow if it is of flow.

        Args:
            slow: Float [B, in_channels, T, H, W].
            flow: Float [B, in_channels, T, H, W].

        Raises:
            ValueError: The clip is missing or has another shape.
        """
        if self.in_channels == 3:
            return require_clip(slow, "slow")
        return require_clip(flow, "flow", self.in_channels)

    def list_layers(self) -> list[list[nn.Module]]:
        """Lists the modules of each layer, the first one first, for a learning rate by depth.

        Returns:
            What `train.layer_decay` counts; what is left out belongs to the end of the network.
            Empty for a family that is not trained so.
        """
        return []


class SingleStreamBackbone(Backbone):
    """Computes the features of one clip, `slow` or `flow`; subclasses define `compute`.

    Args:
        in_channels: Channels of a frame: 3 for RGB, any other number for optical flow.
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self.in_channels = in_channels

    def compute(self, clip: Tensor) -> list[Tensor]:
        """Computes the feature maps of a clip [B, in_channels, T, H, W]."""
        raise NotImplementedError

    def forward(
        self, slow: Tensor | None = None, fast: Tensor | None = None, flow: Tensor | None = None
    ) -> list[Tensor]:
        """Computes the features of a batch of clips.

        Args:
            slow: Float [B, 3, T, H, W], read where a frame has 3 channels.
            fast: Ignored.
            flow: Float [B, in_channels, T, H, W], read where a frame has another number.

        Returns:
            A tensor [B, out_channels[i], T_i, h, w] per feature map.

        Raises:
            ValueError: The clip is missing or has another shape.
        """
        return self.compute(self.choose_clip(slow, flow))


def require_clip(clip: Tensor | None, name: str, channels: int = 3) -> Tensor:
    """Returns the clip, if it is one.

    Args:
        clip: Float [B, channels, frames, H, W].
        name: `slow`, `fast` or `flow`, for the message.
        channels: Of a frame.

    Raises:
        ValueError: It is missing or has another shape.
    """
    shape = f"[B, {channels}, frames, H, W]"
    if clip is None:
        raise ValueError(f"the {name} clip is missing: this network needs {name} {shape}")
    if clip.ndim != 5 or clip.shape[1] != channels:
        raise ValueError(f"the {name} clip has shape {list(clip.shape)}, expected {shape}")
    return clip
