"""What this machine can do at best, and how two things are compared on it: the rulers of `tools/benchmark.py`."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ava_det.files import atomic_path

PACKAGES = ("torch", "torchvision", "onnxruntime", "openvino")


def measure_in_turns(ways: Mapping[str, Callable[[], object]], repeat: int, device: torch.device) -> dict[str, float]:
    """Median milliseconds of each way, wall clock; the ways take turns, so that a busy minute meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():  # kernels are chosen and memory is found in the first call
        way()
    for _ in range(repeat):
        for name, way in ways.items():
            _wait(device)
            start = time.perf_counter()
            way()
            _wait(device)
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def measure_matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Multiply-accumulates per second of a large matrix product, the best of seven."""
    size = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return size**3 / _best_of(7, lambda: left @ right, device)


def measure_bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written, of copying a block that no cache holds, the best of seven."""
    block = torch.zeros(2**28 if device.type == "cuda" else 2**26, device=device)
    target = torch.empty_like(block)
    return 2 * 4 * block.numel() / _best_of(7, lambda: target.copy_(block), device)


def _best_of(repeat: int, work: Callable[[], object], device: torch.device) -> float:
    return min(measure_in_turns({"": work}, 1, device)[""] for _ in range(repeat)) / 1e3


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_peak_memory(work: Callable[[], object], device: torch.device) -> float:
    """Megabytes that `work` needs at its worst beyond what was there before. On a CPU this needs Linux's /proc."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc keeps what earlier calls freed, and a second use of it raises no peak
        libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins again at what is there now
    before = _read_status("VmRSS")
    work()
    return (_read_status("VmHWM") - before) / 2**10


def _read_status(key: str) -> int:
    """Kilobytes."""
    return int(Path("/proc/self/status").read_text(encoding="ascii").split(f"{key}:")[1].split()[0])


def measure_kept_memory(work: Callable[[], object]) -> float:
    """Megabytes of activations that `work` keeps for its backward pass, parameters included, each storage once."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return sum(kept.values()) / 2**20


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Hardware and versions, and how busy the machine was."""
    versions = {name: metadata.version(name) for name in PACKAGES if _is_installed(name)}
    described: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": _cpu_name(),
        "cpu_features": [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in _cpu_flags()],
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": versions,
    }
    if device.type == "cuda":
        described["gpu"] = torch.cuda.get_device_name(device)
        described["cudnn"] = torch.backends.cudnn.version()
    return described


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _cpu_info(key: str) -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _cpu_name() -> str:
    return _cpu_info("model name") or platform.processor()


def _cpu_flags() -> list[str]:
    return _cpu_info("flags").split()


def write_json(path: Path, report: Mapping[str, Any]) -> None:
    with atomic_path(path) as temporary:
        Path(temporary).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
