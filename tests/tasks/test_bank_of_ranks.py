"""Two processes fill the bank of a split together: each its videos, and both read the whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.config import config_to_dict, load_config
from ava_det.distributed import process_group, rank
from ava_det.models.build import build_model
from ava_det.own_classes import FeatureCache
from ava_det.tasks.long_term import build_bank, fill_bank
from ava_det.tasks.splits import build_split
from tests.support.ranks import start_ranks
from tests.support.small_dataset import START, overrides, write_small_dataset

CPU = torch.device("cpu")
TINY = [
    "model.backbone=slow_only",
    "model.depth=14",
    "model.width=4",
    "model.num_slow_frames=2",
    "model.slow_stride=4",
    "weights=null",
    "data.test_short_side=32",
    "train.num_workers=0",
    "precision=fp32",
]


def fill(folder: Path, bank_dir: Path) -> torch.Tensor:
    """Fills the bank of the training split; what each of its keyframes sees of it."""
    arguments = json.loads((folder / "arguments.json").read_text())
    config = load_config(arguments[0], [*arguments[1:], f"model.long_term.bank_dir={bank_dir}"])
    split = build_split(config, "train", CPU)
    bank = build_bank(config)
    assert bank is not None
    fill_bank(bank, config, split, CPU)
    return bank.cut_out_batch(split.keyframes)


def _fill(folder: Path) -> int:
    written: list[str] = []
    write = FeatureCache.write

    def note(cache: FeatureCache, video: Any, *rest: Any) -> None:
        written.append(Path(str(video)).name)
        write(cache, video, *rest)

    with process_group(CPU), mock.patch.object(FeatureCache, "write", note):
        torch.save(fill(folder, folder / "shared"), folder / f"windows_{rank()}.pt")
        (folder / f"written_{rank()}.json").write_text(json.dumps(written))
    return 0


@pytest.mark.slow
def test_two_processes_share_the_videos_and_read_the_same_bank(tmp_path: Path) -> None:
    shared = [*overrides(write_small_dataset(tmp_path / "set"), START), *TINY][1:]
    config = load_config(shared[0], shared[1:])
    torch.manual_seed(0)
    content = {"model": build_model(config).state_dict(), "config": config_to_dict(config)}
    save_checkpoint(tmp_path / "first.pt", content)
    bank = {
        "operator": "max",
        "bank_weights": tmp_path / "first.pt",
        "bank_channels": 128,
        "window_seconds": 4,
    }
    arguments = [*shared, *(f"model.long_term.{key}={value}" for key, value in bank.items())]
    (tmp_path / "arguments.json").write_text(json.dumps(arguments))
    codes = [code for code, _ in start_ranks(_fill, tmp_path)]
    assert codes == [0, 0]
    written = [json.loads((tmp_path / f"written_{i}.json").read_text()) for i in (0, 1)]
    assert sorted(written) == [["a.mkv"], ["b.mp4"]]  # each computed one of the two videos
    first, second = (torch.load(tmp_path / f"windows_{i}.pt") for i in (0, 1))
    assert first.any()
    assert torch.equal(first, second)
    assert torch.allclose(first, fill(tmp_path, tmp_path / "alone"), atol=1e-6)
