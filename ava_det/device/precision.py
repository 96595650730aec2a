"""Chooses the precision a network computes in: what `precision: auto` means on a device.

A 16-bit type is faster only where the processor multiplies it natively. Elsewhere torch emulates
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
# First CUDA compute capability whose tensor cores multiply the type: Ampere and Volta.
FIRST_CAPABILITY = {torch.bfloat16: (8, 0), torch.float16: (7, 0)}
NUM_MEASUREMENTS = 3


@dataclass(frozen=True)
class HalfPrecision:
    """Describes how a device computes with a 16-bit type.

    Attributes:
        is_native: Whether it multiplies numbers of this type.
        factor: Time of a small convolution, forward and backward, divided by its time in float32;
            None where it was not measured.
        reason: Why, as a clause that stands in parentheses.
    """

    is_native: bool
    factor: float | None
    reason: str

    @property
    def is_faster(self) -> bool:
        """Returns whether `auto` chooses this type."""
        return self.is_native and (self.factor is None or self.factor < 1)


class Precision(NamedTuple):
    """Describes the precision that was chosen.

    Attributes:
        name: fp32, bf16 or fp16.
        reason: Why.
    """

    name: str
    reason: str


def resolve_precision(precision: str, device: torch.device, is_training: bool = False) -> str:
    """Returns the name that `choose_precision` chooses."""
    return choose_precision(precision, device, is_training).name


def choose_precision(precision: str, device: torch.device, is_training: bool = False) -> Precision:
    """Chooses what a network computes in.

    The choice is printed once a process where it is not what was asked.

    Args:
        precision: auto, fp32, bf16 or fp16. `auto` is bf16 where the device computes it natively
            and faster, else fp32. A 16-bit type that the device only emulates becomes fp32, with a
            warning.
        device: Of the network.
        is_training: Whether the network is trained. Then an emulated type that was asked for by
            name stays, because it changes what is learned, with a warning of what it costs; and all
            processes of a group choose what each of them can compute.

    Returns:
        fp32, bf16 or fp16, and the reason.

    Raises:
        ValueError: `precision` is another name.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision: expected one of {', '.join(PRECISIONS)}, received {precision!r}"
        )
    if precision == "fp32":
        return Precision("fp32", "as asked")
    dtype = HALF_TYPES.get(precision, torch.bfloat16)
    judgment = judge_half_precision(device, dtype)
    if is_training:
        judgment = min(gather_objects(judgment), key=lambda one: one.is_faster)
    if precision == "auto":
        chosen = "bf16" if judgment.is_faster else "fp32"
        _say_once(f"precision auto: {chosen} ({judgment.reason})")
        return Precision(chosen, judgment.reason)
    if judgment.is_native:
        return Precision(precision, "as asked")
    factor = measure_factor(device, dtype) if is_training else None
    if factor is None:
        _warn_once(f"precision {precision}: fp32 is used in its place ({judgment.reason})")
        return Precision("fp32", judgment.reason)
    _warn_once(
        f"precision {precision}: {judgment.reason}: a convolution takes {factor:.0f} times as long "
        "as in fp32, measured here; expected precision=auto or precision=fp32"
    )
    return Precision(precision, f"as asked, though {judgment.reason}")


def choose_stored_precision(precision: str, device: torch.device) -> str:
    """Chooses the data type in which a file for another runtime stores its weights.

    Args:
        precision: auto, fp32 or fp16. `auto` is fp16 where the device computes it natively and
            faster, else fp32. fp16 asked for by name stays, because a file is half as large and
            may be made for another device, with a warning where this one computes it in float32.
        device: On which the file is meant to run.

    Returns:
        fp32 or fp16.
    """
    if precision == "fp32":
        return precision
    judgment = judge_half_precision(device, torch.float16)
    if precision == "auto":
        chosen = "fp16" if judgment.is_faster else "fp32"
        _say_once(f"precision auto: weights in {chosen} ({judgment.reason})")
        return chosen
    if not judgment.is_native:
        _warn_once(
            f"precision {precision}: weights are stored in 16 bits and computed in fp32 here "
            f"({judgment.reason})"
        )
    return precision


def warn_of_fixed_precision(precision: str, device: torch.device, fixed: str) -> None:
    """Says that a network computes in `fixed`, where `precision` would be another one.

    Args:
        precision: As in `choose_precision`.
        device: Of the network.
        fixed: What the network computes in whatever is asked, fp32 or fp16.
    """
    chosen = resolve_precision(precision, device)
    if chosen not in (fixed, "fp32"):
        say = _say_once if precision == "auto" else _warn_once
        say(f"precision {precision}: an ONNX file computes in its own, {fixed}")


@cache
def judge_half_precision(device: torch.device, dtype: torch.dtype) -> HalfPrecision:
    """Decides how `device` computes with bfloat16 or float16, by its flags and a measurement.

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
    """Returns what is wrong with this cuDNN at `precision` as a sentence, or None.

    Args:
        version: As torch.backends.cudnn.version() counts since cuDNN 9, 10000 * major + 100 * minor
            + patch; None without cuDNN.
        precision: fp32, bf16 or fp16.
    """
    if version is None or precision != "bf16" or not 90800 <= version < 91100:
        return None
    name = f"{version // 10000}.{version // 100 % 100}.{version % 100}"
    return (
        f"precision: cuDNN {name} gives wrong bfloat16 3D convolutions, as 9.8 to 9.10 do: "
        "expected fp32, or a torch with another cuDNN"
    )


def measure_factor(device: torch.device, dtype: torch.dtype) -> float | None:
    """Measures the time of a small convolution, forward and backward, divided by that in float32.

    It takes some milliseconds where the type is native. One thread measures, so that it waits for
    no other thread on a busy machine, and no random number is drawn.

    Returns:
        The factor, None where the device refuses the type.
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
    """Returns the shortest time in seconds; the first run, which chooses kernels, is dropped."""
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
            if device.type == "cuda":  # until now its work was only queued
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def _find_lack(device: torch.device, dtype: torch.dtype) -> str | None:
    """Returns what the device lacks to compute this type natively; None where it lacks nothing."""
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
    """Returns whether this CPU has instructions that multiply the type.

    oneDNN also accepts bfloat16 on AVX-512 without AVX512-BF16, where it computes in float32, so on
    x86 two flags are checked. What torch calls the CPU's capability can be lowered
    (ATEN_CPU_CAPABILITY), the CPU's flags cannot.
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
