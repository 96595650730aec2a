"""The arithmetic a network is computed in: what `precision: auto` means on a device.

A 16-bit type brings speed only where the processor multiplies it natively. Elsewhere torch imitates
it, 30 times slower on a CPU with AVX2, or oneDNN refuses it. `judge_half_precision` decides, from
the flags of the device and a short measurement; everything else follows from its answer.
"""

from __future__ import annotations

import logging
import platform
import time
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch.nn import functional as F

from ava_det.distributed import gather_objects, is_main_process

logger = logging.getLogger("ava_det")

HALF_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = ("fp32", *HALF_TYPES, "auto")
NAMES = {torch.bfloat16: "bfloat16", torch.float16: "float16"}
# CUDA compute capability whose tensor cores multiply the type: Ampere and Volta
FIRST_CAPABILITY = {torch.bfloat16: (8, 0), torch.float16: (7, 0)}
NUM_MEASUREMENTS = 3


@dataclass(frozen=True)
class HalfPrecision:
    """What a device does with a 16-bit type.

    is_native: it multiplies numbers of this type. factor: the time of a small convolution, forward
    and backward, over its time in float32; None where it was not measured. reason: of both, a
    clause that stands in parentheses.
    """

    is_native: bool
    factor: float | None
    reason: str

    @property
    def is_faster(self) -> bool:
        """Whether `auto` takes it."""
        return self.is_native and (self.factor is None or self.factor < 1)


class Precision(NamedTuple):
    """The arithmetic that was chosen, fp32, bf16 or fp16, and why."""

    name: str
    reason: str


def resolve_precision(asked: str, device: torch.device, is_training: bool = False) -> str:
    """The name of `choose_precision`."""
    return choose_precision(asked, device, is_training).name


def choose_precision(asked: str, device: torch.device, is_training: bool = False) -> Precision:
    """Chooses what a network is computed in; says so once a process, unless it is what was asked.

    Args:
        asked: auto, fp32, bf16 or fp16. `auto` is bf16 where the device computes it natively and
            faster, else fp32. A 16-bit type that the device only imitates becomes fp32, with a
            warning.
        device: of the network.
        is_training: whether it learns. Then an imitated type that was asked for by name stays,
            because it changes what is learned, with a warning of what it costs; and all processes
            of a group take what each of them can.

    Returns:
        fp32, bf16 or fp16, and the reason.

    Raises:
        ValueError: another name.
    """
    if asked not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, received {asked!r}")
    if asked == "fp32":
        return Precision("fp32", "as asked")
    dtype = HALF_TYPES.get(asked, torch.bfloat16)
    found = judge_half_precision(device, dtype)
    if is_training:
        found = min(gather_objects(found), key=lambda one: one.is_faster)
    if asked == "auto":
        chosen = "bf16" if found.is_faster else "fp32"
        _say_once(f"precision auto: {chosen} ({found.reason})")
        return Precision(chosen, found.reason)
    if found.is_native:
        return Precision(asked, "as asked")
    factor = measure_factor(device, dtype) if is_training else None
    if factor is None:
        _warn_once(f"precision {asked}: fp32 is used in its place ({found.reason})")
        return Precision("fp32", found.reason)
    _warn_once(
        f"precision {asked}: {found.reason}: a convolution takes {factor:.0f} times as long as in "
        "fp32, measured here; expected precision=auto or precision=fp32"
    )
    return Precision(asked, f"as asked, though {found.reason}")


@cache
def judge_half_precision(device: torch.device, dtype: torch.dtype) -> HalfPrecision:
    """Decides what `device` does with bfloat16 or float16, by its flags and then by a measurement.

    A GPU is not measured: tensor cores multiply 16-bit numbers at least twice as fast as any wider
    ones.
    """
    lack = _find_lack(device, dtype)
    if lack is not None:
        return HalfPrecision(False, None, lack)
    if device.type == "cuda":
        return HalfPrecision(True, None, f"this GPU multiplies {NAMES[dtype]} natively")
    factor = measure_factor(device, dtype)
    if factor is None:
        return HalfPrecision(False, None, f"oneDNN refuses {NAMES[dtype]} convolutions here")
    return HalfPrecision(
        True, factor, f"{NAMES[dtype]} takes {factor:.2f} times as long as float32 on this CPU"
    )


def find_cudnn_fault(version: int | None, precision: str) -> str | None:
    """What is wrong with this cuDNN at `precision`, as a sentence, or None.

    version: as torch.backends.cudnn.version() counts since cuDNN 9, 10000 * major + 100 * minor +
    patch; None without cuDNN.
    """
    if version is None or precision != "bf16" or not 90800 <= version < 91100:
        return None
    name = f"{version // 10000}.{version // 100 % 100}.{version % 100}"
    return (
        f"precision: cuDNN {name} gives wrong bfloat16 3D convolutions, as 9.8 to 9.10 do: "
        "expected fp32, or a torch with another cuDNN"
    )


def measure_factor(device: torch.device, dtype: torch.dtype) -> float | None:
    """Measures a small convolution, forward and backward: its time over that in float32.

    Some milliseconds where the type is native. None where the device refuses the type. One thread
    measures, which waits for no other on a busy machine, and no random number is drawn.
    """
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = [_time_convolution(device, one) for one in (dtype, torch.float32)]
    except RuntimeError:
        return None
    finally:
        torch.set_num_threads(num_threads)
    return seconds[0] / seconds[1]


def _time_convolution(device: torch.device, dtype: torch.dtype) -> float:
    """Seconds of the shortest measurement; a first one, which chooses kernels, does not count."""
    seconds = []
    with torch.inference_mode(False), torch.enable_grad():
        frames = torch.linspace(-1, 1, 2 * 64 * 28 * 28, device=device).reshape(2, 64, 28, 28)
        frames = frames.contiguous(memory_format=torch.channels_last).requires_grad_()
        kernel = (
            torch.linspace(-1, 1, 64 * 64 * 9, device=device).reshape(64, 64, 3, 3).requires_grad_()
        )
        for _ in range(1 + NUM_MEASUREMENTS):
            begin = time.perf_counter()
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                output = F.conv2d(frames, kernel, padding=1)
            output.float().square().mean().backward()
            seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def _find_lack(device: torch.device, dtype: torch.dtype) -> str | None:
    """What the device lacks to compute this type natively; None where its flags name nothing."""
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) < FIRST_CAPABILITY[dtype]:
            return f"this GPU has no {NAMES[dtype]} arithmetic"
        if dtype == torch.bfloat16 and find_cudnn_fault(torch.backends.cudnn.version(), "bf16"):
            return "this cuDNN, as 9.8 to 9.10 do, gives wrong bfloat16 3D convolutions"
        return None
    if device.type != "cpu":
        return f"{NAMES[dtype]} was never tried on a device of the type {device.type}"
    if not torch.backends.mkldnn.is_available():
        return f"this torch has no oneDNN, whose {NAMES[dtype]} convolutions are the fast ones"
    return None if _cpu_multiplies(dtype) else f"this CPU has no {NAMES[dtype]} arithmetic"


def _cpu_multiplies(dtype: torch.dtype) -> bool:
    """Whether the flags of this CPU have products of the type.

    oneDNN also takes bfloat16 on AVX-512 without AVX512-BF16, where it computes in float32, so x86
    is asked twice. What torch calls the CPU's capability can be lowered (ATEN_CPU_CAPABILITY), its
    flags cannot.
    """
    if dtype == torch.float16:
        supported = torch.ops.mkldnn._is_mkldnn_fp16_supported()
    else:
        supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if platform.machine() not in ("x86_64", "AMD64"):
        return bool(supported)
    has_avx512 = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    has_products = dtype == torch.float16 or torch.cpu._is_avx512_bf16_supported()
    return bool(supported and has_avx512 and has_products)


@cache
def _say_once(sentence: str) -> None:
    if is_main_process():
        print(sentence, flush=True)


@cache
def _warn_once(sentence: str) -> None:
    if is_main_process():
        logger.warning(sentence)
