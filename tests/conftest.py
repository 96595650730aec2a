"""What tests share: a small rendered dataset, the way to the real data, and tools run in this
process.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from ava_det.commands import COMMANDS
from tests.support.precision_answers import WITHOUT, answer
from tests.support.rendering import render_synthetic

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("AVA_DET_SHARED", ROOT.parent / "shared"))

settings.register_profile("ava_det", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("ava_det")
# in the background of a script Ctrl-C is ignored, also by every process that the tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# small tensors: threads cost more than they bring, and results stay the same everywhere
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips the tests that need a CUDA device where there is none."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu") is not None:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def _keep_denormals() -> Iterator[None]:
    """The tools flush denormals in their process; here that would reach hypothesis, which refuses
    to work so.
    """
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def _fp32_everywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`precision: auto` is fp32 unless a test says otherwise: results are the same everywhere.

    Tests of a GPU ask the GPU: told that it has no bfloat16, they would test fp32 in its place.
    """
    if request.node.get_closest_marker("gpu") is None:
        answer(monkeypatch, WITHOUT)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic dataset of 4 training videos, 2 validation videos and a demo video, 8 s each."""
    return render_synthetic(
        tmp_path_factory.mktemp("synthetic"), "--num-train=4", "--num-val=2", "--seconds=8"
    )


@pytest.fixture
def synthetic_config(synthetic: Path, tmp_path: Path) -> list[str]:
    """`--config FILE` and overrides that train the smallest network on `synthetic` in a second or
    two.
    """
    data = [f"data.video_dir={synthetic}/videos", f"data.label_map={synthetic}/labelmap.pbtxt"]
    for split in ("train", "val"):
        data += [f"data.{split}.annotations={synthetic}/{split}.csv", f"data.{split}.boxes=gt"]
        data += [f"data.{split}.excluded={synthetic}/{split}_excluded.csv"]
    small = [
        "model.width=4",
        "data.train_short_side=[32,32]",
        "data.test_short_side=32",
        "train.batch_size=4",
    ]
    return [
        "--config",
        str(ROOT / "configs/synthetic/slowfast.yaml"),
        f"output_dir={tmp_path}/run",
        "device=cpu",
        "precision=fp32",
        "train.epochs=1",
        "train.log_every=1",
        *data,
        *small,
    ]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the real data in {SHARED} (set AVA_DET_SHARED)")
    return SHARED / "data"


@pytest.fixture
def run_tool(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a tool or a command by name: `run_tool("train_ava", "--config", ...)` gives (exit code,
    stdout, stderr).
    """

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        module = "benchmarks.__main__" if name == "benchmark" else f"tools.{name}"
        if name in COMMANDS and not (ROOT / f"tools/{name}.py").exists():
            module = COMMANDS[name].module
        main = importlib.import_module(module).main
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
