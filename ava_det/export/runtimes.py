"""Runs exported networks in the same way as the networks they were exported from.

Beside the network a file carries facts, as JSON under the key `ava_det`: the config it was built
from (which has the frame grid, mean and std its clips must have) and the label map.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ava_det.device.precision import resolve_precision, warn_of_fixed_precision
from ava_det.export.finite import require_finite_onnx, require_finite_openvino

FACTS = "ava_det"
# the least extent of a box that rounding leaves, as a share of its coordinates
SPACINGS = {"fp32": 2.0**-13, "bf16": 2.0**-7, "fp16": 2.0**-10}
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}  # OpenVINO's names
OPENVINO_FILE = "OpenVINO's .xml file, with its .bin beside it,"


_MISSING = {"rois": "rois are", "long_term": "bank, long_term, is"}
Run = Callable[[dict[str, np.ndarray]], np.ndarray]
Shapes = dict[str, list[int | None]]


class ExportedModel(nn.Module):
    """Runs a network in another runtime.

    Args:
        run: A function from arrays by name to logits.
        shapes: Of the inputs that the network reads; None where any size fits.
        facts: What the file says of itself.
    """

    def __init__(self, run: Run, shapes: Shapes, facts: Mapping[str, Any]) -> None:
        super().__init__()
        self._run = run
        self._shapes = shapes
        self.facts = dict(facts)

    def forward(
        self,
        slow: Tensor | None = None,
        fast: Tensor | None = None,
        rois: Tensor | None = None,
        flow: Tensor | None = None,
        long_term: Tensor | None = None,
    ) -> Tensor:
        """Computes logits as `ActionDetector` or `ActionClassifier` does.

        Args:
            slow: Clips [B, 3, frames, H, W] of the Slow pathway, if the network has one.
            fast: Clips [B, 3, frames, H, W] of the Fast pathway, if the network has one.
            rois: Boxes [K, 5] = (clip index, x1, y1, x2, y2) in clip pixels, for a detector.
            flow: Clips [B, 2 * L, frames, H, W] of optical flow, if the network reads it.
            long_term: The bank around each clip [B, L, D], for a head that reads one.

        Returns:
            Logits, float32, on the device of the inputs.

        Raises:
            ValueError: An input is missing or has a shape that the network was not exported for.
        """
        clips = {"slow": slow, "fast": fast, "flow": flow}
        inputs = {**clips, "rois": rois, "long_term": long_term}
        arrays = {
            name: _to_array(name, inputs[name], shape) for name, shape in self._shapes.items()
        }
        device = next(value.device for value in inputs.values() if value is not None)
        return torch.from_numpy(self._run(arrays)).float().to(device)


def read_facts(path: str | Path, runtime: str) -> dict[str, Any]:
    """Reads what a file of `export_model` says of itself: its config, label map and thresholds.

    Raises:
        ValueError: As in `load_exported`.
    """
    _require_file(path, runtime)
    if runtime == "openvino":
        return _read_openvino(path)[1]
    onnxruntime = import_extra("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    # the session only reads facts: optimizing the graph would be wasted time
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _open_onnx(path, options, [])[1]


def load_exported(
    path: str | Path, runtime: str, device: torch.device, precision: str = "fp32"
) -> ExportedModel:
    """Loads a file of `export_model`.

    ONNX runs at the file's own precision, which is said where another is asked for. It runs on CUDA
    where the installed onnxruntime has it and `device` asks for it. OpenVINO runs on the CPU.

    Args:
        path: The file.
        runtime: One of `EXPORT_FORMATS`.
        device: Where the network should run.
        precision: Of OpenVINO's arithmetic: fp32, bf16 or fp16 where the CPU computes it natively,
            or auto; see `choose_precision`.

    Raises:
        ValueError: An extra is not installed, or the file is not one of ours.
    """
    _require_file(path, runtime)
    if runtime == "openvino":
        return _load_openvino(path, precision)
    model = _load_onnx(path, device)
    warn_of_fixed_precision(precision, device, model.facts.get("precision", "fp32"))
    return model


def _require_file(path: str | Path, runtime: str) -> None:
    if not Path(path).is_file():
        raise ValueError(
            f"{path}: no such file, expected one written by ava-det export --format {runtime}"
        )


def _load_onnx(path: str | Path, device: torch.device) -> ExportedModel:
    onnxruntime = import_extra("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    session, facts = _open_onnx(path, options, providers)
    require_finite_onnx(path)
    shapes = {
        item.name: [n if isinstance(n, int) else None for n in item.shape]
        for item in session.get_inputs()
    }
    return ExportedModel(lambda arrays: session.run(None, arrays)[0], shapes, facts)


def _open_onnx(path: str | Path, options: Any, providers: list[str]) -> tuple[Any, dict[str, Any]]:
    """Opens an ONNX file on these providers or the CPU: a session of onnxruntime, and the facts."""
    onnxruntime = import_extra("onnxruntime", "onnx")
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=[*providers, "CPUExecutionProvider"]
        )
    except Exception as error:  # its errors share no base class
        raise _not_ours(path, "an ONNX file", error) from None
    return session, _parse_facts(path, session.get_modelmeta().custom_metadata_map.get(FACTS))


def _load_openvino(path: str | Path, precision: str) -> ExportedModel:
    network, facts = _read_openvino(path)
    precision = resolve_precision(precision, torch.device("cpu"))
    hints = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    try:
        compiled = import_extra("openvino", "openvino").Core().compile_model(network, "CPU", hints)
    except RuntimeError as error:
        raise _not_ours(path, OPENVINO_FILE, error) from None
    require_finite_openvino(path, network)
    shapes = {
        item.any_name: [
            size.get_length() if size.is_static else None for size in item.partial_shape
        ]
        for item in compiled.inputs
    }
    spacing = SPACINGS[precision]

    def run(arrays: dict[str, np.ndarray]) -> np.ndarray:
        rois = arrays.get("rois")
        if rois is not None:
            # layers that get no box may keep the rows of the call before: one is run and cut off
            boxes = rois if len(rois) else np.zeros((1, 5), rois.dtype)
            arrays = {**arrays, "rois": give_extent(boxes, spacing)}
        output: np.ndarray = compiled(arrays)[0]
        return output if rois is None else output[: len(rois)]

    return ExportedModel(run, shapes, facts)


def _read_openvino(path: str | Path) -> tuple[Any, dict[str, Any]]:
    """Reads OpenVINO's network, not compiled yet, and the facts of the file."""
    try:
        network = import_extra("openvino", "openvino").Core().read_model(str(path))
    except RuntimeError as error:
        raise _not_ours(path, OPENVINO_FILE, error) from None
    return network, _parse_facts(
        path, network.get_rt_info([FACTS]).astype(str) if network.has_rt_info([FACTS]) else None
    )


def give_extent(rois: np.ndarray, spacing: float) -> np.ndarray:
    """Widens boxes without extent, for which OpenVINO's RoIAlign gives NaN.

    In bfloat16 a box has no extent if both edges round to the same number: one of 0.8 pixels at
    x = 366 did.

    Args:
        rois: [K, 5] = (clip index, x1, y1, x2, y2) in clip pixels.
        spacing: The least width and height of a box, as a share of its coordinates.

    Returns:
        The same with boxes at least that wide and high.
    """
    low = rois[:, 1:3]
    high = rois[:, 3:5]
    least = spacing * np.maximum(np.abs(high), 8.0)
    return np.concatenate([rois[:, :3], np.maximum(high, low + least)], axis=1, dtype=rois.dtype)


def import_extra(module: str, extra: str) -> ModuleType:
    """Imports a library of an extra.

    Raises:
        ValueError: It is not installed; the message has the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ValueError(f'{module} is not installed: pip install "ava_det[{extra}]"') from None


def _to_array(name: str, value: Tensor | None, shape: list[int | None]) -> np.ndarray:
    if value is None:
        raise ValueError(
            f"the {_MISSING.get(name, f'{name} clip is')} missing: this network needs {name}"
        )
    if value.ndim != len(shape) or any(
        want not in (None, got) for want, got in zip(shape, value.shape, strict=True)
    ):
        wanted = " x ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"{name}: the exported network was made for {wanted}, received "
            f"{' x '.join(map(str, value.shape))}"
        )
    return np.ascontiguousarray(value.detach().float().cpu().numpy())


def _parse_facts(path: str | Path, text: str | None) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(text or "")
    except ValueError:
        raise ValueError(
            f"{path}: expected a file written by ava-det export, found no facts of it"
        ) from None
    for key in ("label_map", "thresholds"):
        facts[key] = (
            {int(action_id): value for action_id, value in facts[key].items()}
            if facts.get(key)
            else None
        )
    return facts


def _not_ours(path: str | Path, expected: str, error: Exception) -> ValueError:
    message = re.sub(r"\s+", " ", str(error)).strip()[:200]
    return ValueError(f"{path}: expected {expected} written by ava-det export ({message})")
