"""Person boxes of other projects: lists, ACAR-Net's pickle, AlphAction's JSON; and what is none."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ava_det.formats.annotations import load_boxes

BOX = [0.1, 0.2, 0.5, 0.8]
KEY = ("v", "902.000000")


def save(folder: Path, content: Any, suffix: str = ".pkl") -> Path:
    path = folder / f"boxes{suffix}"
    path.write_bytes(pickle.dumps(content) if suffix == ".pkl" else json.dumps(content).encode())
    return path


def check_one(path: Path, score: float) -> None:
    boxes = load_boxes(path, 0.0)
    assert list(boxes) == [KEY]
    assert boxes[KEY][0].tolist() == [pytest.approx(BOX)]
    assert boxes[KEY][1].tolist() == pytest.approx([score])


@pytest.mark.parametrize("suffix", [".pkl", ".json"])
def test_lists_mean_the_same_as_arrays(suffix: str, tmp_path: Path) -> None:
    check_one(save(tmp_path, {"v,0902": [[*BOX, 0.75]], "v,0903": []}, suffix), 0.75)
    check_one(save(tmp_path, {"v,0902": [BOX]}, suffix), 1.0)


def test_keyframes_with_nobody(tmp_path: Path) -> None:
    nobody = {"v,0903": np.array([]), "v,0904": np.zeros((0, 5)), "v,0905": ()}
    check_one(save(tmp_path, {"v,0902": [tuple(BOX)], **nobody}), 1.0)
    check_one(save(tmp_path, {("v", 902): [BOX]}), 1.0)


def test_acar_net(tmp_path: Path) -> None:
    labels = [{"bounding_box": BOX, "label": [0, 3]}]
    clips = [{"video": "v", "time": 902, "start_frame": 1, "n_frames": 90, "labels": labels}]
    clips.append({**clips[0], "time": "903", "labels": []})
    check_one(save(tmp_path, (clips, {0: {"name": "bend"}})), 1.0)
    check_one(save(tmp_path, clips), 1.0)
    with pytest.raises(ValueError, match="clip 1: expected video, time and labels"):
        load_boxes(save(tmp_path, [{"video": "v", "labels": labels}]), 0.0)


def test_alphaction(tmp_path: Path) -> None:
    (tmp_path / "boxes").mkdir()
    (tmp_path / "annotations").mkdir()
    found = [{"image_id": 10902, "category_id": 1, "bbox": [20, 20, 80, 60], "score": 0.75}]
    path = save(tmp_path / "boxes", found, ".json")
    with pytest.raises(ValueError, match=r"such as 10902: put AlphAction's annotations with these"):
        load_boxes(path, 0.0)
    image = {"id": 10902, "movie": "v", "timestamp": 902, "width": 200, "height": 100}
    images = {"images": [image], "annotations": []}
    (tmp_path / "annotations/ava_val_v2.2.json").write_text(json.dumps(images))
    check_one(path, 0.75)
    check_one(save(tmp_path, {**images, "annotations": found}, ".json"), 0.75)
    found[0]["image_id"] = 5
    with pytest.raises(ValueError, match="box 1: expected the image_id of a picture"):
        load_boxes(save(tmp_path, {**images, "annotations": found}, ".json"), 0.0)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"v,0902": [[1, 2, 3]]}, "key 'v,0902': expected an array of boxes [N, 5], found list"),
        ({"v,0902": [BOX, [1.0]]}, "expected an array of boxes [N, 5], found list"),
        ({"v,0902": "boxes"}, "expected an array of boxes [N, 5], found str"),
        ({"v": [BOX]}, "expected keys such as \"video_id,0902\", found 'v'"),
        ({("v", 902, 1): [BOX]}, "expected keys such as"),
        ({(902, "v"): [BOX]}, "expected keys such as"),
        ([BOX], 'expected a dict from "video_id,timestamp" to boxes, found list'),
        ({"v,0902": [[20, 20, 80, 60, 0.9]]}, "in fractions of the frame, found 20,20,80,60"),
    ],
)
def test_other_content_is_refused(content: Any, expected: str, tmp_path: Path) -> None:
    for suffix in (".pkl", ".json") if all(isinstance(key, str) for key in content) else (".pkl",):
        with pytest.raises(ValueError, match="boxes") as refused:
            load_boxes(save(tmp_path, content, suffix), 0.0)
        assert expected in str(refused.value)


def test_broken_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    for text in ('{"v,0902": ', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"boxes\.json: expected JSON"):
            load_boxes(path, 0.0)
