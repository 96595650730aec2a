"""What `precision` means on each kind of device; every answer is tested on every machine."""

from __future__ import annotations

import platform

import pytest
import torch

from ava_det.device import precision
from ava_det.device.precision import (
    HalfPrecision,
    choose_precision,
    choose_stored_precision,
    measure_factor,
    resolve_precision,
    warn_of_fixed_precision,
)
from tests.support.precision_answers import JUDGE, WITH, WITHOUT, answer

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)
BF16 = torch.bfloat16
FP16 = torch.float16
NATIVE_BUT_SLOW = HalfPrecision(
    True, 1.3, "bfloat16 takes 1.30 times as long as float32 on this CPU"
)


def judge(device: torch.device, dtype: torch.dtype = BF16) -> HalfPrecision:
    return JUDGE.__wrapped__(device, dtype)


def pretend_cpu(
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    capability: str,
    onednn_takes: bool,
    has_products: bool,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn_takes)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_fp16_supported", lambda: onednn_takes)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_products)


@pytest.mark.parametrize(
    ("machine", "capability", "onednn_takes", "has_products", "factor", "expected"),
    [
        ("x86_64", "AVX2", False, False, 0.5, "fp32"),
        ("x86_64", "AVX512", True, False, 0.5, "fp32"),  # oneDNN takes it and computes in float32
        ("x86_64", "AVX512", True, True, 0.5, "bf16"),
        ("AMD64", "AVX512", True, True, 0.5, "bf16"),
        ("x86_64", "AVX512", True, True, 1.2, "fp32"),
        # ATEN_CPU_CAPABILITY=avx2 on a CPU that has it
        ("x86_64", "AVX2", True, True, 0.5, "fp32"),
        # ONEDNN_MAX_CPU_ISA=AVX2 alone: the measurement finds it
        ("x86_64", "AVX512", True, True, None, "fp32"),
        ("aarch64", "DEFAULT", True, False, 0.6, "bf16"),
        ("aarch64", "DEFAULT", False, False, 0.6, "fp32"),
    ],
)
def test_kinds_of_cpu(
    machine: str,
    capability: str,
    onednn_takes: bool,
    has_products: bool,
    factor: float | None,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend_cpu(monkeypatch, machine, capability, onednn_takes, has_products)
    monkeypatch.setattr(precision, "measure_factor", lambda device, dtype: factor)
    found = judge(CPU)
    answer(monkeypatch, found)
    assert resolve_precision("auto", CPU) == expected
    assert "bfloat16" in found.reason


@pytest.mark.parametrize(
    ("capability", "dtype", "is_native"),
    [
        ((7, 5), BF16, False),
        ((8, 0), BF16, True),
        ((9, 0), BF16, True),
        ((6, 1), FP16, False),
        ((7, 0), FP16, True),
    ],
)
def test_kinds_of_gpu(
    capability: tuple[int, int],
    dtype: torch.dtype,
    is_native: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 90300)
    assert judge(CUDA, dtype).is_native == is_native


def test_a_wrong_cudnn_turns_auto_to_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    answer(monkeypatch, judge(CUDA))
    assert choose_precision("auto", CUDA) == (
        "fp32",
        "this cuDNN, as 9.8 to 9.10 do, gives wrong bfloat16 3D convolutions",
    )


def test_a_cpu_without_onednn_and_an_unknown_device_take_fp32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not judge(torch.device("meta")).is_native
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert "no oneDNN" in judge(CPU).reason


@pytest.mark.parametrize(
    ("found", "expected"), [(WITHOUT, "fp32"), (WITH, "bf16"), (NATIVE_BUT_SLOW, "fp32")]
)
def test_auto_is_said_once(
    found: HalfPrecision,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer(monkeypatch, found)
    for is_training in (False, True, False):
        assert choose_precision("auto", CPU, is_training) == (expected, found.reason)
    assert capsys.readouterr() == (f"precision auto: {expected} ({found.reason})\n", "")


@pytest.mark.parametrize("asked", ["fp32", "bf16", "fp16"])
def test_what_a_device_has_is_given_without_a_word(
    asked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, NATIVE_BUT_SLOW)
    for is_training in (False, True):
        assert resolve_precision(asked, CPU, is_training) == asked
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("asked", ["bf16", "fp16"])
def test_an_imitated_type_is_replaced_with_a_sentence_where_nothing_is_learned(
    asked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, WITHOUT)
    assert [resolve_precision(asked, CPU) for _ in range(2)] == ["fp32", "fp32"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        captured.err
        == f"warning: precision {asked}: fp32 is used in its place ({WITHOUT.reason})\n"
    )


def test_training_in_an_imitated_type_says_what_it_costs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, WITHOUT)
    monkeypatch.setattr(precision, "measure_factor", lambda device, dtype: 31.6)
    assert resolve_precision("bf16", CPU, is_training=True) == "bf16"
    stderr = capsys.readouterr().err
    assert stderr.startswith("warning: precision bf16: this CPU has no bfloat16 arithmetic: ")
    assert "32 times as long as in fp32" in stderr


def test_training_in_a_refused_type_is_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, HalfPrecision(False, None, "oneDNN refuses bfloat16 convolutions here"))
    monkeypatch.setattr(precision, "measure_factor", lambda device, dtype: None)
    assert resolve_precision("bf16", CPU, is_training=True) == "fp32"


def test_processes_that_train_together_take_what_each_of_them_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(monkeypatch, WITH)
    monkeypatch.setattr(precision, "gather_objects", lambda found: [found, WITHOUT, found])
    assert choose_precision("auto", CPU, is_training=True) == ("fp32", WITHOUT.reason)
    assert resolve_precision("auto", CPU) == "bf16"


@pytest.mark.parametrize(
    ("asked", "found", "expected", "said"),
    [
        ("auto", WITH, "fp16", f"precision auto: weights in fp16 ({WITH.reason})\n"),
        ("auto", WITHOUT, "fp32", f"precision auto: weights in fp32 ({WITHOUT.reason})\n"),
        (
            "auto",
            NATIVE_BUT_SLOW,
            "fp32",
            f"precision auto: weights in fp32 ({NATIVE_BUT_SLOW.reason})\n",
        ),
        ("fp32", WITH, "fp32", ""),
        ("fp16", WITH, "fp16", ""),
        (
            "fp16",
            WITHOUT,
            "fp16",
            "warning: precision fp16: weights are stored in 16 bits and computed in fp32 here "
            f"({WITHOUT.reason})\n",
        ),
    ],
)
def test_the_weights_of_an_export(
    asked: str,
    found: HalfPrecision,
    expected: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer(monkeypatch, found)
    for _ in range(2):  # said once
        assert choose_stored_precision(asked, CPU) == expected
    captured = capsys.readouterr()
    assert captured.out + captured.err == said


@pytest.mark.parametrize(
    ("asked", "found", "fixed", "said"),
    [
        ("bf16", WITH, "fp32", "warning: precision bf16: an ONNX file computes in its own, fp32\n"),
        (
            "bf16",
            WITHOUT,
            "fp32",
            f"warning: precision bf16: fp32 is used in its place ({WITHOUT.reason})\n",
        ),
        ("auto", WITHOUT, "fp32", f"precision auto: fp32 ({WITHOUT.reason})\n"),
        (
            "auto",
            WITH,
            "fp16",
            f"precision auto: bf16 ({WITH.reason})\n"
            "precision auto: an ONNX file computes in its own, fp16\n",
        ),
        ("fp32", WITH, "fp16", ""),
    ],
)
def test_a_file_with_a_precision_of_its_own(
    asked: str,
    found: HalfPrecision,
    fixed: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer(monkeypatch, found)
    warn_of_fixed_precision(asked, CPU, fixed)
    captured = capsys.readouterr()
    assert captured.out + captured.err == said


def test_another_name_is_refused() -> None:
    with pytest.raises(
        ValueError, match="precision: expected one of fp32, bf16, fp16, auto, received 'half'"
    ):
        resolve_precision("half", CPU)


def test_the_measurement_leaves_no_trace() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    with torch.inference_mode():
        factor = measure_factor(CPU, BF16)
    assert factor is None or factor > 0.05
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(2), expected)


def test_a_refused_measurement_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(torch.nn.functional, "conv2d", refuse)
    assert measure_factor(CPU, BF16) is None


@pytest.mark.gpu
def test_a_gpu_is_waited_for_before_its_time_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    factor = measure_factor(CUDA, BF16)
    assert factor is not None
    assert factor > 0
    assert waited == [CUDA] * 2 * (1 + precision.NUM_MEASUREMENTS)


def test_this_machine_gets_an_answer() -> None:
    found = judge(CPU)
    assert found.reason
    assert found.is_native == (found.factor is not None)
