"""Lists what `python -m benchmarks gpu` runs, in the order in which it is missed most."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import ROOT

TESTS = "tests"
PRECISION = "precision"
EVALUATOR = "evaluator"
DEMO = "demo"
DETECTOR = "detector"
FORWARD = "forward"
TRAINING = "training"
COMPILED = "torch.compile"
MAIN = "slowfast_r50_8x8"
NETWORKS = (MAIN, "slowfast_r50_4x16", "slowfast_r101_8x8", "slowfast_r101_16x8_nl")


@dataclass(frozen=True)
class Part:
    """Describes one process of the run.

    Attributes:
        name: In the report.
        options: What follows `python -m`; the path of its report goes after them.
        limit: Seconds that it may take at most.
    """

    name: str
    options: tuple[str, ...]
    limit: float

    def command(self, report: Path) -> list[str]:
        """Returns the command that writes `report`."""
        return [sys.executable, "-m", *self.options, str(report)]

    @property
    def suffix(self) -> str:
        """Returns the ending of its report's name: pytest writes XML."""
        return ".xml" if self.name == TESTS else ".json"


def name_part(kind: str, network: str) -> str:
    """Returns the name of a part that measures one network."""
    return f"{kind} {network}"


def list_parts(device: str, is_quick: bool) -> list[Part]:
    """Lists the parts, the most important first.

    Args:
        device: cuda, or cpu with `is_quick`.
        is_quick: A small network and few rounds, which show that everything runs.
    """
    if is_quick:
        return _list_quick_parts(device)
    on = ("--set", f"device={device}")
    # the limits are guesses: no GPU has run this yet
    forward, training, compiled = [], [], []
    for network in NETWORKS:
        config = ("--config", f"configs/ava/{network}.yaml")
        batches = ("8", "32") if network.startswith("slowfast_r50") else ("4", "8")
        forward += [
            _measure(
                name_part(FORWARD, network),
                ("model", *config, "--batch", "1", *batches, "--repeat", "5", *on),
                90,
            )
        ]
        training += [
            _measure(
                name_part(TRAINING, network),
                ("train", *config, "--batch", *batches, "--repeat", "5", *on),
                75,
            )
        ]
        compile_too = ("model", *config, "--batch", "8", "--runtimes", "compile", "--repeat", "5")
        compiled += [_measure(name_part(COMPILED, network), (*compile_too, *on), 120)]
    demo = ("--config", f"configs/ava/{MAIN}.yaml", "--whole", "--height", "1080")
    return [
        _measure(PRECISION, ("precision", "--device", device), 40),
        forward[0],
        training[0],
        _measure(DEMO, ("demo", f"device={device}", *demo), 75),
        _list_tests(100),
        _measure(
            EVALUATOR, ("evaluate", "--videos", "64", "--repeat", "1", "--device", device), 75
        ),
        _measure(DETECTOR, ("detector", "--device", device), 45),
        *[part for pair in zip(forward[1:], training[1:], strict=True) for part in pair],
        *compiled,
    ]


def _list_quick_parts(device: str) -> list[Part]:
    config = ("--config", "configs/synthetic/slowfast.yaml")
    small = (*config, "--size", "64", "--repeat", "1", "--set", f"device={device}")
    detector = ("--height", "48", "--short-side", "32", "--batch", "1", "--repeat", "1")
    demo = (*config, "--whole", "--height", "90", "--repeat", "1")
    limit = 600.0
    return [
        _measure(PRECISION, ("precision", "--device", device), limit),
        _measure(name_part(FORWARD, MAIN), ("model", *small), limit),
        _measure(name_part(TRAINING, MAIN), ("train", *small), limit),
        _measure(DEMO, ("demo", f"device={device}", *demo), limit),
        _list_tests(limit, "tests/evaluation"),
        _measure(
            EVALUATOR, ("evaluate", "--videos", "1", "--repeat", "1", "--device", device), limit
        ),
        _measure(DETECTOR, ("detector", "--device", device, *detector), limit),
    ]


def _measure(name: str, options: Sequence[str], limit: float) -> Part:
    return Part(name, ("benchmarks", *options, "--json"), limit)


def _list_tests(limit: float, folder: str = "tests") -> Part:
    """Returns pytest on the files that have tests of a GPU: collecting all others takes longer."""
    files = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / folder).rglob("test_*.py"))
        if "mark.gpu" in path.read_text(encoding="utf-8")
    ]
    options = ("pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *files, "--junitxml")
    return Part(TESTS, options, limit)
