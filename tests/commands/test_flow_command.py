"""`ava-det flow`: known motion, runs that go on, several processes, videos that cannot be read."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ava_det.commands.flow import main
from ava_det.flow import FlowFolder
from ava_det.video.writer import VideoWriter
from tests.support.ranks import start_ranks
from tests.support.tool_runs import RunTool, assert_mistake

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT, FPS = 96, 64, 25
BLOCK = 4096  # bytes
STEPS = {"east": (2, 0), "north": (0, -1), "rest": (0, 0)}  # pixels a frame
NUM_FRAMES = {"east": 12, "north": 9, "rest": 5}


def write_moving(path: Path, step: tuple[int, int], num_frames: int) -> None:
    """A smooth texture of which each frame shows another part, so that all of it moves."""
    noise = np.random.default_rng(0).uniform(0, 255, (160, 192, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    texture = np.clip((blurred - 127) * 6 + 127, 0, 255).astype(np.uint8)
    with VideoWriter(path, WIDTH, HEIGHT, FPS) as writer:
        for number in range(num_frames):
            left, top = 48 - step[0] * number, 48 - step[1] * number
            part = texture[top : top + HEIGHT, left : left + WIDTH]
            writer.write(np.ascontiguousarray(part), number / FPS)


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moving")
    for name, step in STEPS.items():
        write_moving(folder / f"{name}.mp4", step, NUM_FRAMES[name])
    return folder


@pytest.fixture(scope="module")
def written(moving: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flow of these videos by one process; no test changes it."""
    output = tmp_path_factory.mktemp("written") / "flow"
    assert main(["--videos", str(moving), "--output", str(output)]) == 0
    return output


def read_all(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_fields_say_how_the_texture_moves(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == ["east", "flow.json", "north", "rest"]
    for name, step in STEPS.items():
        flow = FlowFolder(written / name)
        assert len(flow) == NUM_FRAMES[name] - 1
        assert flow.flow_range == 20
        inside = flow.read(range(len(flow)))[:, :, 8:-8, 8:-8]
        assert np.median(inside, axis=(1, 2, 3)) == pytest.approx(step, abs=0.25)
    facts = json.loads((written / "north/flow.json").read_text())
    assert facts.pop("seconds") == pytest.approx([k / FPS for k in range(8)], abs=1e-4)
    assert facts == {
        "algorithm": "dis",
        "flow_range": 20.0,
        "short_side": None,
        "fps": None,
        "stream": None,
        "width": WIDTH,
        "height": HEIGHT,
    }


def test_options_decide_size_rate_and_range(
    run_tool: RunTool, moving: Path, tmp_path: Path
) -> None:
    options = ["--short-side", 32, "--fps", 5, "--range", 40, "--algorithm", "farneback"]
    code, _, err = run_tool("flow", "--videos", moving, "--output", tmp_path, *options)
    assert code == 0, err
    flow = FlowFolder(tmp_path / "east")
    assert (flow.facts["algorithm"], flow.flow_range) == ("farneback", 40)
    assert (flow.facts["width"], flow.facts["height"]) == (48, 32)
    assert flow.facts["seconds"] == pytest.approx([0, 0.2])
    # five frames of two pixels, at half the size
    assert np.median(flow.read([0])[:, 0, 8:-8, 12:-8], axis=(1, 2)) == pytest.approx(
        (5, 0), abs=0.5
    )


def test_the_same_command_computes_nothing_again_but_what_is_new(
    run_tool: RunTool, moving: Path, written: Path, tmp_path: Path
) -> None:
    videos, output = tmp_path / "videos", tmp_path / "flow"
    shutil.copytree(moving, videos)
    (videos / "north.mp4").rename(tmp_path / "north.mp4")
    code, out, err = run_tool("flow", "--videos", videos, "--output", output)
    assert (code, "optical flow of 2 videos" in out) == (0, True), err
    times = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    (tmp_path / "north.mp4").rename(videos / "north.mp4")
    code, out, err = run_tool("flow", "--videos", videos, "--output", output)
    assert (code, "the flow of 1 video will take" in out) == (0, True), err
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert read_all(output) == read_all(written)
    code, out, _ = run_tool("flow", "--videos", videos, "--output", output)
    assert (code, out) == (0, f"optical flow of 3 videos; written: {output}\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--algorithm", "farneback"], ("--algorithm dis", "received --algorithm farneback")),
        (["--range", 8], ("--range 20.0", "received --range 8.0")),
        (["--short-side", 32], ("no --short-side", "received --short-side 32")),
        (["--fps", 5], ("no --fps", "received --fps 5")),
        (["--stream", 0], ("no --stream", "received --stream 0")),
    ],
)
def test_other_options_on_a_begun_run_are_refused(
    run_tool: RunTool, moving: Path, written: Path, options: list[object], words: tuple[str, ...]
) -> None:
    before = read_all(written)
    result = run_tool("flow", "--videos", moving, "--output", written, *options)
    assert_mistake(result, "flow.json: the flow beside it was computed with", *words)
    assert read_all(written) == before


def test_options_of_a_run_that_wrote_nothing_bind_nobody(
    run_tool: RunTool, moving: Path, tmp_path: Path
) -> None:
    output = tmp_path / "flow"
    too_small = ["--videos", moving, "--output", output, "--short-side", 16]
    code, _, err = run_tool("flow", *too_small)
    assert code == 1
    assert (
        f"passed over: {moving}/east.mp4: optical flow by dis: expected frames of at least" in err
    )
    code, _, err = run_tool("flow", *too_small[:-1], 32)
    assert code == 0, err


def test_mistakes_are_one_sentence(run_tool: RunTool, moving: Path, tmp_path: Path) -> None:
    for videos, output, words in (
        (tmp_path / "none", tmp_path / "flow", "--videos: no such folder"),
        (tmp_path, tmp_path / "flow", "the folder holds no video"),
        (moving, moving / "rest.mp4", "--output: expected a folder to write"),
        (moving, moving, "--output: expected another folder than --videos"),
    ):
        assert_mistake(run_tool("flow", "--videos", videos, "--output", output), words)
    inside = ["--videos", moving, "--output", moving / "flow"]
    assert_mistake(run_tool("flow", *inside, "--recursive"), "expected a folder outside of")
    assert_mistake(run_tool("flow", *inside, "--range", 0), "expected pixels a step above 0")
    assert sorted(path.name for path in moving.iterdir()) == [f"{name}.mp4" for name in STEPS]
    assert not list(tmp_path.iterdir())


def test_the_estimate_is_what_the_files_take(
    run_tool: RunTool, moving: Path, written: Path, tmp_path: Path
) -> None:
    _, out, _ = run_tool("flow", "--videos", moving, "--output", tmp_path)
    found = re.search(r"flow of 3 videos will take about ([\d.]+) MB .* of 3\); .* are free", out)
    assert found is not None, out
    sizes = [path.stat().st_size for path in written.rglob("*.jpg")]
    taken = sum(-(-size // BLOCK) * BLOCK for size in sizes) / 1e6
    assert float(found[1]) == pytest.approx(taken, rel=0.1, abs=0.05)


def test_bad_videos_are_named_and_passed_over_and_tried_again(
    run_tool: RunTool, moving: Path, written: Path, tmp_path: Path
) -> None:
    videos, output = tmp_path / "videos", tmp_path / "flow"
    shutil.copytree(moving, videos)
    (videos / "noise.mp4").write_bytes(b"no video")
    write_moving(videos / "still.mp4", (0, 0), 1)
    whole = (videos / "east.mp4").read_bytes()
    (videos / "east.mp4").write_bytes(whole[: len(whole) // 2])
    code, out, err = run_tool("flow", "--videos", videos, "--output", output)
    assert (code, "optical flow of 2 videos" in out) == (1, True)
    passed_over = [line for line in err.splitlines() if line.startswith("passed over: ")]
    assert len(passed_over) == 3
    for words in ("noise.mp4: ", "east.mp4: ", "still: expected two frames or more"):
        assert sum(words in line for line in passed_over) == 1, (words, passed_over)
    assert sorted(path.name for path in output.iterdir()) == ["flow.json", "north", "rest"]
    (videos / "east.mp4").write_bytes(whole)
    (videos / "noise.mp4").unlink()
    (videos / "still.mp4").unlink()
    assert run_tool("flow", "--videos", videos, "--output", output)[0] == 0
    assert read_all(output) == read_all(written)


KILLED = """
import os, signal
from ava_det.commands.flow import main
from ava_det.flow.classical import Dis
from ava_det.operations import flow

flow.describe_disk = lambda *_: ""
compute, calls = Dis.compute, []

def compute_until_killed(self, *pair):
    calls.append(pair)
    if len(calls) == {pair}:
        os.kill(os.getpid(), signal.SIGKILL)
    return compute(self, *pair)

Dis.compute = compute_until_killed
main({arguments})
"""


def test_kill_9_in_the_middle_leaves_nothing_half_written_and_the_run_goes_on(
    run_tool: RunTool, moving: Path, written: Path, tmp_path: Path
) -> None:
    arguments = ["--videos", str(moving), "--output", str(tmp_path / "flow")]
    pair = NUM_FRAMES["east"] - 1 + 4  # the largest file comes first; three of the next are done
    script = KILLED.format(pair=pair, arguments=arguments)
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    left = read_all(tmp_path / "flow")
    expected = read_all(written)
    finals = {name: content for name, content in left.items() if not name.startswith(".")}
    assert finals.items() <= expected.items()
    assert {name.partition("/")[0] for name in finals} == {"east", "flow.json"}
    hidden = [name for name in left if name.startswith(".") and not name.startswith(".work/")]
    assert len(hidden) == 2 * 3  # u and v in a hidden folder
    assert run_tool("flow", *arguments)[0] == 0
    assert read_all(tmp_path / "flow") == expected


def write_shared(folder: Path) -> int:
    return main(["--videos", str(folder / "videos"), "--output", str(folder / "flow")])


def test_two_processes_share_the_videos_and_write_the_same_bytes(
    moving: Path, written: Path, tmp_path: Path
) -> None:
    shutil.copytree(moving, tmp_path / "videos")
    for name in ("noise", "silence"):
        (tmp_path / f"videos/{name}.mp4").write_bytes(b"no video")
    [(first_code, first_err), (second_code, second_err)] = start_ranks(write_shared, tmp_path)
    assert (first_code, second_code) == (1, 1), first_err + second_err
    # one names what both met
    assert first_err.count("passed over: ") == 2
    assert "passed over: " not in second_err
    assert read_all(tmp_path / "flow") == read_all(written)
