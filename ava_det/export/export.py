"""Exports a network to a file, which is compared with the network before it gets its name.

The exported graph takes any number of clips and boxes, none included, and any height and width;
RoIAlign is part of it.
"""

from __future__ import annotations

import ast
import copy
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ava_det.choices import EXPORT_FORMATS
from ava_det.export.runtimes import FACTS, import_extra, load_exported
from ava_det.files import atomic_path

# of logits in fp32; of scores 0..1 where weights are stored in 16 bits
TOLERANCES = {"fp32": 1e-4, "fp16": 0.006}
DYNAMIC = {
    "slow": {0: "batch", 3: "height", 4: "width"},
    "fast": {0: "batch", 3: "height", 4: "width"},
    "flow": {0: "batch", 3: "height", 4: "width"},
    "rois": {0: "boxes"},
    "long_term": {0: "batch"},
}

Inputs = Mapping[str, Tensor]
Score = Callable[[Tensor], Tensor]


def export_model(
    model: nn.Module,
    checks: Sequence[Inputs],
    path: str | Path,
    file_format: str,
    precision: str,
    facts: Mapping[str, Any],
    score: Score = torch.sigmoid,
) -> float:
    """Writes a network to a file, if the file gives the same outputs.

    Args:
        model: A network of `build_model`, on the CPU.
        checks: Inputs by name, those that the network reads; the graph is traced with the first.
        path: The file; OpenVINO's .bin file is written beside it.
        file_format: A key of `EXPORT_FORMATS`.
        precision: Of the stored weights, fp32 or fp16.
        facts: JSON values that are kept in the file.
        score: Logits [N, C] -> the scores 0..1 that the network is used for.

    Returns:
        The largest difference between outputs of the file and of the network, see `TOLERANCES`.

    Raises:
        ValueError: The file's outputs differ from the network's on any of `checks`, or an extra is
            not installed; `path` is left as it was.
    """
    import_extra("onnxruntime" if file_format == "onnx" else "openvino", file_format)
    path = Path(path)
    half = precision == "fp16"
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / f"model{EXPORT_FORMATS[file_format]}"
        onnx_file = written.with_suffix(".onnx")
        _write_onnx(model, checks[0], onnx_file, half and file_format == "onnx", facts, file_format)
        if file_format == "openvino":
            _write_openvino(onnx_file, written, half, facts)
        difference = _compare(model, checks, written, file_format, precision, score)
        copy_whole(written, path, file_format)
    return difference


def copy_whole(source: Path, target: Path, file_format: str) -> None:
    """Copies an exported file, OpenVINO's .bin first; each gets its name when it is whole."""
    files = [(source, target)]
    if file_format == "openvino":
        files.insert(0, (source.with_suffix(".bin"), target.with_suffix(".bin")))
    for written, path in files:
        with atomic_path(path) as temporary:
            shutil.copyfile(written, temporary)


class _Traced(nn.Module):
    """Wraps the network for tracing: a backbone of half precision, the head in float32."""

    def __init__(self, model: nn.Module, half: bool) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval()
        self.dtype = torch.float16 if half else torch.float32
        for name, module in self.model.named_modules():
            if name in ("backbone", "rgb.backbone", "flow.backbone"):
                module.to(self.dtype)

    def forward(
        self,
        slow: Tensor | None = None,
        fast: Tensor | None = None,
        rois: Tensor | None = None,
        flow: Tensor | None = None,
        long_term: Tensor | None = None,
    ) -> Tensor:
        """Casts the clips to the backbone's precision and runs the network."""
        slow, fast, flow = (
            None if clip is None else clip.to(self.dtype) for clip in (slow, fast, flow)
        )
        also = {"flow": flow, "long_term": long_term}
        read = {name: value for name, value in also.items() if value is not None}
        output: Tensor = self.model(slow, fast, rois, **read)
        return output


def _write_onnx(
    model: nn.Module, inputs: Inputs, path: Path, half: bool, facts: Mapping[str, Any], extra: str
) -> None:
    import_extra("onnxscript", extra)
    with warnings.catch_warnings():  # of torch's exporter, about itself
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Traced(model, half),
            (),
            kwargs=dict(inputs),
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_shapes={name: DYNAMIC[name] for name in inputs},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    _name_nodes(program.model.graph)
    program.model.metadata_props[FACTS] = json.dumps(facts)
    program.save(str(path))


def _name_nodes(graph: Any) -> None:
    """Puts a module's name before those of its nodes, such as backbone.slow.stem.bn/node_Conv_1.

    Args:
        graph: Of torch's exporter, whose newer versions say at each node which module it is of.
    """
    for node in graph:
        scopes = ast.literal_eval(node.metadata_props.get("pkg.torch.onnx.name_scopes", "[]"))
        if len(scopes) > 1:  # the last one is the node itself
            node.name = f"{scopes[-2].removeprefix('model.')}/{node.name}"


def _write_openvino(source: Path, path: Path, half: bool, facts: Mapping[str, Any]) -> None:
    openvino = import_extra("openvino", "openvino")
    # not convert_model, which tells OpenVINO's makers over the network that it was used
    network = openvino.Core().read_model(str(source))
    network.set_rt_info(json.dumps(facts), [FACTS])
    openvino.save_model(network, str(path), compress_to_fp16=half)


def _compare(
    model: nn.Module,
    checks: Sequence[Inputs],
    path: Path,
    runtime: str,
    precision: str,
    score: Score,
) -> float:
    """Computes the largest difference of logits (fp32) or of scores (fp16).

    Raises:
        ValueError: It is larger than `TOLERANCES` allows.
    """
    exported = load_exported(path, runtime, torch.device("cpu"))
    plain = copy.deepcopy(model).eval()
    largest = 0.0
    for inputs in checks:
        with torch.inference_mode():
            pair = [network(**inputs) for network in (plain, exported)]
        expected, received = pair if precision == "fp32" else map(score, pair)
        if received.shape != expected.shape:
            raise ValueError(
                f"export: expected outputs {list(expected.shape)}, the file gives "
                f"{list(received.shape)}"
            )
        difference = float((received - expected).abs().max()) if expected.numel() else 0.0
        if not difference <= TOLERANCES[precision]:
            sizes = ", ".join(f"{name} {list(value.shape)}" for name, value in inputs.items())
            raise ValueError(
                f"export: expected outputs within {TOLERANCES[precision]:g} of the network's, "
                "found a difference of "
                f"{difference:.2g} ({sizes}); nothing was written"
            )
        largest = max(largest, difference)
    return largest
