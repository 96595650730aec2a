"""docs/custom_dataset.md, run as written; exports of the synthetic ground truth stand in for the
hours in CVAT.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.cli import ToolParser
from ava_det.commands import COMMANDS
from ava_det.config import load_config
from ava_det.formats.label_map import load_label_map
from ava_det.models.build import build_model
from tests.support.cvat_form import attribute, dense_boxes, export, labels, task_meta, track
from tests.support.rendering import render_synthetic

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/custom_dataset.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    indented = re.findall(r"^    (ava-det .*)$", PAGE, re.MULTILINE)
    return [line for block in blocks("bash") for line in block.splitlines()] + indented


class Parsed(Exception):
    """The command line was understood."""


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
            original(parser, args)  # type: ignore[operator]
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


def write_exports(data: Path, exports: Path, actions: list[str]) -> None:
    """What annotators would export: the synthetic ground truth, corrected on every second, with the
    page's actions.
    """
    names = load_label_map(data / "labelmap.pbtxt")
    persons: dict[str, dict[str, dict[int, tuple[list[float], set[str]]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for split in ("train", "val"):
        with open(data / f"{split}.csv", encoding="utf-8") as file:
            for video_id, second, *sides, action_id, person in csv.reader(file):
                frame = (int(second) - 900) * 15
                _, done = persons[video_id][person].setdefault(
                    frame, ([float(side) for side in sides], set())
                )
                done.add(names[int(action_id)])
    exports.mkdir()
    for video_id, tracks in persons.items():
        written = []
        for number, seen in enumerate(tracks.values()):
            keyframes = [
                (
                    frame,
                    tuple(side * (192, 144)[i % 2] for i, side in enumerate(sides)),
                    {name: str(name in done).lower() for name in actions},
                )
                for frame, (sides, done) in sorted(seen.items())
            ]
            written.append(track(number, dense_boxes(keyframes, 180)))  # type: ignore[arg-type]
        declared = labels(*(attribute(name) for name in actions))
        with zipfile.ZipFile(
            exports / f"task_{video_id}.zip", "w", zipfile.ZIP_DEFLATED
        ) as archive:
            archive.writestr(
                "annotations.xml",
                export(task_meta(f"{video_id}.mp4", 180, (192, 144), declared), *written),
            )


def prepare_folder(folder: Path) -> Path:
    """Everything the page expects a reader to have: videos, label map, experiment, and the
    quickstart's weights.
    """
    data = folder / "synthetic"
    page_folder = folder / "mine"
    render_synthetic(data, "--num-train=6", "--num-val=2", "--seconds=12")
    for name in ("tools", "configs"):
        (folder / name).symlink_to(ROOT / name)
    (page_folder / "videos").mkdir(parents=True)
    (page_folder / "new").mkdir()
    for path in (data / "videos").glob("*.mp4"):
        target = (
            page_folder / "new/walk.mp4"
            if path.stem.startswith("demo")
            else page_folder / "videos" / path.name
        )
        shutil.copyfile(path, target)
    [experiment] = blocks("yaml")
    [label_map] = blocks("pbtxt")
    (page_folder / "slowfast.yaml").write_text(experiment)
    (page_folder / "labelmap.pbtxt").write_text(label_map)
    torch.manual_seed(0)
    other = build_model(load_config("configs/synthetic/slowfast.yaml"))
    save_checkpoint(
        folder / "outputs/quickstart/checkpoints/last.pt", {"model": other.state_dict()}
    )
    return page_folder


@pytest.mark.slow
def test_the_page_is_run_as_written(tmp_path: Path) -> None:
    page_folder = prepare_folder(tmp_path)
    said = {}
    for block in blocks("bash"):
        for command in block.splitlines():
            if "cvat mine/exports" in command:
                actions = list(load_label_map(page_folder / "labelmap.pbtxt").values())
                write_exports(tmp_path / "synthetic", page_folder / "exports", actions)
            line = command.replace("ava-det ", f"{shlex.quote(sys.executable)} -m ava_det ", 1)
            finished = subprocess.run(
                line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert finished.returncode == 0, (
                f"{command}\n{finished.stdout[-2000:]}\n{finished.stderr[-2000:]}"
            )
            said[command] = finished.stdout
    [imported] = [out for command, out in said.items() if "cvat mine/exports" in command]
    assert "train.csv: 6 videos" in imported
    assert "val.csv: 2 videos" in imported
    assert "5 actions, model.num_classes=5" in imported
    [taken_over] = [out for command, out in said.items() if "weights=outputs" in command]
    assert "head.projection.weight (file [80, " in taken_over
    assert "what did not fit starts untrained" in taken_over
    detected, labeled = (
        json.loads((page_folder / run / "metrics.json").read_text()) for run in ("run", "run_gt")
    )
    assert (detected["boxes"], labeled["boxes"]) == ("mine/boxes.csv", "gt")
    assert set(labeled["per_class"]) == {"1", "2", "3", "4", "5"}
    # a few steps on six videos: the path works, the number says nothing
    assert labeled["mAP"] > 0.05
    with zipfile.ZipFile(next((page_folder / "exports").iterdir())) as archive:
        assert archive.namelist() == ["annotations.xml"]
    assert (page_folder / "next_drafts/walk.xml").stat().st_size > 0
    assert (page_folder / "suggested/drafts/walk.xml").stat().st_size > 0
    assert (page_folder / "overlay.mp4").stat().st_size > 0
