"""Networks as files that other runtimes execute: ONNX for onnxruntime, OpenVINO's IR for OpenVINO;
both are extras.
"""

from ava_det.export.export import FORMATS, PRECISIONS, export_model
from ava_det.export.runtimes import RUNTIMES, ExportedModel, load_exported, read_facts

__all__ = [
    "FORMATS",
    "PRECISIONS",
    "RUNTIMES",
    "ExportedModel",
    "export_model",
    "load_exported",
    "read_facts",
]
