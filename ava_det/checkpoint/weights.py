"""Loading weights into a model, whoever published them, with a report of every key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ava_det.checkpoint.files import WeightsError, read_file
from ava_det.checkpoint.names import blobs_to_tensors, detect_source, translate
from ava_det.checkpoint.zoo import resolve_weights


@dataclass
class WeightsReport:
    """What became of every parameter and buffer, under our names.

    source: who wrote the file (`names.SOURCES`). loaded: in the file and now in the model. missing:
    only in the model. unexpected: only in the file. wrong_shape: in both, with shapes that do not
    fit; `shapes` shows them.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    wrong_shape: list[str] = field(default_factory=list)
    shapes: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        problems = [*self.missing, *self.unexpected, *self.wrong_shape]
        loaded = f"{len(self.loaded)} entries loaded, {self.source} names"
        return f"{loaded}; {self.explain(problems)}" if problems else loaded

    def explain(self, names: Sequence[str]) -> str:
        """Those of `names` that did not fit, by kind of misfit, with shapes."""
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
                parts.append(f"{len(shown)} entries {text}: {', '.join(shown)}")
        return "; ".join(parts)


def load_checkpoint(file: str | Path) -> dict[str, Any]:
    """What a weights file holds, under its authors' names and on the CPU; for ours {"model",
    "config", ...}.

    file: a path, or a name of the model zoo. Nothing in it is executed. Raises WeightsError in one
    sentence for a missing, foreign, truncated or unsafe file.
    """
    return read_file(resolve_weights(file))


def load_weights(
    model: nn.Module, file: str | Path, allow_missing: Sequence[str] = ()
) -> WeightsReport:
    """Copies the weights in `file` into `model`, or changes nothing and raises.

    file: a path, or a name of the model zoo; any format `read_file` knows, holding our names or
    those of PySlowFast, pytorchvideo, MMAction2, Caffe2, Detectron2 or a 2D ImageNet ResNet
    (inflated over time). allow_missing: prefixes of our names that may be missing, unexpected or of
    another shape, such as ("head",) when a Kinetics checkpoint initialises a detector. Raises
    WeightsError naming every entry that does not fit, in one sentence.
    """
    content = load_checkpoint(file)
    try:
        tensors, source = find_tensors(content)
    except ValueError as error:
        raise WeightsError(f"{file}: {error}") from None
    return copy_weights(model, tensors, source, file, allow_missing)


def copy_weights(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    source: str,
    file: str | Path,
    allow_missing: Sequence[str] = (),
) -> WeightsReport:
    """The second half of `load_weights`: what `find_tensors` found goes into `model`; `file` is for
    the message.
    """
    targets = model.state_dict()
    fitted, report = _match(tensors, targets, source)
    problems = [
        name
        for name in (*report.missing, *report.unexpected, *report.wrong_shape)
        if not any(
            name == prefix or name.startswith(f"{prefix.rstrip('.')}.") for prefix in allow_missing
        )
    ]
    if problems:
        hint = _depth_hint(tensors, targets)
        raise WeightsError(f"{file} does not fit the model{hint}: {report.explain(problems)}")
    with torch.no_grad():
        for name, tensor in fitted.items():
            targets[name].copy_(tensor)
    return report


def find_tensors(content: Mapping[str, Any]) -> tuple[dict[str, Tensor], str]:
    """The state dict inside a file's content under our names, and who wrote it.

    Raises ValueError if the content holds no state dict.
    """
    if isinstance(content.get("blobs"), Mapping):
        tensors = blobs_to_tensors(content["blobs"])
    else:
        inner = next(
            (content[key] for key in _CONTAINERS if isinstance(content.get(key), Mapping)), content
        )
        tensors = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
        tensors |= blobs_to_tensors(inner)  # Detectron2's zoo keeps NumPy arrays
    if not tensors:
        raise ValueError("no weights inside, expected a state dict of tensors")
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    source = detect_source(tensors)
    return translate(tensors, source), source


def _match(
    tensors: Mapping[str, Tensor], targets: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], WeightsReport]:
    report = WeightsReport(source)
    fitted = {}
    for name, target in targets.items():
        if name not in tensors:
            # A count that only matters to BN without momentum, and that some formats do not carry.
            if not name.endswith(".num_batches_tracked"):
                report.missing.append(name)
            continue
        tensor = _fit(
            tensors[name],
            target,
            drop_background=source == "mmaction2" and name.startswith("head.projection."),
        )
        if tensor is None:
            report.wrong_shape.append(name)
            report.shapes[name] = f"(file {list(tensors[name].shape)}, model {list(target.shape)})"
        else:
            report.loaded.append(name)
            fitted[name] = tensor
    report.unexpected = [name for name in tensors if name not in targets]
    return fitted, report


def _fit(tensor: Tensor, target: Tensor, *, drop_background: bool) -> Tensor | None:
    """The tensor in the target's shape, or None if it does not fit.

    2D convolutions are inflated over time; trailing dimensions of size one come and go (a linear
    layer stored as a convolution); MMAction2's class 0, its background, is dropped where the model
    has one class less.
    """
    if drop_background and len(tensor) == len(target) + 1:
        tensor = tensor[1:]
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


def _depth_hint(tensors: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> str:
    """The usual reason for hundreds of misfits: a network of another depth."""

    def num_blocks(names: Mapping[str, Tensor]) -> int:
        return 1 + max(
            (int(m[1]) for name in names if (m := re.search(r"\.res4\.blocks\.(\d+)\.", name))),
            default=-1,
        )

    ours = num_blocks(targets)
    theirs = num_blocks(tensors)
    return (
        f" (res4 has {theirs} blocks in the file and {ours} in the model)"
        if 0 < theirs != ours
        else ""
    )


def _without_trailing_ones(tensor: Tensor) -> list[int]:
    shape = list(tensor.shape)
    while shape and shape[-1] == 1:
        shape.pop()
    return shape


_CONTAINERS = ("model", "model_state", "state_dict", "model_state_dict")
