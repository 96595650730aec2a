"""The logs people look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from ava_det.training.interval import measure_host_memory
from ava_det.training.log import TensorBoardLog, describe_line, format_duration

LINE = {
    "step": 20,
    "epoch": 0.5,
    "loss": 0.25,
    "lr": 0.1,
    "clips_per_second": 12.34,
    "data_wait": 0.071,
    "host_gb": 1.5,
    "cuda_gb": None,
    "seconds_left": 7300,
}


def test_a_line_for_people() -> None:
    assert describe_line(LINE) == (
        "epoch 0.50, step 20: loss 0.2500, lr 0.1, 12.3 clips/s, waiting for data 7%, memory "
        "1.50 GB, 2 h 2 min left"
    )
    assert "1.50 GB + CUDA 20.0 GB" in describe_line({**LINE, "cuda_gb": 20.0})
    assert describe_line({"epoch": 3, "mAP": 0.5}) == "epoch 3: frame mAP 0.5000"
    assert describe_line({"epoch": 3, "mAP": None}) == "epoch 3: no mAP exists"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (99, "99 s"), (600, "10 min"), (7300, "2 h 2 min"), (200_000, "2 d 7 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_memory_counts_what_is_held() -> None:
    before = measure_host_memory()
    held = bytearray(200 * 1024**2)
    held[::4096] = b"x" * len(held[::4096])
    after = measure_host_memory()
    if before is None or after is None:
        pytest.skip("needs Linux")
    assert 0.15 < after - before < 0.3


def test_tensorboard_gets_curves_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TensorBoardLog(tmp_path)
    log.write(**LINE)
    log.write(epoch=1, mAP=0.5)
    log.write(warning="a video is broken")
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(20, 0.25)]
    assert [(event.step, event.value) for event in events.Scalars("val/mAP")] == [(20, 0.5)]
