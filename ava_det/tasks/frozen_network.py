"""Loads a network that is not trained further, and scores boxes by the features it computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ava_det.config import Config, ConfigError
from ava_det.inference.stream_weights import load_streams
from ava_det.models.action_detector import ActionDetector
from ava_det.models.build import build_model
from ava_det.models.roi_head import RoIHead
from ava_det.models.two_stream import TwoStream, join_logits
from ava_det.structures import Keyframe


def load_frozen(config: Config, allow_missing: Sequence[str] = ()) -> ActionDetector | TwoStream:
    """Builds the config's network with its `weights`, which scores persons and reads no bank.

    Args:
        config: Of the network.
        allow_missing: Prefixes of the names that the weights may lack or have in other shapes, as
            for `load_streams`.

    Raises:
        ConfigError: The network's head does not score persons with a sigmoid for each action, or
            reads a bank, or there are no weights.
    """
    if not config.model.multilabel:
        raise ConfigError("model.multilabel: expected true, a sigmoid for each action")
    if config.model.head != "roi":
        raise ConfigError(
            f"model.head: expected roi, which scores each person, received {config.model.head!r}"
        )
    if config.model.long_term.is_used:
        raise ConfigError(
            "model.long_term: expected operator none, features of boxes are computed without a bank"
        )
    if config.weights is None:
        raise ConfigError(
            "weights: expected the trained network, a file or a name of the model zoo"
        )
    model = build_model(config)
    assert isinstance(model, ActionDetector | TwoStream)
    load_streams(model, config.weights, config.flow_weights, allow_missing)
    return model.eval()


def join_labels(keyframes: Sequence[Keyframe]) -> Tensor:
    """Joins the labels of the boxes of several keyframes, float32 [N, C]."""
    return torch.cat([keyframe.labels for keyframe in keyframes if keyframe.labels is not None])


def list_heads(model: ActionDetector | TwoStream) -> list[RoIHead]:
    """Lists the heads to fit: one, or two of a network that joins the scores of two streams."""
    streams = [model.rgb, model.flow] if isinstance(model, TwoStream) else [model]
    return [stream.head for stream in streams if isinstance(stream, ActionDetector)]


@torch.inference_mode()
def score_features(model: ActionDetector | TwoStream, features: Tensor) -> Tensor:
    """Scores boxes by their features, float32 [N, F], as the whole network would: [N, C]."""
    heads = list_heads(model)
    parts = features.split([head.num_features for head in heads], dim=1)
    logits = [head.classify(part) for head, part in zip(heads, parts, strict=True)]
    if isinstance(model, TwoStream):
        return join_logits(logits, model.weights, model.scores).sigmoid()
    return logits[0].sigmoid()
