"""Measures what a machine can do at best, and compares functions on it in turns."""

from __future__ import annotations

import ctypes
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ava_det.device import precision

PACKAGES = (
    "torch",
    "torchvision",
    "onnxruntime",
    "openvino",
    "av",
    "opencv-python-headless",
    "numpy",
    "polars",
)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
RULER = "ruler "


@dataclass(frozen=True)
class Time:
    """Holds median milliseconds.

    Attributes:
        wall: By the clock.
        busy: Without what other processes took: on a CPU the processor time a thread, on a GPU the
            clock again.
    """

    wall: float
    busy: float


def measure_in_turns(
    ways: Mapping[str, Callable[[], object]], repeat: int, device: torch.device
) -> dict[str, Time]:
    """Measures each way; the ways take turns, so that a busy minute slows all of them."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for way in ways.values():  # kernels are chosen and memory is found in the first call
        way()
    for _ in range(repeat):
        for name, way in ways.items():
            times[name].append(_measure_once(way, device))
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in times.items()
    }
    return {name: Time(*values) for name, values in medians.items()}


class Stopwatch:
    """Measures milliseconds between start and stop, by the clock and busy (see `Time`).

    Args:
        device: Where the work runs; a GPU is waited for.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def start(self) -> None:
        """Starts the measurement."""
        _wait(self._device)
        self._wall = time.perf_counter()
        self._processor = time.process_time()

    def stop(self) -> tuple[float, float]:
        """Returns the milliseconds since `start`: (wall, busy)."""
        _wait(self._device)
        wall = time.perf_counter() - self._wall
        processor = time.process_time() - self._processor
        return wall * 1e3, (
            wall if self._device.type == "cuda" else processor / torch.get_num_threads()
        ) * 1e3


def _measure_once(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    watch = Stopwatch(device)
    watch.start()
    work()
    return watch.stop()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Rulers:
    """Measures a large matrix product in each precision, and a copy that no cache holds.

    They run among the ways they are compared with (`ways`), each time as the best of three. What is
    left out is printed.

    Args:
        device: The device to measure.

    Attributes:
        precisions: fp32, and bf16 where the device computes it natively: imitated it takes minutes.
    """

    def __init__(self, device: torch.device) -> None:
        half = precision.judge_half_precision(device, torch.bfloat16)
        self.precisions = [name for name in DTYPES if name == "fp32" or half.is_native]
        if not half.is_native:
            print(f"bf16 is left out ({half.reason})")
        self._device = device
        self._best: dict[str, list[float]] = {}
        large = device.type == "cuda"
        size = 8192 if large else 1536
        factors = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
        source = torch.zeros(2**28 if large else 2**25, device=device)
        target = torch.empty_like(source)
        self._work: dict[str, tuple[int, list[Callable[[], object]]]] = {
            name: (size**3, _list_products(*(factor.to(DTYPES[name]) for factor in factors)))
            for name in self.precisions
        }
        self._work["bytes"] = 2 * 4 * source.numel(), [lambda: target.copy_(source)]

    def ways(self) -> dict[str, Callable[[], object]]:
        """Returns what to measure in turns with other ways; the times of these mean nothing."""
        return {f"{RULER}{name}": partial(self._measure, name) for name in self._work}

    def _measure(self, name: str) -> None:
        best = min(_measure_once(work, self._device)[1] for work in 3 * self._work[name][1])
        self._best.setdefault(name, []).append(best)

    def rates(self) -> dict[str, float]:
        """Returns the rates in busy time, medians over the turns so far.

        These are multiply-accumulates a second for each precision; for `bytes`, the bytes read and
        written a second.
        """
        return {
            name: self._work[name][0] * 1e3 / statistics.median(best)
            for name, best in self._best.items()
        }


def _list_products(left: torch.Tensor, right: torch.Tensor) -> list[Callable[[], object]]:
    """Lists the ways to multiply two matrices: torch's own, and oneDNN's where it is another."""
    ways: list[Callable[[], object]] = [lambda: left @ right]
    if left.device.type == "cuda":  # as the convolutions may, which are what is compared with it
        fp32_precision = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
        return [partial(_multiply, left, right, fp32_precision)]
    if torch.backends.mkldnn.is_available():
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], ""))
    return ways


def _multiply(left: torch.Tensor, right: torch.Tensor, fp32_precision: str) -> None:
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = fp32_precision
    torch.mm(left, right)
    torch.backends.cuda.matmul.fp32_precision = before


def measure_peak_memory(work: Callable[[], object], device: torch.device) -> float:
    """Returns the megabytes that `work` needs at its worst beyond what was there before.

    On a CPU this needs Linux's /proc.
    """
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    libc = ctypes.CDLL(None)
    # glibc keeps what earlier calls freed, and a second use of it raises no peak
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    # the peak begins again at what is there now
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _read_status("VmRSS")
    work()
    return (_read_status("VmHWM") - before) / 2**10


def _read_status(key: str) -> int:
    """Reads a number of kilobytes from /proc/self/status."""
    return int(Path("/proc/self/status").read_text(encoding="ascii").split(f"{key}:")[1].split()[0])


def measure_kept_memory(work: Callable[[], object]) -> float:
    """Returns the megabytes of activations that `work` keeps for its backward pass.

    Parameters are included, each storage once.
    """
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return sum(kept.values()) / 2**20


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Describes hardware and versions, and how busy the machine was."""
    versions = {name: metadata.version(name) for name in PACKAGES if _is_installed(name)}
    described: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": _cpu_name(),
        "cpu_features": [
            name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in _cpu_flags()
        ],
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": versions,
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        described |= {
            "gpu": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "gpu_memory_mb": properties.total_memory // 2**20,
            "multiprocessors": properties.multi_processor_count,
            "driver": _driver_version(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return described


def _driver_version() -> str | None:
    """Returns the version of the NVIDIA driver, None where nvidia-smi does not say it."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(finished.stdout.split()), None)


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _cpu_info(key: str) -> str:
    lines = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if Path("/proc/cpuinfo").exists()
        else []
    )
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _cpu_name() -> str:
    return _cpu_info("model name") or platform.processor()


def _cpu_flags() -> list[str]:
    return _cpu_info("flags").split()
