"""Person boxes of whole folders: what is found, what survives a kill, what is passed over."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from ava_det.formats.annotations import load_boxes
from tests.support.numbered_video import write_numbered_video
from tests.support.rendering import render_synthetic

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, str, str]]


def few(synthetic: Path) -> list[Path]:
    return sorted((synthetic / "videos").glob("train_*.mp4"))[:3]


def test_motion_finds_nine_of_ten_synthetic_persons(run_tool: Run, tmp_path: Path) -> None:
    # 30 s: enough for a background
    synthetic = render_synthetic(tmp_path / "set", "--num-train=1", "--num-val=3")
    output = tmp_path / "boxes.csv"
    code, out, _ = run_tool(
        "detect_persons",
        "--detector",
        "motion",
        "--videos",
        synthetic / "videos",
        "--output",
        output,
        "--at",
        synthetic / "val.csv",
        "--start-second",
        900,
    )
    assert code == 0
    found = re.search(r"AP ([\d.]+) .*\nscore >= 0.05: recall ([\d.]+), precision ([\d.]+)", out)
    assert found is not None, out
    assert all(float(value) >= 0.9 for value in found.groups()), out
    boxes = load_boxes(output, 0.0)
    assert {video for video, _ in boxes} == {f"val_{index:07d}" for index in range(3)}
    assert {float(key) for _, key in boxes} <= set(range(902, 928))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boxes.csv", "set"]


def test_every_half_second_from_the_first_frame(
    run_tool: Run, synthetic: Path, tmp_path: Path
) -> None:
    output = tmp_path / "boxes.csv"
    code, out, _ = run_tool(
        "detect_persons",
        "--detector",
        "motion",
        "--videos",
        *few(synthetic),
        "--output",
        output,
        "--every",
        0.5,
    )
    assert code == 0
    assert "in 3 videos" in out
    times = {float(key) for _, key in load_boxes(output, 0.0)}
    assert times <= {index / 2 for index in range(16)}
    assert len(times) > 12


class Killed(BaseException):
    pass


def test_a_run_that_dies_at_any_write_goes_on_to_the_same_bytes(
    run_tool: Run, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(output: Path) -> tuple[int, str, str]:
        return run_tool(
            "detect_persons",
            "--detector",
            "motion",
            "--videos",
            *few(synthetic)[:2],
            "--output",
            output,
            "--every",
            2,
        )

    whole = tmp_path / "whole.csv"
    assert run(whole)[0] == 0
    # settings, two parts, the merged file; then three files of the folder are removed
    for step in range(1 + 2 + 1 + 3):
        output = tmp_path / f"{step}" / "boxes.csv"
        calls = 0

        def die(real: Callable[..., object], at: int = step) -> Callable[..., object]:
            def call(*args: object, **options: object) -> object:
                nonlocal calls
                calls += "/.work" not in str(args[0])
                if calls == at + 1 and "/.work" not in str(args[0]):
                    raise Killed
                return real(*args, **options)

            return call

        with monkeypatch.context() as patch:
            patch.setattr("ava_det.files.atomic.os.replace", die(os.replace))
            patch.setattr("ava_det.detectors.box_file.Path.unlink", die(Path.unlink))
            with pytest.raises(Killed):
                run(output)
        assert run(output)[0] == 0
        assert output.read_bytes() == whole.read_bytes(), step
        assert [path.name for path in output.parent.iterdir()] == ["boxes.csv"], step


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        str(ROOT / "tools/detect_persons.py"),
        *map(str, arguments),
        "--device",
        "cpu",
    ]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    )


def test_kill_9_in_the_middle_and_two_ranks_give_the_same_bytes(
    run_tool: Run, synthetic: Path, tmp_path: Path
) -> None:
    options = ["--detector", "motion", "--videos", synthetic / "videos", "--every", 0.5]
    whole, killed, shared = (tmp_path / f"{name}.csv" for name in ("whole", "killed", "shared"))
    assert run_tool("detect_persons", *options, "--output", whole)[0] == 0
    process = start(*options, "--output", killed)
    parts = tmp_path / "killed.csv.parts"
    while not list(parts.glob("*.csv")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in parts.glob("[!.]*.csv")}
    assert 0 < len(done) < 7
    assert run_tool("detect_persons", *options, "--output", killed)[0] == 0
    assert killed.read_bytes() == whole.read_bytes()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        start(*options, "--output", shared, RANK=rank, LOCAL_RANK=rank, **world)
        for rank in ("0", "1")
    ]
    errors = [rank.communicate(timeout=120)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], errors
    assert shared.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_three_commands_at_once_one_of_them_killed_give_the_same_bytes(
    run_tool: Run, synthetic: Path, tmp_path: Path
) -> None:
    options = ["--detector", "motion", "--videos", synthetic / "videos", "--every", 0.5]
    whole, shared = (tmp_path / f"{name}.csv" for name in ("whole", "shared"))
    assert run_tool("detect_persons", *options, "--output", whole)[0] == 0
    processes = [start(*options, "--output", shared, OMP_NUM_THREADS="1") for _ in range(3)]
    parts = tmp_path / "shared.csv.parts"
    while not list(parts.glob("*.csv")) and processes[0].poll() is None:
        time.sleep(0.01)
    processes[0].send_signal(signal.SIGKILL)
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [-signal.SIGKILL, 0, 0], errors
    assert shared.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shared.csv", "whole.csv"]


def test_a_bad_video_is_named_and_passed_over_and_tried_again(
    run_tool: Run, synthetic: Path, tmp_path: Path
) -> None:
    videos = tmp_path / "videos"
    output = tmp_path / "boxes.csv"
    videos.mkdir()
    good, cut = few(synthetic)[:2]
    shutil.copy(good, videos)
    (videos / "broken.mp4").write_bytes(b"no video")
    (videos / cut.name).write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    arguments = [
        "--detector",
        "motion",
        "--videos",
        videos,
        "--output",
        output,
        "--at",
        synthetic / "train.csv",
        "--start-second",
        900,
    ]
    code, out, err = run_tool("detect_persons", *arguments)
    assert code == 1
    assert "in 1 video;" in out
    passed_over = [line for line in err.splitlines() if line.startswith("passed over: ")]
    assert len(passed_over) == 3  # broken.mp4 has no keyframe, so nobody opens it
    assert cut.name in "".join(passed_over)
    assert {video for video, _ in load_boxes(output, 0.0)} == {good.stem}

    shutil.copytree(synthetic / "videos", videos, dirs_exist_ok=True)
    code, _, _ = run_tool("detect_persons", *arguments)
    assert code == 0
    assert len({video for video, _ in load_boxes(output, 0.0)}) == 4
    code, _, err = run_tool(
        "detect_persons", "--detector", "motion", "--videos", videos, "--output", output
    )
    assert code == 1
    assert "broken.mp4: cannot be opened as a video" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--videos", "nowhere"], "no such file or folder as nowhere"),
        (["--videos", "{tmp}"], "holds no video"),
        (["--videos", "{video}", "{copy}"], "have the same video id"),
        (["--videos", "{video}", "--every", "0"], "expected a positive number of seconds"),
        (["--videos", "{video}", "--every", "1", "--at", "x.csv"], "not allowed with"),
        (["--videos", "{video}", "--at", "x.csv"], "x.csv"),
        (["--videos", "{video}", "--detector", "eyes"], "eyes"),
        (["--videos", "{video}", "--every", "1e-7"], "0.001 or more, received '1e-7'"),
        (
            ["--videos", "{video}", "--start-second", "inf"],
            "expected a number of seconds, received 'inf'",
        ),
        (
            ["--videos", "{video}", "--start-second", "nan"],
            "expected a number of seconds, received 'nan'",
        ),
        (
            ["--videos", "{video}", "--at", "{empty}"],
            "expected keyframes of the videos given, such as train_0",
        ),
        (
            ["--videos", "{video}", "--detector", "faster_rcnn", "--weights", "{empty}"],
            "truncated or damaged",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    run_tool: Run, synthetic: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    video = few(synthetic)[0]
    copy = tmp_path / "elsewhere" / video.name
    copy.parent.mkdir()
    shutil.copy(video, copy)
    empty = tmp_path / "empty.csv"
    empty.touch()
    names = {
        "tmp": str(copy.parent.parent),
        "video": str(video),
        "copy": str(copy),
        "empty": str(empty),
    }
    before = sorted(tmp_path.iterdir())
    filled = [argument.format(**names) for argument in arguments]
    code, _, err = run_tool("detect_persons", *filled, "--output", tmp_path / "boxes.csv")
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_only_the_persons_of_annotations_matter(
    run_tool: Run, synthetic: Path, tmp_path: Path
) -> None:
    """Whatever the action ids: a table of them would not fit into memory."""
    video = few(synthetic)[0]
    rows = tmp_path / "rows.csv"
    rows.write_text(
        f"{video.stem},0003,0.1,0.1,0.5,0.9,999999999999,0\n{video.stem},0003,0.1,0.1,0.5,0.9,3,0\n"
    )
    options = (
        "--detector",
        "motion",
        "--videos",
        video,
        "--at",
        rows,
        "--output",
        tmp_path / "boxes.csv",
    )
    code, out, err = run_tool("detect_persons", *options)
    assert code == 0, err
    assert "1 labeled box on 1 keyframe:" in out


def test_options_may_change_as_long_as_no_video_is_done(
    run_tool: Run, synthetic: Path, tmp_path: Path
) -> None:
    (tmp_path / "boxes.csv.parts").mkdir()
    (tmp_path / "boxes.csv.parts" / "settings.json").write_text('{"--detector": "torchvision"}')
    options = (
        "--detector",
        "motion",
        "--videos",
        few(synthetic)[0],
        "--output",
        tmp_path / "boxes.csv",
    )
    assert run_tool("detect_persons", *options)[0] == 0


def test_a_begun_run_with_other_options_is_refused(
    run_tool: Run, synthetic: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    videos = few(synthetic)[0], tmp_path / "broken.mp4"
    arguments = ["--detector", "motion", "--videos", *videos, "--output", tmp_path / "boxes.csv"]
    assert run_tool("detect_persons", *arguments)[0] == 1
    code, _, err = run_tool("detect_persons", *arguments, "--min-score", 0.5)
    assert code == 2
    assert "begun with --min-score 0.05, expected 0.5" in err


def test_a_video_that_is_cut_off_is_looked_at_as_far_as_it_goes(
    run_tool: Run, tmp_path: Path
) -> None:
    path = tmp_path / "cut.mkv"
    moments = [Fraction(number, 25) for number in range(150)]
    write_numbered_video(path, moments, options={"g": "25", "bf": "0"}, rate=25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    output = tmp_path / "boxes.csv"
    options = ("--detector", "motion", "--every", "1", "--output", output)
    code, out, err = run_tool("detect_persons", "--videos", path, *options)
    assert code == 0, err
    assert "in 1 video;" in out
    assert "cut.mkv: it is cut off" in err
