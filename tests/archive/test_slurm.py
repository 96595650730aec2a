"""The Slurm array: its script, run by a shell as sbatch would run it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from ava_det.commands.label import make_parser
from ava_det.operations.label import describe_labeler, list_words
from tests.support.fake_archive import make_videos
from tests.support.tool_runs import RunTool, assert_mistake


def put_sbatch(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "sbatch").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_the_array_has_a_shard_a_task(
    run_tool: RunTool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_videos(tmp_path / "my videos", 3)
    put_sbatch(tmp_path / "bin", 'echo "Submitted batch job 7: $1"', monkeypatch)
    out = tmp_path / "out"
    words = ["--every", "2", "--detector", "motion", "--workers", "5", "--threshold", "0.1,walk=1"]
    words += ["--slurm", "partition=gpu", "--slurm", "exclusive", "data.start_second=3"]
    code, said, err = run_tool(
        "label", tmp_path / "my videos", "--output", out, "--engine", "slurm", *words
    )
    script = out / "slurm" / "label.sbatch"
    assert (code, said) == (0, f"Submitted batch job 7: {script}\n"), err
    lines = script.read_text().splitlines()
    assert "#SBATCH --array=1-5" in lines and "#SBATCH --partition=gpu" in lines
    assert "#SBATCH --exclusive" in lines and "#SBATCH --requeue" in lines
    # what a task would run, with python printing its words
    last = lines[-1].split(" -m ava_det label ")
    shown = f"{last[0]} -c 'import sys; print(*sys.argv[1:], sep=chr(10))' {last[1]}"
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "4"}
    run = subprocess.run(["bash", "-c", shown], env=environment, capture_output=True, text=True)
    task = make_parser().parse_intermixed_args(run.stdout.splitlines())
    assert (task.source, task.output) == (str(tmp_path / "my videos"), str(out))
    assert (task.shard, task.engine) == ((4, 5), None)
    assert (task.every, task.detector, task.threshold) == (2.0, "motion", "0.1,walk=1")
    assert task.overrides == ["data.start_second=3"]
    assert list_words(task) == run.stdout.splitlines()[1:-2]


def test_a_task_has_every_option_of_the_labeler(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("weights.pt", "config.yaml", "names.csv", "boxes.csv")]
    for path in paths:
        path.touch()
    weights, config, names, boxes = map(str, paths)
    words = ["videos", "--output", str(tmp_path), "--weights", weights, "--config", config]
    words += ["--label-map", names, "--runtime", "onnx", "--every", "0.1", "--threshold", "0.3"]
    words += ["--hwaccel", "vaapi", "data.min_person_score=0.1"]
    for who in (["--detector", "motion"], ["--boxes", boxes]):
        asked = make_parser().parse_intermixed_args([*words, *who])
        labeler = describe_labeler(asked)
        task = make_parser().parse_intermixed_args(["videos", *list_words(asked)])
        assert describe_labeler(task) == labeler
    standard = describe_labeler(make_parser().parse_args(["videos", "--output", str(tmp_path)]))
    for field in fields(labeler):  # a new option must be asked for above
        if field.name not in ("output", "detector"):
            assert getattr(labeler, field.name) != getattr(standard, field.name), field.name


def test_without_sbatch_the_line_is_said(
    run_tool: RunTool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_videos(tmp_path / "videos", 1)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = [tmp_path / "videos", "--output", tmp_path / "out", "--engine", "slurm"]
    code, said, _ = run_tool("label", *words)
    script = tmp_path / "out" / "slurm" / "label.sbatch"
    assert code == 0 and said.endswith(f": sbatch {script}\n") and script.is_file()


def test_mistakes_are_said_in_a_sentence(
    run_tool: RunTool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_videos(tmp_path / "videos", 1)
    words = [tmp_path / "videos", "--output", tmp_path / "out"]
    assert_mistake(run_tool("label", *words, "--slurm", "gpus=1"), "--slurm", "--engine slurm")
    slurm = [*words, "--engine", "slurm"]
    assert_mistake(run_tool("label", *slurm, "--slurm", "a b"), "--slurm", "'a b'")
    put_sbatch(tmp_path / "bin", "echo invalid partition >&2; exit 1", monkeypatch)
    assert_mistake(run_tool("label", *slurm), "label.sbatch: invalid partition")
