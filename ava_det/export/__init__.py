"""Writes networks as files that other runtimes execute, and runs them.

ONNX is for onnxruntime, OpenVINO's IR for OpenVINO; both are extras of the package.
"""

from ava_det.export.export import export_model
from ava_det.export.int8 import export_int8
from ava_det.export.runtimes import ExportedModel, load_exported, read_facts

__all__ = [
    "ExportedModel",
    "export_int8",
    "export_model",
    "load_exported",
    "read_facts",
]
