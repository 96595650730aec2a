"""Loads weights of any publisher into a model, with a report of every key."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ava_det.checkpoint.architecture import compare_networks, name_family
from ava_det.checkpoint.files import WeightsError, read_file
from ava_det.checkpoint.modality import spread_rgb
from ava_det.checkpoint.names import SOURCES
from ava_det.checkpoint.state_dict import AVERAGES, StateDict, find_state_dict
from ava_det.checkpoint.zoo import resolve_weights

logger = logging.getLogger("ava_det")


@dataclass
class WeightsReport:
    """Reports what became of every parameter and buffer, under our names.

    Attributes:
        source: Who wrote the file, one of `names.SOURCES`.
        loaded: In the file and now in the model.
        missing: Only in the model.
        unexpected: Only in the file.
        wrong_shape: In both, with shapes that do not fit.
        shapes: Name -> both shapes, for the entries of `wrong_shape`.
        place: The container and prefix the entries were found in.
        beside: Entries there that belong to something else.
        fixed_norms: Whether the file has no statistics of norms: 0 and 1 were taken.
        spread_channels: Channels of flow that the first convolutions of an RGB network were spread
            over; None where they were not.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    wrong_shape: list[str] = field(default_factory=list)
    shapes: dict[str, str] = field(default_factory=dict)
    place: str = ""
    beside: list[str] = field(default_factory=list)
    fixed_norms: bool = False
    spread_channels: int | None = None

    def __str__(self) -> str:
        problems = [*self.missing, *self.unexpected, *self.wrong_shape]
        parts = [f"{len(self.loaded)} entries loaded, {self.source} names"]
        if "behind" in self.place or any(f"{key!r}" in self.place for key in AVERAGES):
            parts[0] += f", from {self.place}"
        if self.fixed_norms:
            parts.append("its norms have no statistics and stay as they are (mean 0, variance 1)")
        if self.spread_channels is not None:
            parts.append(
                f"each of {self.spread_channels} channels of flow has the mean of its first "
                "kernels of R, G and B"
            )
        if self.beside:
            parts.append(f"{len(self.beside)} entries beside them left out: {_quote(self.beside)}")
        if problems:
            parts.append(self.explain(problems))
        return "; ".join(parts)

    def explain(self, names: Sequence[str]) -> str:
        """Says which of `names` did not fit, by kind of misfit, the first few with shapes."""
        wanted = set(names)
        parts = []
        for kind, text in (
            (self.missing, "missing from the file"),
            (self.unexpected, "in the file but not in the model"),
            (self.wrong_shape, "of another shape"),
        ):
            shown = [
                f"{name} {self.shapes.get(name, '')}".rstrip() for name in kind if name in wanted
            ]
            if shown:
                parts.append(f"{len(shown)} entries {text}: {_quote(shown)}")
        return "; ".join(parts)


def load_checkpoint(file: str | Path) -> dict[str, Any]:
    """Reads what a weights file holds, under its authors' names; nothing in it is executed.

    Args:
        file: A path, or a name of the model zoo.

    Returns:
        The file's dictionary, its tensors on the CPU; for our files {"model", "config", ...}.

    Raises:
        WeightsError: The file is missing, foreign, truncated or unsafe.
    """
    return read_file(resolve_weights(file))


def load_weights(
    model: nn.Module,
    file: str | Path,
    allow_missing: Sequence[str] = (),
    *,
    across_modalities: bool = False,
) -> WeightsReport:
    """Copies the weights of a file into a model, or changes nothing and raises.

    Entries may lie in any container and behind any prefix, as training frameworks leave them; see
    `find_state_dict`.

    Args:
        model: The model.
        file: A path, or a name of the model zoo; any format `read_file` knows, with our names or
            those of PySlowFast, pytorchvideo, MMAction2, Caffe2, Detectron2 or a 2D ImageNet ResNet
            (inflated over time).
        allow_missing: Prefixes of our names that may be missing, unexpected or of another shape,
            such as ("head",) when a Kinetics checkpoint initializes a detector.
        across_modalities: Whether a network of RGB may begin one of optical flow, see `spread_rgb`.

    Raises:
        WeightsError: Entries do not fit (the message has the first of them and what network the
            file is of), or one holds NaN or infinity, or the file cannot be read.
    """
    state_dict = find_weights(file, load_checkpoint(file))
    return copy_weights(model, state_dict, file, allow_missing, across_modalities)


def find_weights(file: str | Path, content: Mapping[str, Any]) -> StateDict:
    """Finds the state dict in the content of a file.

    Args:
        file: Its name, for messages.
        content: What `load_checkpoint` returns.

    Raises:
        WeightsError: There is none; the message begins with the file's name.
    """
    try:
        state_dict = find_state_dict(content)
    except ValueError as error:
        raise WeightsError(f"{file}: {error}") from None
    if state_dict.average:
        logger.warning(
            f"{file}: the weights of {state_dict.place or 'its entries'} are taken, not their "
            f"average over training ({state_dict.average!r}): save that alone to use it"
        )
    return state_dict


def copy_weights(
    model: nn.Module,
    state_dict: StateDict,
    file: str | Path,
    allow_missing: Sequence[str] = (),
    across_modalities: bool = False,
) -> WeightsReport:
    """Copies what `find_weights` found into a model: the second half of `load_weights`.

    Args:
        model: The model.
        state_dict: The entries.
        file: Their file's name, for messages.
        allow_missing: As in `load_weights`.
        across_modalities: As in `load_weights`.

    Raises:
        WeightsError: Entries do not fit; the model is unchanged.
    """
    targets = model.state_dict()
    tensors, channels = state_dict.tensors, None
    if across_modalities:
        tensors, channels = spread_rgb(tensors, targets)
    fitted, report = _match(tensors, targets, state_dict.source)
    report.spread_channels = channels
    report.place = state_dict.place
    report.beside = state_dict.beside
    report.fixed_norms = state_dict.fixed_norms
    if "head" in allow_missing and "head.norm.weight" in state_dict.tensors:
        # a classifier's norm follows the mean over all tokens; the detector's own starts anew
        allow_missing = (*allow_missing, "backbone.norm")
    problems = [
        name
        for name in (*report.missing, *report.unexpected, *report.wrong_shape)
        if not any(
            name == prefix or name.startswith(f"{prefix.rstrip('.')}.") for prefix in allow_missing
        )
    ]
    if problems:
        raise WeightsError(_describe_misfit(report, state_dict, targets, file, problems))
    if state_dict.fixed_norms and _compares_all_frames(model):
        logger.warning(
            f"{file}: its norms have no statistics, as those of networks whose non-local blocks of "
            "res3 compare 4 frames at a time; here they compare all, and scores differ: set "
            "model.nl_i3d.res3_group_frames=4"
        )
    with torch.no_grad():
        for name, tensor in fitted.items():
            targets[name].copy_(tensor)
    return report


def _compares_all_frames(model: nn.Module) -> bool:
    """Returns whether non-local blocks of res3 compare the positions of all frames."""
    block = re.compile(r".*\bres3\.non_local\.\d+")
    return any(
        block.fullmatch(name) and getattr(module, "group_frames", None) is None
        for name, module in model.named_modules()
    )


def _describe_misfit(
    report: WeightsReport,
    state_dict: StateDict,
    targets: Mapping[str, Tensor],
    file: str | Path,
    problems: Sequence[str],
) -> str:
    """Says why a file does not fit: what network it is of, then the first entries."""
    reasons = compare_networks(state_dict.tensors, targets)
    if not report.loaded and not reasons:
        family = name_family([*state_dict.tensors, *state_dict.beside])
        network = f"has the names of {family}" if family else "has names of no known network"
        readable = f"networks as {', '.join(SOURCES)} name them, see MODEL_ZOO.md"
        reasons = f"it {network}; read are {readable}"
    place = f", entries of {report.place}," if report.place else ""
    reasons = f" ({reasons})" if reasons else ""
    return f"{file}{place} does not fit the model{reasons}: {report.explain(problems)}"


def _quote(names: Sequence[str], limit: int = 4) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _match(
    tensors: Mapping[str, Tensor], targets: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], WeightsReport]:
    """Fits a file's entries to a model's, and reports each."""
    report = WeightsReport(source)
    fitted = {}
    has_background = source == "mmaction2" and _has_background(tensors, targets)
    for name, target in targets.items():
        if name not in tensors:
            # A count that only matters to BN without momentum and a table that is computed, which
            # some formats do not carry.
            if not name.endswith((".num_batches_tracked", ".position_table")):
                report.missing.append(name)
            continue
        drops = has_background and name.startswith("head.projection.")
        tensor = _fit(tensors[name][1:] if drops else tensors[name], target)
        if tensor is None:
            report.wrong_shape.append(name)
            drop = (
                f" whose row 0 is the background: model.num_classes={len(tensors[name]) - 1}"
                if drops
                else ""
            )
            report.shapes[name] = (
                f"(file {list(tensors[name].shape)}{drop}, model {list(target.shape)})"
            )
        else:
            report.loaded.append(name)
            fitted[name] = tensor
    report.unexpected = [name for name in tensors if name not in targets]
    return fitted, report


def _has_background(tensors: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> bool:
    """Returns whether row 0 of MMAction2's head is its background class, which is no action.

    Its detectors have one row more than there are actions. The loss leaves the row out, so that its
    bias stays at the initial 0: that distinguishes it from an action where the model has as many
    classes as the head has rows.
    """
    bias, target = (entries.get("head.projection.bias") for entries in (tensors, targets))
    if bias is None or target is None or not len(bias):
        return False
    return len(bias) == len(target) + 1 or bool(bias[0] == 0 and (bias[1:] != 0).any())


def _fit(tensor: Tensor, target: Tensor) -> Tensor | None:
    """Returns the tensor in the target's shape, or None if it does not fit.

    2D convolutions are inflated over time; trailing dimensions of size one are added or removed (a
    linear layer stored as a convolution).
    """
    if tensor.shape == target.shape:
        return tensor
    if (
        tensor.ndim == 4
        and target.ndim == 5
        and tensor.shape == target.shape[:2] + target.shape[3:]
    ):
        frames = target.shape[2]
        return tensor.unsqueeze(2).expand(target.shape) / frames
    if _without_trailing_ones(tensor) == _without_trailing_ones(target):
        return tensor.reshape(target.shape)
    return None


def _without_trailing_ones(tensor: Tensor) -> list[int]:
    shape = list(tensor.shape)
    while shape and shape[-1] == 1:
        shape.pop()
    return shape
