"""--hwaccel of the demo, detect and label: the same results from a device, or one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from av.codec.hwaccel import hwdevices_available

from ava_det.choices import HARDWARE_DECODERS
from ava_det.operations import label as operation
from tests.support import fake_device
from tests.support.inline_workers import InlineWorkers
from tests.support.tool_runs import RunTool, assert_mistake

COMMANDS = ("demo", "detect", "label")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        operation, "start_workers", lambda args: InlineWorkers(operation.describe_labeler(args))
    )


@pytest.fixture
def video(synthetic: Path, tmp_path: Path) -> Path:
    path = tmp_path / "videos" / "monday.mp4"
    path.parent.mkdir()
    path.write_bytes(min((synthetic / "videos").glob("val_*.mp4")).read_bytes())
    return path


@pytest.fixture
def run(run_tool: RunTool, video: Path, weights: Path) -> Run:
    """Runs a command on the video: its name, what it writes, and further options."""

    def run_on_video(command: str, output: Path, *options: str) -> tuple[int, str, str]:
        network = ["--weights", weights, "--every", 2, "--detector", "motion"]
        given = {
            "demo": ["--video", video, "--json", output, *network, "data.min_person_score=0.1"],
            "detect": ["--videos", video, "--output", output, *network[2:]],
            "label": [video.parent, "--output", output, *network, "data.min_person_score=0.1"],
        }
        return run_tool(command, *given[command], *options)

    return run_on_video


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_gives_the_same_results(
    run: Run, video: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = [tmp_path / name for name in ("software.jsonl", "device.jsonl")]
    assert run(command, outputs[0])[0] == 0
    opened = fake_device.install(monkeypatch)
    code, _, err = run(command, outputs[1], "--hwaccel", "cuda")
    assert code == 0, err
    assert video in opened
    results = [output if output.is_file() else output / "results" for output in outputs]
    files = [[path] if path.is_file() else sorted(path.iterdir()) for path in results]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    assert files[0][0].stat().st_size > 100
    if command == "label":  # a level may be another one, so an archive has one decoder
        found = run(command, outputs[1])
        assert_mistake(found, "hwaccel", "cuda", "received null")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_of_other_levels_is_said_and_not_used(
    run: Run, video: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_device.install(monkeypatch, fake_device.shift(9))
    code, _, err = run(command, tmp_path / "out.jsonl", "--hwaccel", "cuda")
    assert code == 0, err
    sentence = f"{video}: is decoded by software, not by cuda: a frame of the device differs by 9"
    assert err.count(sentence) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_an_absent_device_is_a_mistake(run: Run, tmp_path: Path, command: str) -> None:
    kind = next(kind for kind in HARDWARE_DECODERS if kind not in hwdevices_available())
    found = run(command, tmp_path / "out.jsonl", "--hwaccel", kind)
    assert_mistake(found, f"hwaccel {kind}", "expected one of")


def test_a_live_source_has_its_own_decoder(
    run_tool: RunTool, weights: Path, tmp_path: Path
) -> None:
    source = ["--video", "rtsp://127.0.0.1:9/none", "--json", tmp_path / "out.jsonl"]
    found = run_tool("demo", *source, "--weights", weights, "--hwaccel", "cuda")
    assert_mistake(found, "--hwaccel: not for a live source")
