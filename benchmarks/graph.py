"""Records a network as a CUDA graph, for `python -m benchmarks model`.

Its time without the launch of kernels shows what launching them costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

WARM_UPS = 3  # kernels are chosen and memory is found before the recording


@dataclass
class Recording:
    """Holds a recorded graph with its fixed tensors.

    Attributes:
        graph: The graph.
        inputs: The tensors it reads.
        output: The tensor it writes.
    """

    graph: torch.cuda.CUDAGraph
    inputs: dict[str, Tensor]
    output: Tensor


class RecordedNetwork:
    """Runs a network from a recording of its kernels, made at the first call of each shape.

    It is called as the network is. The output is overwritten by the next call of the same shape.

    Args:
        network: The network, on a CUDA device.
    """

    def __init__(self, network: Callable[..., Tensor]) -> None:
        self._network = network
        self._recordings: dict[tuple[tuple[int, ...], ...], Recording] = {}

    def __call__(self, **inputs: Tensor) -> Tensor:
        """Runs the network; records it at the first call of a shape."""
        shapes = tuple(tuple(value.shape) for value in inputs.values())
        if shapes not in self._recordings:
            self._recordings[shapes] = self._record(inputs)
        recording = self._recordings[shapes]
        for name, value in inputs.items():
            recording.inputs[name].copy_(value)
        recording.graph.replay()
        return recording.output

    def _record(self, inputs: dict[str, Tensor]) -> Recording:
        static_inputs = {
            name: value.clone(memory_format=torch.preserve_format) for name, value in inputs.items()
        }
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._network(**static_inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = self._network(**static_inputs)
        return Recording(graph, static_inputs, output)
