"""docs/segments.md: its Python is run as written, on a video whose answers are known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ava_det.video.writer import VideoWriter
from tests.support.scripted_predictor import FPS, HEIGHT, WIDTH, ScriptedDetector, make_predictor

PAGE = Path(__file__).resolve().parents[2] / "docs/segments.md"


def test_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = tmp_path / "ramp.mp4"  # its brightness is 60 at second 1, 120 at second 2, ...
    with VideoWriter(video, WIDTH, HEIGHT, FPS) as writer:
        for index in range(4 * FPS):
            writer.write(np.full((HEIGHT, WIDTH, 3), 6 * index, np.uint8), index / FPS)
    everywhere = {second: [([16.0, 12.0, 32.0, 48.0], 0.9)] for second in range(4)}
    predictor = make_predictor(ScriptedDetector(everywhere))
    predictor.label_map = {1: "bright", 2: "left", 3: "right"}
    predictor.thresholds = {1: 0.6, 2: 0.5, 3: 0.7}
    [block] = re.findall(r"<!-- run -->\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {"predictor": predictor, "video": video}
    exec(block, names)
    assert capsys.readouterr().out == "#1 left: 0.0 to 3.0 s\n#1 bright: 2.0 to 3.0 s\n"
