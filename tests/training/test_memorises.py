"""A network that can learn learns eight real clips by heart."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.needs_shared
def test_eight_real_clips_are_learned_by_heart(
    run_tool: Callable[..., tuple[int, str, str]], shared_data: Path, tmp_path: Path
) -> None:
    """Labeled clips of mini_ava, no augmentation: the loss, a mean over 80 actions, falls under
    0.01.
    """
    mini = shared_data / "mini_ava"
    rows = [line.split(",") for line in (mini / "train.csv").read_text().splitlines()]
    moments = random.Random(0).sample(sorted({(row[0], row[1]) for row in rows}), 8)
    eight = tmp_path / "eight.csv"
    eight.write_text("".join(",".join(row) + "\n" for row in rows if (row[0], row[1]) in moments))
    data = [f"data.{split}.annotations={eight}" for split in ("train", "val")]
    data += [f"data.{split}.excluded=null" for split in ("train", "val")]
    videos = [
        f"data.video_dir={shared_data}/videos",
        f"data.label_map={next(mini.glob('*.pbtxt'))}",
    ]
    plain = [
        "data.flip=false",
        "data.box_jitter=0",
        "data.train_short_side=[96,96]",
        "data.crop_size=null",
    ]
    recipe = [
        "train.epochs=60",
        "train.lr=0.002",
        "train.weight_decay=0",
        "train.log_every=1",
        "model.dropout=0",
    ]
    code, _, err = run_tool(
        "train_ava",
        "--config",
        ROOT / "configs/mini_ava/slowfast.yaml",
        f"output_dir={tmp_path}/run",
        "device=cpu",
        "precision=fp32",
        "weights=null",
        "train.warmup_epochs=5",
        *data,
        *videos,
        *plain,
        *recipe,
    )
    assert code == 0, err
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[0] > 0.5
    assert losses[-1] < 0.01
