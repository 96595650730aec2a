"""The learning rate belongs to the batch: changing one of them warns with the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from ava_det.config import load_config
from ava_det.tasks.lr_rule import describe_lr_mismatch

AVA = Path(__file__).resolve().parents[2] / "configs/ava/slowfast_r50_4x16.yaml"


def of_the_paper(folder: Path) -> list[Path]:
    """Returns the configs of the SlowFast paper's own networks; others state their own recipes."""
    names = ("slow", "fast_only", "i3d_r50")
    paths = [path for path in sorted(folder.glob("*.yaml")) if path.stem.startswith(names)]
    return [path for path in paths if not path.stem.endswith("_acrn")]


@pytest.mark.parametrize(
    ("overrides", "warned"),
    [
        ([], None),
        (["train.batch_size=64"], "batches of 1024: by the linear rule expected train.lr=0.1"),
        (["train.lr=0.1"], "expected train.batch_size=64"),
        (["train.batch_size=64", "train.lr=0.1"], None),
        (["train.batch_size=64", "train.lr=0.025"], None),
        (["train.batch_size=1024", "train.lr=1.6"], None),
        (["train.batch_size=64", "train.lr=1.6"], "expected train.lr=0.1"),
    ],
)
def test_changing_one_of_the_pair_warns_with_the_other(
    overrides: list[str], warned: str | None
) -> None:
    sentence = describe_lr_mismatch(load_config(AVA, overrides), load_config(AVA))
    if warned is None:
        assert sentence is None
    else:
        assert sentence is not None
        assert warned in sentence


@pytest.mark.parametrize("path", of_the_paper(AVA.parent), ids=lambda path: path.stem)
def test_the_recipes_of_the_paper_are_its_numbers(path: Path) -> None:
    """Section 5: 14k iterations, warm-up over the first 1k, weight decay 1e-7, dropout 0.5, at 1024
    clips of 211k.
    """
    config = load_config(path)
    epoch = 211_000 / config.train.batch_size  # iterations
    assert round(config.train.epochs * epoch, -3) == 14_000
    assert round(config.train.warmup_epochs * epoch, -2) == 1000
    assert (config.train.batch_size, config.train.lr) == (1024, 1.6)
    assert (config.train.optimizer, config.train.momentum, config.train.nesterov) == (
        "sgd",
        0.9,
        False,
    )
    assert (config.train.weight_decay, config.model.dropout) == (1e-7, 0.5)
    assert (config.data.train_short_side, config.data.crop_size, config.data.flip) == (
        [256, 340],
        224,
        True,
    )
    assert (
        config.data.test_short_side,
        config.data.min_person_score,
        config.data.proposal_iou,
    ) == (256, 0.8, 0.9)
    proposals = path.stem.endswith("_proposals")
    assert (config.data.train.boxes == "gt") != proposals


@pytest.mark.parametrize(
    "path", of_the_paper(AVA.parents[1] / "kinetics"), ids=lambda path: path.stem
)
def test_kinetics_from_scratch_is_the_paper_s_recipe(path: Path) -> None:
    """Section 4.1: half a cosine period of 256 epochs (196 where T > 4) from lr 1.6 at 1024 clips,
    warm-up 8k.
    """
    config = load_config(path)
    train = config.train
    data = config.data
    assert (config.model.head, config.model.dropout) == ("classification", 0.5)
    assert (train.optimizer, train.momentum, train.weight_decay) == ("sgd", 0.9, 1e-4)
    assert (data.train_short_side, data.crop_size, data.flip, data.test_short_side) == (
        [256, 340],
        224,
        True,
        256,
    )
    if path.stem.endswith("_imagenet"):
        assert config.weights == "torchvision/resnet50"
        assert [round(step * 240_000 / train.batch_size, -4) for step in train.steps] == [
            150_000,
            300_000,
        ]
        return
    assert config.weights is None
    assert (train.batch_size, train.lr, train.schedule) == (1024, 1.6, "cosine")
    assert train.epochs == (256 if config.model.num_slow_frames <= 4 else 196)
    assert round(train.warmup_epochs * 240_000 / train.batch_size, -3) == 8000
