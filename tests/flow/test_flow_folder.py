"""Folders of optical flow: what is written is what is read, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from ava_det.flow import FlowFolder, encode_flow, write_flow_folder

FACTS = {"algorithm": "dis", "flow_range": 8.0}


def make_fields(count: int = 3) -> list[tuple[float, np.ndarray]]:
    """Smooth fields, float32 [2, 48, 64] within 8 pixels a step, 0.04 s apart."""
    y, x = np.mgrid[:48, :64] / 8
    return [
        (k / 25, np.stack([6 * np.sin(x + k), 6 * np.cos(y - k)]).astype(np.float32))
        for k in range(count)
    ]


def test_what_was_written_is_read_within_a_few_levels(tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    fields = make_fields()
    write_flow_folder(folder, fields, FACTS)
    names = [f"flow_{axis}_{number:05d}.jpg" for axis in "xy" for number in (1, 2, 3)]
    assert sorted(path.name for path in folder.iterdir()) == ["flow.json", *names]
    assert [path.name for path in tmp_path.iterdir()] == ["walk"]

    flow = FlowFolder(folder)
    assert len(flow) == 3
    assert flow.flow_range == 8
    assert flow.facts == {**FACTS, "width": 64, "height": 48, "seconds": [0.0, 0.04, 0.08]}
    expected = np.stack([field for _, field in fields], axis=1)
    coded = flow.read_coded([0, 1, 2])
    assert coded.dtype == np.uint8
    off = np.abs(coded.astype(int) - encode_flow(expected, 8))
    assert off.max() <= 4  # levels that JPEG of quality 95 costs
    assert off.mean() < 1
    read = flow.read([2, 0])
    assert read.shape == (2, 2, 48, 64)
    assert read.dtype == np.float32
    assert np.abs(read - expected[:, [2, 0]]).mean() < 16 / 255


def test_pictures_are_gray_and_of_opencvs_default_quality(tmp_path: Path) -> None:
    [(_, field)] = make_fields(1)
    write_flow_folder(tmp_path / "walk", [(0.0, field)], FACTS)
    expected = cv2.imencode(".jpg", encode_flow(field, 8)[0])[1].tobytes()
    assert (tmp_path / "walk/flow_x_00001.jpg").read_bytes() == expected


@pytest.mark.parametrize("first", [0, 1])
def test_a_folder_of_another_project_is_read_with_its_range(tmp_path: Path, first: int) -> None:
    for number in range(first, first + 2):
        cv2.imwrite(str(tmp_path / f"img_{number:05d}.jpg"), np.zeros((8, 8, 3), np.uint8))
        for axis, level in (("x", 191), ("y", 64)):
            gray = np.full((8, 8), level + number - first, np.uint8)
            cv2.imwrite(str(tmp_path / f"flow_{axis}_{number:05d}.jpg"), gray)
    with pytest.raises(ValueError, match=r"expected flow.json with the range of its flow, or"):
        FlowFolder(tmp_path)
    flow = FlowFolder(tmp_path, 20)
    assert flow.facts == {}
    assert flow.read_coded([0, 1])[:, :, 0, 0].tolist() == [[191, 192], [64, 65]]
    assert flow.read([0])[:, 0, 3, 3] == pytest.approx([9.96, -9.96], abs=0.01)


def test_mistakes_of_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: no such folder of optical flow"):
        FlowFolder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"expected flow_x_00001.jpg, flow_y_00001.jpg"):
        FlowFolder(tmp_path)
    folder = tmp_path / "walk"
    write_flow_folder(folder, make_fields(), FACTS)
    with pytest.raises(ValueError, match=r"flow.json: its flow has the range 8, expected 20"):
        FlowFolder(folder, 20)
    (folder / "flow_y_00002.jpg").write_bytes(b"\xff\xd8 cut")
    with pytest.raises(ValueError, match=r"flow_y_00002.jpg: expected a whole JPEG picture"):
        FlowFolder(folder).read([1])
    (folder / "flow_y_00002.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"flow_y_00002.jpg: expected a whole JPEG picture"):
        FlowFolder(folder).read([1])
    (folder / "flow_y_00002.jpg").unlink()
    with pytest.raises(ValueError, match=r"walk: flow_y_00002.jpg is missing"):
        FlowFolder(folder)
    (folder / "flow.json").write_text(json.dumps({"flow_range": "wide"}))
    (folder / "flow_x_00002.jpg").unlink()
    with pytest.raises(ValueError, match=r"walk: flow_x_00002.jpg is missing"):
        FlowFolder(folder)
    (folder / "flow_x_00003.jpg").unlink()
    (folder / "flow_y_00003.jpg").unlink()
    with pytest.raises(ValueError, match=r"flow.json: expected the facts of optical flow"):
        FlowFolder(folder)


def test_a_video_that_fails_in_its_middle_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Iterator[tuple[float, np.ndarray]]:
        yield make_fields(1)[0]
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        write_flow_folder(tmp_path / "walk", fail(), FACTS)
    with pytest.raises(ValueError, match="walk: expected two frames or more"):
        write_flow_folder(tmp_path / "walk", [], FACTS)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_others_wrote_stays(tmp_path: Path) -> None:
    left = tmp_path / ".walk.0123abcd.tmp"
    left.mkdir()
    of_another = tmp_path / ".walk.a.0123abcd.tmp"
    of_another.mkdir()
    (left / "flow_x_00009.jpg").write_bytes(b"half")
    write_flow_folder(tmp_path / "walk", make_fields(), FACTS)
    assert len(FlowFolder(tmp_path / "walk")) == 3
    assert not left.exists() and of_another.exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "flow_x_00001.jpg").write_bytes(b"theirs")
    with pytest.raises(ValueError, match=r"is there already, and no flow of this command"):
        write_flow_folder(other, make_fields(), FACTS)
    assert (other / "flow_x_00001.jpg").read_bytes() == b"theirs"
