"""Training from folders of pictures: the config names them where it would name videos."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from ava_det.video.file import VideoReader
from ava_det.video.sources import find_videos


def test_training_from_pictures(
    run_tool: Callable[..., tuple[int, str, str]],
    synthetic_config: list[str],
    synthetic: Path,
    tmp_path: Path,
) -> None:
    frames = tmp_path / "frames"
    for video_id, path in find_videos(synthetic / "videos").items():
        folder = frames / video_id
        folder.mkdir(parents=True)
        with VideoReader(path) as reader:
            for index in range(int(reader.find_end() * 30)):
                picture = reader.read([index / 30])[0]
                cv2.imwrite(str(folder / f"{video_id}_{index + 1:06d}.jpg"), picture[:, :, ::-1])
    scores = {}
    for name, folder in (("videos", synthetic / "videos"), ("pictures", frames)):
        settings = [f"data.video_dir={folder}", f"output_dir={tmp_path}/{name}"]
        code, _, err = run_tool("train_ava", *synthetic_config, *settings)
        assert code == 0, err
        scores[name] = json.loads((tmp_path / name / "metrics.json").read_text())
    assert scores["pictures"]["num_keyframes"] == scores["videos"]["num_keyframes"]
    assert scores["pictures"]["mAP"] == pytest.approx(scores["videos"]["mAP"], abs=0.1)
