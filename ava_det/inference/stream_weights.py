"""Loads the weights of a network of one or two streams, each stream from its own file if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from ava_det.checkpoint import (
    WeightsError,
    WeightsReport,
    copy_weights,
    find_weights,
    load_checkpoint,
)
from ava_det.checkpoint.state_dict import StateDict
from ava_det.checkpoint.two_streams import STREAMS, split_streams
from ava_det.models.two_stream import TwoStream, TwoStreamBackbone, view_stream


class LoadedWeights(NamedTuple):
    """Describes what was loaded from a file.

    Attributes:
        file: A path, or a name of the model zoo.
        stream: Into which stream, rgb or flow; empty for a network of one.
        content: Of the file.
        report: What became of its entries.
    """

    file: str | Path
    stream: str
    content: Mapping[str, Any]
    report: WeightsReport

    def __str__(self) -> str:
        stream = f", {self.stream}" if self.stream else ""
        return f"{self.file}{stream}: {self.report}"


def load_streams(
    model: nn.Module,
    weights: str | Path | None,
    flow_weights: str | Path | None = None,
    allow_missing: Sequence[str] = (),
    across_modalities: bool = False,
) -> list[LoadedWeights]:
    """Loads weights into a network of one or two streams.

    Args:
        model: Of `build_model`.
        weights: A path or a name of the model zoo: of the network, or of the stream of RGB.
        flow_weights: Those of the stream of optical flow, if `weights` are of RGB's alone.
        allow_missing: Prefixes of the names of one stream, as in `load_weights`. Where there are
            any, a whole stream may have no weights too.
        across_modalities: Whether weights of RGB may begin a stream of optical flow.

    Returns:
        What was loaded, file by file.

    Raises:
        WeightsError: Entries do not fit, a stream has no weights, or two files have some for one.
    """
    if not _has_two_streams(model):
        if weights is None:
            return []
        whole = load_checkpoint(weights)
        state = find_weights(weights, whole)
        allowed = _allow_left_out(model, allow_missing)
        report = copy_weights(model, state, weights, allowed, across_modalities)
        return [LoadedWeights(weights, "", whole, report)]
    found = _find_streams(weights, flow_weights)
    lacking = [stream for stream in STREAMS if stream not in found]
    if lacking and not allow_missing:
        raise WeightsError(
            f"{weights}: expected weights of both streams, found none of {lacking[0]}; "
            "`ava-det convert --flow-weights FILE` joins a file of each"
        )
    loaded = []
    for stream, (file, content, state) in found.items():
        part = view_stream(model, stream)
        allowed = _allow_left_out(part, allow_missing)
        if stream == "flow" and not isinstance(model, TwoStream):  # the head is loaded with RGB's
            part = nn.ModuleDict({"backbone": part.get_submodule("backbone")})
            own = {name: t for name, t in state.tensors.items() if name.startswith("backbone.")}
            state = state._replace(tensors=own)
        across = across_modalities and stream == "flow"
        report = copy_weights(part, state, file, allowed, across)
        loaded.append(LoadedWeights(file, stream, content, report))
    return loaded


def _find_streams(
    weights: str | Path | None, flow_weights: str | Path | None
) -> dict[str, tuple[str | Path, Mapping[str, Any], StateDict]]:
    """Returns rgb, flow or both -> the file, its content, and its entries of that stream."""
    found: dict[str, tuple[str | Path, Mapping[str, Any], StateDict]] = {}
    for stream, file in zip(STREAMS, (weights, flow_weights), strict=True):
        if file is None:
            continue
        content = load_checkpoint(file)
        state = find_weights(file, content)
        parts = split_streams(state.tensors)
        if parts and flow_weights is not None:
            raise WeightsError(f"{file}: has both streams, expected no flow_weights beside it")
        for name, tensors in (parts or {stream: state.tensors}).items():
            found[name] = (file, content, state._replace(tensors=tensors))
    return found


def _has_two_streams(model: nn.Module) -> bool:
    return isinstance(model, TwoStream) or isinstance(model.backbone, TwoStreamBackbone)


def _allow_left_out(model: nn.Module, allow_missing: Sequence[str]) -> Sequence[str]:
    """Adds what a backbone leaves out for boxes, where a head may be missing too."""
    left_out = getattr(model.backbone, "left_out", ()) if allow_missing else ()
    return (*allow_missing, *(f"backbone.{name}" for name in left_out))
