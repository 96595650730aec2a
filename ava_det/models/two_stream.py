"""Joins a network of RGB and one of optical flow: by their scores, or at their feature maps.

    late                                          map
    slow, fast --> rgb: backbone, head --+        slow, fast --> rgb: backbone --+
                                         +-->                                    +--> mean --> head
    flow ------> flow: backbone, head ---+        flow ------> flow: backbone ---+

Late fusion is what the papers of Kinetics do: I3D adds the logits of both (Carreira and Zisserman
2017), the Two-Stream CNN and R(2+1)D take a mean of softmax scores. Gu et al. (AVA, 2018) average
the maps, so that one head sees both. (In name only: two_stream_cnn.py is one stream of a network.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ava_det.models.action_detector import ActionClassifier, ActionDetector
from ava_det.models.backbone import Backbone

OneStream = ActionDetector | ActionClassifier


class TwoStream(nn.Module):
    """Scores persons or clips by two whole networks; late fusion.

    Args:
        rgb: Reads slow and fast.
        flow: Reads flow.
        weights: Of RGB and of flow.
        scores: What is joined, see `join_logits`.
    """

    def __init__(
        self, rgb: OneStream, flow: OneStream, weights: Sequence[float], scores: str = "logits"
    ) -> None:
        super().__init__()
        self.rgb = rgb
        self.flow = flow
        self.weights = list(weights)
        self.scores = scores

    def forward(
        self,
        slow: Tensor | None = None,
        fast: Tensor | None = None,
        rois: Tensor | None = None,
        flow: Tensor | None = None,
    ) -> Tensor:
        """Scores the boxes, or the clips, of a batch; arguments and result as `ActionDetector`."""
        streams = self.rgb(slow, fast, rois), self.flow(None, None, rois, flow)
        return join_logits(streams, self.weights, self.scores)

    def compute_features(
        self,
        slow: Tensor | None = None,
        fast: Tensor | None = None,
        rois: Tensor | None = None,
        flow: Tensor | None = None,
    ) -> Tensor:
        """Computes the inputs of both heads' linear layers, side by side: float32 [K, D + D'].

        The arguments are those of `forward`, for detectors.
        """
        assert isinstance(self.rgb, ActionDetector)
        assert isinstance(self.flow, ActionDetector)
        of_rgb = self.rgb.compute_features(slow, fast, rois)
        return torch.cat([of_rgb, self.flow.compute_features(None, None, rois, flow)], dim=1)


class TwoStreamBackbone(Backbone):
    """Averages the feature maps of a backbone of RGB and one of flow.

    Args:
        rgb: Reads slow and fast.
        flow: Reads flow; its maps have the channels and the stride of RGB's.
        weights: Of both in the mean.

    Raises:
        ValueError: The maps differ.
    """

    def __init__(self, rgb: Backbone, flow: Backbone, weights: Sequence[float]) -> None:
        super().__init__()
        facts = [
            f"channels {one.out_channels} of stride {one.feature_stride}" for one in (rgb, flow)
        ]
        if facts[0] != facts[1]:
            raise ValueError(
                "expected feature maps of the same channels and stride to take their mean, "
                f"RGB has {facts[0]}, flow {facts[1]}"
            )
        self.rgb = rgb
        self.flow = flow
        self.weights = [weight / sum(weights) for weight in weights]
        self.out_channels = rgb.out_channels
        self.feature_stride = rgb.feature_stride
        self.pool_window = rgb.pool_window
        self.norm_in_head = rgb.norm_in_head

    def forward(
        self, slow: Tensor | None = None, fast: Tensor | None = None, flow: Tensor | None = None
    ) -> list[Tensor]:
        """Computes the mean of both streams' maps; arguments and result as `Backbone`.

        Raises:
            ValueError: A clip is missing, or the maps have other numbers of frames.
        """
        of_rgb = self.rgb(slow, fast)
        of_flow = self.flow(None, None, flow)
        for one, other in zip(of_rgb, of_flow, strict=True):
            if one.shape[2] != other.shape[2]:
                raise ValueError(
                    f"the feature maps of RGB have {one.shape[2]} frames, those of flow "
                    f"{other.shape[2]}, expected as many to take their mean"
                )
        return [
            self.weights[0] * one + self.weights[1] * other
            for one, other in zip(of_rgb, of_flow, strict=True)
        ]


def join_logits(streams: Sequence[Tensor], weights: Sequence[float], scores: str) -> Tensor:
    """Joins the logits of several networks into logits of their joint scores.

    Args:
        streams: Float [N, C] of each network.
        weights: Of each network.
        scores: `logits`: their weighted sum. `softmax`, `sigmoid`: the weighted mean of these
            scores; it is returned as the logits of which it is the softmax, or the sigmoid.

    Returns:
        Float [N, C].
    """
    if scores == "logits":
        return torch.stack([w * one for w, one in zip(weights, streams, strict=True)]).sum(dim=0)
    shares = [torch.tensor(weight / sum(weights)).log().item() for weight in weights]

    def mean_log(logs: Sequence[Tensor]) -> Tensor:
        """Returns the logarithm of the weighted mean of what the logarithms are of."""
        shifted = [share + log for share, log in zip(shares, logs, strict=True)]
        return torch.stack(shifted).logsumexp(dim=0)

    if scores == "softmax":
        return mean_log([F.log_softmax(one, dim=1) for one in streams])
    of_action = mean_log([F.logsigmoid(one) for one in streams])
    return of_action - mean_log([F.logsigmoid(-one) for one in streams])


def view_stream(model: nn.Module, name: str) -> nn.Module:
    """Returns one stream of a network with the names that it has alone: `backbone.*`, `head.*`.

    Its parameters are those of `model`, so that loading weights into it loads them there.

    Args:
        model: Of `build_model`.
        name: rgb or flow.
    """
    if isinstance(model, TwoStream):
        stream: nn.Module = getattr(model, name)
        return stream
    assert isinstance(model, ActionDetector | ActionClassifier)
    assert isinstance(model.backbone, TwoStreamBackbone)
    return type(model)(getattr(model.backbone, name), model.head)  # type: ignore[arg-type]
