"""Training and testing with a long-term head: the bank of each split, kept on disk, read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ava_det.commands.test import main as run_test
from ava_det.commands.train import main as train
from ava_det.config import Config, load_config
from ava_det.data.build import build_device_transform
from ava_det.data.loader import collate
from ava_det.tasks.long_term import build_bank, fill_bank
from ava_det.tasks.splits import build_eval_loader, build_split
from ava_det.training.loss import split_batch
from tests.support.small_dataset import START, overrides, write_small_dataset

TINY = [
    "model.backbone=slow_only",
    "model.depth=14",
    "model.width=4",
    "model.num_slow_frames=2",
    "model.slow_stride=4",
    "weights=null",
    "data.test_short_side=32",
    "data.train_short_side=[32,32]",
    "data.val.boxes=gt",
    "train.epochs=1",
    "train.batch_size=4",
    "train.num_workers=0",
    "device=cpu",
]


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments of a run with a long-term head, after a first network was trained a little."""
    folder = tmp_path_factory.mktemp("long_term")
    shared = [*overrides(write_small_dataset(folder / "set"), START), *TINY]
    assert train([*shared, f"output_dir={folder}/first"]) == 0
    bank = {
        "operator": "non_local",
        "bank_weights": folder / "first/checkpoints/last.pt",
        "bank_dir": folder / "bank",
        "bank_channels": 128,
        "window_seconds": 4,
        "channels": 8,
    }
    keys = [f"model.long_term.{key}={value}" for key, value in bank.items()]
    return [*shared, f"output_dir={folder}/long", *keys]


def read_config(arguments: list[str]) -> Config:
    return load_config(arguments[1], arguments[2:])


def test_training_and_testing_give_the_same_number_and_keep_the_bank(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(arguments) == 0
    config = read_config(arguments)
    folder = Path(config.output_dir)
    trained = json.loads((folder / "metrics.json").read_text())["mAP"]
    kept = {
        path: path.stat().st_mtime_ns for path in Path(config.model.long_term.bank_dir).iterdir()
    }
    assert sum(path.suffix == ".npy" for path in kept) == 3  # one a video
    facts = json.loads(next(path for path in kept if path.suffix == ".json").read_text())
    assert len(facts["weights"]) == 64  # the hash of the network that made it
    weights = str(folder / "checkpoints/last.pt")
    again = [*arguments, f"output_dir={folder}/test"]
    assert run_test([*again, "--weights", weights]) == 0
    tested = json.loads((folder / "test/metrics.json").read_text())["mAP"]
    assert tested == pytest.approx(trained, abs=1e-6)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_each_clip_of_a_batch_gets_its_own_window(arguments: list[str]) -> None:
    config = read_config(arguments)
    device = torch.device("cpu")
    split = build_split(config, "val", device)
    bank = build_bank(config)
    assert bank is not None
    fill_bank(bank, config, split, device)
    dataset = build_eval_loader(config, split, 32).dataset
    batch = build_device_transform(config, device, bank)(collate([dataset[i] for i in (0, 4, 8)]))
    assert batch.long_term is not None
    assert batch.long_term.shape == (3, 4 * 5, 128)
    for keyframe, window in zip(batch.keyframes, batch.long_term, strict=True):
        assert torch.equal(window, bank.cut_out(keyframe.video_id, keyframe.timestamp))
        assert window.any()
    parts = split_batch(batch, 2)
    joined = torch.cat([part.long_term for part in parts if part.long_term is not None])
    assert torch.equal(joined, batch.long_term)


def test_a_config_without_a_bank_builds_none(arguments: list[str]) -> None:
    assert build_bank(read_config([*arguments, "model.long_term.operator=none"])) is None
