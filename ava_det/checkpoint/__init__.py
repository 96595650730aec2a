"""Saves weights atomically, and loads any published format with a report of what did not fit."""

from ava_det.checkpoint.architecture import name_family
from ava_det.checkpoint.files import WeightsError, save_checkpoint, save_safetensors
from ava_det.checkpoint.state_dict import find_container, require_finite
from ava_det.checkpoint.weights import (
    WeightsReport,
    copy_weights,
    find_weights,
    load_checkpoint,
    load_weights,
)
from ava_det.checkpoint.zoo import resolve_weights

__all__ = [
    "WeightsError",
    "WeightsReport",
    "copy_weights",
    "find_container",
    "find_weights",
    "load_checkpoint",
    "load_weights",
    "name_family",
    "require_finite",
    "resolve_weights",
    "save_checkpoint",
    "save_safetensors",
]
