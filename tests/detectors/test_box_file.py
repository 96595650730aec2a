"""A box file that grows video by video."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ava_det.detectors.box_file import BoxParts
from ava_det.formats.annotations import load_boxes, write_boxes
from ava_det.structures import KeyframeKey, Persons

SETTINGS: dict[str, str | float | None] = {"--detector": "motion", "--every": 1.0}


def one_box(video: str, timestamp: float = 1.0) -> dict[KeyframeKey, Persons]:
    return {
        KeyframeKey.at(video, timestamp): Persons(
            torch.tensor([[0.1, 0.2, 0.3, 0.4]]), torch.tensor([0.5])
        )
    }


def test_the_parts_one_after_the_other_are_the_file_written_at_once(tmp_path: Path) -> None:
    parts = BoxParts(tmp_path / "boxes.csv")
    parts.begin(SETTINGS, is_alone=True)
    for video in ("c", "a", "b"):
        parts.write(video, one_box(video))
    parts.merge(["b", "c", "a"])
    write_boxes(tmp_path / "once.csv", one_box("a") | one_box("b") | one_box("c"))
    assert (tmp_path / "boxes.csv").read_bytes() == (tmp_path / "once.csv").read_bytes()
    parts.remove()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boxes.csv", "once.csv"]


def test_a_video_without_a_person_is_done(tmp_path: Path) -> None:
    parts = BoxParts(tmp_path / "boxes.csv")
    parts.begin(SETTINGS, is_alone=True)
    assert not parts.has("a")
    parts.write("a", {KeyframeKey.at("a", 1): Persons(torch.zeros(0, 4), torch.zeros(0))})
    assert BoxParts(tmp_path / "boxes.csv").has("a")
    parts.merge(["a"])
    assert load_boxes(tmp_path / "boxes.csv", 0.0) == {}


def test_a_run_with_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    parts = BoxParts(tmp_path / "boxes.csv")
    parts.begin(SETTINGS, is_alone=True)
    parts.write("a", one_box("a"))
    parts.begin(SETTINGS, is_alone=True)
    with pytest.raises(
        ValueError,
        match=r"boxes.csv.parts: holds a run that was begun with --every 1.0, expected 0.5",
    ):
        parts.begin({**SETTINGS, "--every": 0.5}, is_alone=True)


def test_settings_without_a_part_bind_only_while_another_process_works(tmp_path: Path) -> None:
    parts = BoxParts(tmp_path / "boxes.csv")
    parts.begin(SETTINGS, is_alone=True)
    with pytest.raises(ValueError, match=r"begun with --every 1.0, expected 0.5"):
        parts.begin({**SETTINGS, "--every": 0.5}, is_alone=False)
    parts.begin({**SETTINGS, "--every": 0.5}, is_alone=True)
    with pytest.raises(ValueError, match=r"begun with --every 0.5, expected 1.0"):
        parts.begin(SETTINGS, is_alone=False)


def test_a_part_that_another_machine_kept_for_itself_is_missed(tmp_path: Path) -> None:
    parts = BoxParts(tmp_path / "boxes.csv")
    parts.begin(SETTINGS, is_alone=True)
    with pytest.raises(
        ValueError, match="expected the boxes of elsewhere, made by another process"
    ):
        parts.merge(["elsewhere"])
    assert not (tmp_path / "boxes.csv").exists()


def test_what_a_killed_process_had_begun_goes_with_the_parts(tmp_path: Path) -> None:
    parts = BoxParts(tmp_path / "boxes.csv")
    parts.begin({"every": 1.0}, is_alone=True)
    parts.write("a", one_box("a"))
    (parts.folder / ".b.csv.0123abcd.tmp").touch()
    parts.merge(["a"])
    parts.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["boxes.csv"]
