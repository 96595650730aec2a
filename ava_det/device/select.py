"""Selects the device of this process and prepares torch."""

from __future__ import annotations

import random
import warnings

import numpy as np
import torch

from ava_det.config import Config, ConfigError
from ava_det.device.precision import find_cudnn_fault
from ava_det.distributed import is_main_process, local_rank


def prepare_torch(config: Config) -> torch.device:
    """Seeds the generators, prepares torch and returns the device of this process.

    Args:
        config: Its `device`, `seed` and `precision` are read. `device: auto` falls back to the CPU,
            and prints why.

    Raises:
        ConfigError: A CUDA device is asked for and cannot be used.
    """
    device = select_device(config.device)
    random.seed(config.seed)
    np.random.seed(config.seed)
    torch.manual_seed(config.seed)
    # NumPy before 2.2 computes these at their first use, and warns where denormal numbers are zero.
    for number in (np.float32, np.float64):
        np.finfo(number)
    # On a CPU, arithmetic with denormal numbers is a hundred times slower.
    torch.set_flush_denormal(True)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        fault = find_cudnn_fault(torch.backends.cudnn.version(), config.precision)
        if fault is not None:
            raise ConfigError(fault)
        torch.backends.cudnn.benchmark = True
    return device


def select_device(name: str) -> torch.device:
    """Returns the device of this process.

    Args:
        name: `cpu`, `cuda`, `cuda:N` or `auto`, see `prepare_torch`.

    Raises:
        ConfigError: A CUDA device is asked for and cannot be used.
    """
    if name == "cpu":
        return torch.device("cpu")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available() and torch.cuda.device_count() > 0
    reason = next(
        (str(warning.message).splitlines()[0] for warning in caught), "no CUDA device was found"
    )
    if "driver" in reason and "old" in reason:
        reason = (
            "the NVIDIA driver is too old for this torch, "
            f"built for CUDA {torch.version.cuda}: update the driver"
        )
    if not usable:
        if name != "auto":
            raise ConfigError(f"device: {name} cannot be used: {reason}")
        if caught and is_main_process():
            print(f"running on the CPU: {reason}")
        return torch.device("cpu")
    index = int(name.partition(":")[2] or local_rank())
    if index >= torch.cuda.device_count():
        raise ConfigError(
            f"device: expected cuda:0..{torch.cuda.device_count() - 1}, received cuda:{index}"
        )
    return torch.device("cuda", index)
