"""docs/custom_dataset.md, run as written.

The synthetic ground truth stands in for the hours in CVAT, in VIA and on the page of a review, a
server on this machine for the Hugging Face Hub.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.cli import ToolParser
from ava_det.commands import COMMANDS
from ava_det.config import load_config
from ava_det.formats.label_map import load_label_map
from ava_det.models.build import build_model
from tests.support.annotators import (
    SeenPerson,
    decide_segments,
    export_from_cvat,
    read_truth,
    save_from_via,
)
from tests.support.fake_hub import FakeHub
from tests.support.rendering import render_synthetic

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/custom_dataset.md").read_text(encoding="utf-8")
FORMATS = (ROOT / "docs/annotation_formats.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def steps() -> list[str]:
    """The commands of the page and, as one step of several lines, its Python, in their order."""
    found = re.findall(r"^```(bash|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [
        step for kind, text in found for step in (text.splitlines() if kind == "bash" else [text])
    ]


def commands() -> list[str]:
    listed = re.findall(r"^    (ava-det .*)$", FORMATS, re.MULTILINE)
    walked = [line for block in blocks("bash") for line in block.splitlines()]
    return [line for line in walked if line.startswith("ava-det ")] + listed


class Parsed(Exception):
    """The command line was understood."""


def test_no_command_of_the_page_is_left_to_the_reader() -> None:
    outside = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"^ *ava-det .*$", outside, re.MULTILINE)


@pytest.mark.parametrize("command", commands())
def test_every_command_has_options_its_tool_knows(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, word, *arguments = shlex.split(command)
    for name in ("parse_args", "parse_intermixed_args"):
        original = getattr(argparse.ArgumentParser, name)

        def parse(
            parser: ToolParser, args: list[str] | None = None, original: object = original
        ) -> None:
            original(parser, args)
            raise Parsed

        monkeypatch.setattr(ToolParser, name, parse)
    with pytest.raises(Parsed):
        importlib.import_module(COMMANDS[word].module).main(arguments)


def test_the_experiment_and_the_label_map_of_the_page_fit(tmp_path: Path) -> None:
    [experiment] = blocks("yaml")
    [label_map] = blocks("pbtxt")
    (tmp_path / "slowfast.yaml").write_text(experiment)
    (tmp_path / "labelmap.pbtxt").write_text(label_map)
    config = load_config(tmp_path / "slowfast.yaml")
    assert max(load_label_map(tmp_path / "labelmap.pbtxt")) == config.model.num_classes


def prepare_folder(folder: Path) -> None:
    """Everything the page expects a reader to have: videos, label map, experiment, and the
    quickstart's weights.
    """
    data = folder / "synthetic"
    page_folder = folder / "mine"
    render_synthetic(data, "--num-train=7", "--num-val=2", "--seconds=12")
    for name in ("tools", "configs"):
        (folder / name).symlink_to(ROOT / name)
    (page_folder / "videos").mkdir(parents=True)
    (page_folder / "new").mkdir()
    for path in (data / "videos").glob("*.mp4"):
        if path.stem not in NEW_VIDEOS:
            shutil.copyfile(path, page_folder / "videos" / path.name)
    [experiment] = blocks("yaml")
    [label_map] = blocks("pbtxt")
    (page_folder / "slowfast.yaml").write_text(experiment)
    (page_folder / "labelmap.pbtxt").write_text(label_map)
    torch.manual_seed(0)
    other = build_model(load_config("configs/synthetic/slowfast.yaml"))
    save_checkpoint(
        folder / "outputs/quickstart/checkpoints/last.pt", {"model": other.state_dict()}
    )


NEW_VIDEOS = {"demo_000000": "walk", "train_00006": "street"}  # which come later


@dataclass
class Reader:
    """Follows the page in a folder. said: command -> what it printed."""

    folder: Path
    environment: Mapping[str, str]
    said: dict[str, str] = field(default_factory=dict)
    decided: list[int] = field(default_factory=list)

    def follow(self, step: str) -> None:
        words = step.split()
        if words[:2] == ["ava-det", "review"]:
            self.review(step)
            return
        if words[1] == "suggest":
            self.add_video("walk")
            put_aside(self.folder / "mine/round2/drafts")
        elif words[1] == "demo":
            self.add_video("street")
        elif words[1] == "import":
            self.label(words[2], self.folder / Path(words[3]).parents[1])
        is_python = "\n" in step
        finished = subprocess.run(
            [sys.executable, "-c", step] if is_python else in_this_python(step),
            shell=not is_python,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, (
            f"{step}\n{finished.stdout[-2000:]}\n{finished.stderr[-2000:]}"
        )
        self.said[step] = finished.stdout

    def add_video(self, name: str) -> None:
        [source] = [video_id for video_id, new in NEW_VIDEOS.items() if new == name]
        target = self.folder / "mine/new" / f"{name}.mp4"
        shutil.copyfile(self.folder / "synthetic/videos" / f"{source}.mp4", target)

    def label(self, tool: str, round_folder: Path) -> None:
        """Works with one of the tools, as if the other one had not been."""
        drafts, exports = round_folder / "drafts", round_folder / "exports"
        if tool == "cvat":
            export_from_cvat(self.truth(), self.moments(round_folder), self.actions(), exports)
            return
        put_aside(round_folder / "train.csv")
        put_aside(round_folder / "val.csv")
        save_from_via(self.truth(), self.moments(round_folder), drafts, exports)

    def actions(self) -> list[str]:
        return list(load_label_map(self.folder / "mine/labelmap.pbtxt").values())

    def truth(self) -> dict[str, list[SeenPerson]]:
        return read_truth(self.folder / "synthetic", NEW_VIDEOS, self.actions())

    def moments(self, round_folder: Path) -> set[tuple[str, int]]:
        """What a person labels: the suggested keyframes or, in the first round, all."""
        if not (round_folder / "suggestions.csv").exists():
            return {
                (video_id, person.second)
                for video_id, persons in self.truth().items()
                for person in persons
                if video_id not in NEW_VIDEOS.values()
            }
        with open(round_folder / "suggestions.csv", encoding="utf-8") as file:
            return {(row["video"], int(float(row["second"]))) for row in csv.DictReader(file)}

    def review(self, command: str) -> None:
        """Opens the address that is printed, decides every segment, and presses Ctrl-C."""
        process = subprocess.Popen(
            shlex.split(in_this_python(command)),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if line:
                url = line.split()[-1]
                self.decided = decide_segments(url, "street", self.truth()["street"])
                process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 130, errors
        number = len(self.decided)
        assert f"mine/reviewed.csv: {number} of {number} segments decided" in errors


def put_aside(path: Path) -> None:
    """A reader takes one tool: what was made for CVAT is not there for VIA."""
    if path.exists():
        path.rename(path.with_name(f"cvat_{path.name}"))


def in_this_python(command: str) -> str:
    return command.replace("ava-det ", f"{shlex.quote(sys.executable)} -m ava_det ", 1)


def read_rows(*paths: Path) -> list[tuple[str, float, str, list[float]]]:
    """Video, second, action, box, without who is who, sorted."""
    rows = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            rows += [
                (row[0], float(row[1]), row[6], [float(side) for side in row[2:6]])
                for row in csv.reader(file)
            ]
    return sorted(rows)


def assert_same_labels(folder: Path, *names: str) -> None:
    """VIA's import has what CVAT's has; that one has keyframes between those that were drawn, too,
    as on a second of which the ground truth says nothing.
    """
    via = read_rows(*(folder / name for name in names))
    keyframes = {row[:2] for row in via}
    cvat = read_rows(*(folder / f"cvat_{name}" for name in names))
    cvat = [row for row in cvat if row[:2] in keyframes]
    assert [row[:3] for row in via] == [row[:3] for row in cvat]
    for (*_, one), (*_, other) in zip(via, cvat, strict=True):
        assert one == pytest.approx(other, abs=2e-4)  # CVAT writes hundredths of a pixel


@pytest.mark.slow
def test_the_page_is_run_as_written(tmp_path: Path) -> None:
    for library in ("huggingface_hub", "starlette", "uvicorn", "httpx"):
        pytest.importorskip(library)
    prepare_folder(tmp_path)
    with FakeHub() as hub:
        reader = Reader(tmp_path, {**os.environ, **hub.environment(tmp_path / "hub")})
        for step in steps():
            reader.follow(step)
        files = hub.repositories["user/walk-net"].newest()
    check_labels(reader)
    check_models(reader, files)


def find_said(reader: Reader, words: str) -> str:
    [said] = [said for command, said in reader.said.items() if words in command]
    return said


def check_labels(reader: Reader) -> None:
    mine = reader.folder / "mine"
    for tool in ("cvat", "via"):
        imported = find_said(reader, f"import {tool} mine/exports")
        assert "train.csv: 6 videos" in imported
        assert "val.csv: 2 videos" in imported
        assert "5 actions, model.num_classes=5" in imported
        assert "train.csv: 1 video" in find_said(reader, f"import {tool} mine/round2")
    assert_same_labels(mine, "train.csv", "val.csv")
    assert_same_labels(mine / "round2", "train.csv")
    suggested = reader.moments(mine / "round2")
    assert len(suggested) == 5
    labeled = {(video_id, second) for video_id, second, *_ in read_rows(mine / "round2/train.csv")}
    assert labeled <= suggested
    project = json.loads((mine / "round2/drafts/walk.json").read_text())
    assert {("walk", box["z"][0]) for box in project["metadata"].values()} == suggested
    for name in ("round2/cvat_drafts/walk.xml", "found_drafts/street.xml"):
        assert "<box " in (mine / name).read_text()
    assert json.loads((mine / "found_drafts/street.json").read_text())["metadata"]
    reviewed = {action for _, _, action, _ in read_rows(mine / "reviewed.csv")}
    assert reviewed - {""} == {str(action_id) for action_id in reader.decided if action_id}


def check_models(reader: Reader, shared: Mapping[str, bytes]) -> None:
    mine = reader.folder / "mine"
    taken_over = find_said(reader, "weights=outputs")
    assert "head.projection.weight (file [80, " in taken_over
    assert "what did not fit starts untrained" in taken_over
    detected, labeled, again = (
        json.loads((mine / run / "metrics.json").read_text()) for run in ("run", "run_gt", "run2")
    )
    assert (detected["boxes"], labeled["boxes"]) == ("mine/boxes.csv", "gt")
    assert set(labeled["per_class"]) == {"1", "2", "3", "4", "5"}
    # a few steps on six videos: the path works, the number says nothing
    assert labeled["mAP"] > 0.05
    assert json.loads(shared["metrics.json"])["mAP"] == again["mAP"]
    assert (mine / "overlay.mp4").stat().st_size > 0
    lines = find_said(reader, "from_pretrained").splitlines()
    assert len([line for line in lines if "tensor(" in line]) > 0
