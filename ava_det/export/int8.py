"""Quantizes an exported network to 8-bit integers, by NNCF, an extra of the package.

A file is written only where it ranks persons as the network does and is faster on this machine.
All layers are quantized first. Where the ranking suffers, the parts of the network (stem, stages,
lateral connections, head) are tried in float32 one at a time, and left so in the order of what each
gives back, until the ranking holds.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from ava_det.choices import EXPORT_FORMATS
from ava_det.export.export import Inputs, Score, copy_whole, export_model
from ava_det.export.runtimes import FACTS, ExportedModel, import_extra, load_exported

LEAST_CORRELATION = 0.99  # has to be exceeded
LEAST_SPEEDUP = 1.1
LEAST_BOXES = 20  # fewer say nothing about ranks
NUM_TRIAL_CLIPS = 8  # calibrate a network of which one part is in float32, twice as many judge it
LEAST_ROUNDS = 7
LEAST_SECONDS = 2.0  # of measuring a speed
RUNTIME_NAMES = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}
# layers that are computed in integers, by the names of OpenVINO and of ONNX
QUANTIZED_LAYERS = {"Convolution", "GroupConvolution", "MatMul", "Conv", "Gemm"}


class Trial(NamedTuple):
    """Holds one way to quantize a network, and what came of it.

    Attributes:
        float_parts: Names of the parts that are left in float32.
        correlation: Of the scores' ranks with those of the float32 file, see `correlate_ranks`.
        speedup: How many times as fast as the float32 file it is, in the same runtime.
        network: Of NNCF, ready to be written.
    """

    float_parts: list[str]
    correlation: float
    speedup: float
    network: Any


def export_int8(
    model: nn.Module,
    checks: Sequence[Inputs],
    clips: tuple[Sequence[Inputs], Sequence[Inputs]],
    path: str | Path,
    file_format: str,
    facts: Mapping[str, Any],
    columns: Sequence[int],
    score: Score = torch.sigmoid,
) -> Trial:
    """Writes a network with 8-bit weights and activations, if that pays.

    Args:
        model: A network of `build_model`, on the CPU.
        checks: As for `export_model`.
        clips: Inputs that set the ranges of activations, and others on which the file is judged.
        path: The file; OpenVINO's .bin file is written beside it.
        file_format: A key of `EXPORT_FORMATS`.
        facts: JSON values that are kept in the file; `int8` in them, a dict, gets what came of it.
        columns: Of the actions that the network has learned, from 0.
        score: Logits [N, C] -> the scores 0..1 that the network is used for.

    Returns:
        What was written.

    Raises:
        ValueError: The file would rank otherwise or be no faster, an extra is not installed, or
            see `export_model`; `path` is left as it was.
    """
    nncf = import_nncf()
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name) / f"fp32{EXPORT_FORMATS[file_format]}"
        export_model(model, checks, plain, file_format, "fp32", facts)
        trials = Trials(nncf, plain, file_format, clips, columns, score)
        made = choose_trial(trials.run, trials.order_parts, RUNTIME_NAMES[file_format])
        about = {
            "float_parts": made.float_parts,
            "rank_correlation": round(made.correlation, 4),
            "speedup": round(made.speedup, 2),
            "nncf": nncf.__version__,
        }
        written = plain.with_stem("int8")
        kept = {**facts, "int8": {**facts.get("int8", {}), **about}}
        _save_network(made.network, written, file_format, kept)
        _require_outputs(plain, written, file_format, checks)
        copy_whole(written, Path(path), file_format)
    return made


def choose_trial(
    run: Callable[[list[str]], Trial], order_parts: Callable[[], list[str]], runtime: str
) -> Trial:
    """Leaves as few parts in float32 as the ranking of persons allows.

    Args:
        run: Quantizes all but these parts.
        order_parts: Lists the parts in the order in which they are left in float32; it is called
            where the network with all of it in integers ranks otherwise.
        runtime: Its name, for the message.

    Raises:
        ValueError: No choice is both faster and close enough; more in float32 is only slower.
    """
    trial = run([])
    order: list[str] | None = None
    while trial.speedup >= LEAST_SPEEDUP and trial.correlation <= LEAST_CORRELATION:
        order = order or order_parts()
        if len(trial.float_parts) == len(order):
            break
        trial = run(order[: len(trial.float_parts) + 1])
    if trial.speedup >= LEAST_SPEEDUP and trial.correlation > LEAST_CORRELATION:
        return trial
    where = f" with {', '.join(trial.float_parts)} in float32" if trial.float_parts else ""
    raise ValueError(
        f"--precision int8: expected at least {LEAST_SPEEDUP:g} times the speed of float32 and "
        f"a rank correlation above {LEAST_CORRELATION:g}; {runtime} on this CPU has "
        f"{trial.speedup:.2f} times and {trial.correlation:.4f}{where}: nothing was written"
    )


class Trials:
    """Quantizes one network in several ways and judges them on the held-out clips.

    Args:
        nncf: The library.
        plain: The float32 file.
        file_format: A key of `EXPORT_FORMATS`.
        clips: As for `export_int8`.
        columns: As for `export_int8`.
        score: As for `export_int8`.

    Raises:
        ValueError: The held-out clips have too few boxes.
    """

    def __init__(
        self,
        nncf: ModuleType,
        plain: Path,
        file_format: str,
        clips: tuple[Sequence[Inputs], Sequence[Inputs]],
        columns: Sequence[int],
        score: Score,
    ) -> None:
        self._nncf = nncf
        self._plain = plain
        self._format = file_format
        self._calibration, self._held_out = clips
        self._columns = list(columns)
        self._score = score
        self._count = 0
        self._reference = load_exported(plain, file_format, torch.device("cpu"))
        self._expected = self._compute_scores(self._reference, self._held_out, "in float32")
        if len(self._expected) < LEAST_BOXES:
            raise ValueError(
                f"--calibrate: expected held-out clips with at least {LEAST_BOXES} boxes, to "
                f"compare ranks by, found {len(self._expected)}"
            )

    def run(self, float_parts: list[str]) -> Trial:
        """Quantizes all but some parts, and measures what came of it."""
        network, model = self._quantize(float_parts, len(self._calibration))
        correlation = self._correlate(model, len(self._held_out))
        return Trial(float_parts, correlation, self._measure_speedup(model), network)

    def order_parts(self) -> list[str]:
        """Lists the parts, first that which gives back most when it alone is in float32."""
        parts = list_parts(read_network(self._plain, self._format), self._format)
        bar = tqdm(parts, desc="one part in float32", unit="part", leave=False)
        gains = {
            part: self._correlate(self._quantize([part], NUM_TRIAL_CLIPS)[1], 2 * NUM_TRIAL_CLIPS)
            for part in bar
        }
        return sorted(parts, key=lambda part: -gains[part])

    def _quantize(self, float_parts: Sequence[str], num_clips: int) -> tuple[Any, ExportedModel]:
        """Quantizes all of the network but some parts; returns it for NNCF, and loaded.

        The range of an activation is from its least to its largest value on the clips. The mean
        over clips, NNCF's default, cuts the peaks by which actions differ. Biases are not corrected
        by the activations' mean error, which changed ranks more than the error itself.
        """
        nncf = self._nncf
        ranges = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
        source = read_network(self._plain, self._format)
        left = [
            name for _, name in _list_nodes(source, self._format) if part_of(name) in float_parts
        ]
        network = nncf.quantize(
            source,
            nncf.Dataset(self._calibration, _to_arrays),
            subset_size=min(num_clips, len(self._calibration)),
            ignored_scope=nncf.IgnoredScope(names=left, validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                disable_bias_correction=True, activations_range_estimator_params=ranges
            ),
        )
        self._count += 1  # a file that a runtime has open is not written again
        path = self._plain.with_stem(f"trial_{self._count}")
        _save_network(network, path, self._format, {})
        return network, load_exported(path, self._format, torch.device("cpu"))

    def _correlate(self, model: ExportedModel, num_clips: int) -> float:
        """Correlates ranks on the first held-out clips."""
        try:
            received = self._compute_scores(model, self._held_out[:num_clips], "in int8")
        except Exception as error:  # of the runtime, whose errors share no base class
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"--precision int8: {RUNTIME_NAMES[self._format]} cannot run what NNCF made of "
                f"this network ({reason}): nothing was written"
            ) from None
        return correlate_ranks(self._expected[: len(received)], received)

    def _compute_scores(
        self, model: ExportedModel, clips: Sequence[Inputs], title: str
    ) -> np.ndarray:
        """Computes the scores of clips, float64 [N, columns], of which fewer tie."""
        bar = tqdm(clips, desc=f"held-out clips {title}", unit="clip", leave=False)
        logits = torch.cat([model(**inputs) for inputs in bar])
        return np.asarray(self._score(logits.double())[:, self._columns])

    def _measure_speedup(self, model: ExportedModel) -> float:
        """Divides the time of a held-out clip in float32 by that of the network.

        Both take turns, so that another load of the machine meets both; the shortest times count.
        """
        inputs = self._held_out[0]
        seconds: tuple[list[float], list[float]] = ([], [])
        while len(seconds[0]) < LEAST_ROUNDS or sum(map(sum, seconds)) < LEAST_SECONDS:
            for network, times in zip((self._reference, model), seconds, strict=True):
                begin = time.perf_counter()
                network(**inputs)
                times.append(time.perf_counter() - begin)
        return min(seconds[0]) / min(seconds[1])


def correlate_ranks(expected: np.ndarray, received: np.ndarray) -> float:
    """Computes Spearman's rank correlation of each action's scores, and returns the mean.

    Args:
        expected: Scores [N, C].
        received: Scores [N, C] of the same boxes.

    Returns:
        -1..1. An action whose expected scores are all equal has no ranks and does not count; one
        whose received scores alone are equal counts as 0.
    """
    ranks = [pd.DataFrame(scores).rank() for scores in (expected, received)]
    ranked = ranks[0].std() > 0
    return float(ranks[0].corrwith(ranks[1])[ranked].fillna(0.0).mean())


def list_parts(network: Any, file_format: str) -> list[str]:
    """Lists the parts of a network that hold layers to quantize, in the order of its nodes."""
    nodes = _list_nodes(network, file_format)
    return list(dict.fromkeys(part_of(name) for kind, name in nodes if kind in QUANTIZED_LAYERS))


def _list_nodes(network: Any, file_format: str) -> list[tuple[str, str]]:
    """Lists kind and name of all nodes."""
    if file_format == "onnx":
        return [(node.op_type, node.name) for node in network.graph.node]
    return [(node.get_type_name(), node.get_friendly_name()) for node in network.get_ordered_ops()]


def part_of(name: str) -> str:
    """Shortens the name of a node to a stage, such as backbone.slow.res2, or to the head."""
    module = name.split("/")[0]
    match = re.match(r"(?:\w+\.)?(?:backbone(?:\.\w+){1,2}|head)", module)
    return module if match is None else match[0]


def import_nncf() -> ModuleType:
    """Imports NNCF, which then sends no statistics of its use to its makers.

    Raises:
        ValueError: It is not installed.
    """
    os.environ.setdefault("NNCF_CI", "1")
    nncf = import_extra("nncf", "int8")
    nncf.set_log_level(logging.ERROR)
    return nncf


def _to_arrays(inputs: Inputs) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(value) for name, value in inputs.items()}


def read_network(path: Path, file_format: str) -> Any:
    """Reads a file as NNCF takes it: an `onnx.ModelProto` or an `openvino.Model`."""
    if file_format == "onnx":
        return import_extra("onnx", "onnx").load(str(path))
    return import_extra("openvino", "openvino").Core().read_model(str(path))


def _save_network(network: Any, path: Path, file_format: str, facts: Mapping[str, Any]) -> None:
    """Writes a network with its facts."""
    if file_format == "onnx":
        onnx = import_extra("onnx", "onnx")
        onnx.helper.set_model_props(network, {FACTS: json.dumps(facts)})
        onnx.save(network, str(path))
    else:
        network.set_rt_info(json.dumps(facts), [FACTS])
        save = import_extra("openvino", "openvino").save_model
        save(network, str(path), compress_to_fp16=False)


def _require_outputs(plain: Path, path: Path, file_format: str, checks: Sequence[Inputs]) -> None:
    """Checks that a file takes all numbers of clips and boxes, as the float32 file does.

    Raises:
        ValueError: An output has another shape, or is no finite number.
    """
    pair = [load_exported(one, file_format, torch.device("cpu")) for one in (plain, path)]
    for inputs in checks:
        expected, received = (network(**inputs) for network in pair)
        if received.shape != expected.shape or not received.isfinite().all():
            raise ValueError(
                f"--precision int8: expected finite outputs {list(expected.shape)}, the file gives "
                f"{list(received.shape)} or others; nothing was written"
            )
