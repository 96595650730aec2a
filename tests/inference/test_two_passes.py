"""A long-term head in the Predictor: the whole video first, then each keyframe with its window."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ava_det.checkpoint import save_checkpoint
from ava_det.config import ConfigError, config_from_dict, config_to_dict
from ava_det.data.clip_reader import ClipReader
from ava_det.data.transforms import normalize_batch
from ava_det.inference.clip_scorer import ClipScorer
from ava_det.inference.first_pass import FirstPass
from ava_det.inference.predictor import Predictor
from ava_det.models.build import build_model
from ava_det.video.folder import open_video
from ava_det.video.live import LiveSource
from ava_det.video.writer import VideoWriter
from tests.support.scripted_predictor import FPS, HEIGHT, START, WIDTH, ScriptedDetector

SECONDS = 8
BOX = [16.0, 12.0, 32.0, 48.0]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """8 s whose brightness tells the time: gray 3 * tenth of a second."""
    path = tmp_path / "ramp.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, FPS) as writer:
        for index in range(SECONDS * FPS):
            writer.write(np.full((HEIGHT, WIDTH, 3), 3 * index, np.uint8), index / FPS)
    return path


class BrightnessFeatures(nn.Module):
    """One feature a person: the brightness of the clip's middle frame."""

    def compute_features(self, slow: Tensor, fast: Tensor | None, rois: Tensor) -> Tensor:
        brightness = slow[:, :, slow.shape[2] // 2].mean(dim=(1, 2, 3))
        return brightness[rois[:, 0].long()][:, None]


class SumOfBank(nn.Module):
    """Logits: the sum of the bank around the clip."""

    def forward(self, slow: Tensor, fast: None, rois: Tensor, long_term: Tensor) -> Tensor:
        return long_term.sum(dim=1)[rois[:, 0].long()]


class CountingDetector(ScriptedDetector):
    """One person everywhere; counts the frames that it was shown."""

    def __init__(self) -> None:
        super().__init__({second: [(BOX, 0.9)] for second in range(9)})
        self.num_frames = 0

    def __call__(self, frames: Any) -> Any:
        self.num_frames += len(frames)
        return super().__call__(frames)


def make_two_passes(window_seconds: int, batch_size: int = 2) -> tuple[Predictor, CountingDetector]:
    reader = ClipReader(4, 3, 30.0, np.arange(4), None)
    to_device = partial(normalize_batch, mean=[0.0] * 3, std=[1.0] * 3, device=torch.device("cpu"))
    scorer = ClipScorer(BrightnessFeatures(), reader, 24, to_device, 1, "fp32")
    detector = CountingDetector()
    settings: dict[str, Any] = {"start_second": START, "batch_size": batch_size}
    settings["first_pass"] = FirstPass(scorer, window_seconds, 2, 1)
    predictor = Predictor(SumOfBank(), detector, reader, 24, to_device, 1, 0.5, **settings)
    return predictor, detector


def sums(window: int, moments: list[float]) -> list[float]:
    """What the bank holds around each moment: 30 gray levels a second."""
    found = []
    for moment in moments:
        seen = range(int(moment) - window // 2, int(moment) + window // 2)
        found.append(sum(30 * second / 255 for second in seen if 0 <= second < SECONDS))
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_each_keyframe_sees_the_seconds_around_it(video: Path, batch_size: int) -> None:
    predictor, detector = make_two_passes(4, batch_size)
    found = list(predictor(video))
    logits = [float(one.action_scores.logit()) for one in found]
    assert logits == pytest.approx(sums(4, list(range(SECONDS))), abs=0.06)
    assert [one.keyframe.timestamp - START for one in found] == list(range(SECONDS))
    assert detector.num_frames == SECONDS  # the second pass detects nobody again


def test_the_same_video_gives_the_same_scores(video: Path) -> None:
    predictor, _ = make_two_passes(4)
    first, second = ([one.action_scores for one in predictor(video)] for _ in range(2))
    assert torch.equal(torch.cat(first), torch.cat(second))


def test_other_keyframes_than_those_of_the_bank_are_detected(video: Path) -> None:
    predictor, detector = make_two_passes(2)
    found = list(predictor(video, every=0.5, start=3.0, end=5.0))
    assert [one.keyframe.timestamp - START for one in found] == [3.0, 3.5, 4.0, 4.5]
    # of the file's seconds 2 to 5, and of the two moments between
    assert detector.num_frames == 4 + 2


def test_watching_shows_the_scores_of_the_second_pass(video: Path) -> None:
    predictor, _ = make_two_passes(4)
    alone = [one.action_scores for one in predictor(video)]
    with open_video(video, START) as reader:
        frames = list(predictor.watch(reader))
    assert len(frames) == SECONDS * FPS
    shown = [one.action_scores for frame in frames for one in frame.keyframes]
    assert torch.equal(torch.cat(shown), torch.cat(alone))


def test_one_clip_and_a_live_source_are_refused_in_one_sentence(video: Path) -> None:
    predictor, _ = make_two_passes(4)
    with pytest.raises(ValueError, match=r"predict_clip .*long-term head .* a whole video first"):
        predictor.predict_clip(np.zeros((12, 8, 8, 3), np.uint8), np.array([[0, 0, 4, 4]]))
    with (
        LiveSource(str(video), predictor.live_seconds, START) as source,
        pytest.raises(ValueError, match="a live source has no end: expected a model without"),
    ):
        predictor.watch_live(source)


TINY = {
    "backbone": "slow_only",
    "depth": 14,
    "width": 4,
    "num_classes": 3,
    "num_slow_frames": 2,
    "slow_stride": 4,
}


def save_network(path: Path, **long_term: Any) -> Path:
    torch.manual_seed(len(long_term))
    data = {"test_short_side": 32, "start_second": START}
    section = {"long_term": long_term} if long_term else {}
    values = {"model": TINY | section, "data": data}
    config = config_from_dict(values, "test", [])
    state = build_model(config).state_dict()
    names = {1: "a", 2: "b", 3: "c"}
    save_checkpoint(path, {"model": state, "config": config_to_dict(config), "label_map": names})
    return path


@pytest.fixture
def bank_weights(tmp_path: Path) -> Path:
    return save_network(tmp_path / "bank.pt")


@pytest.mark.parametrize("operator", ["non_local", "avg", "max"])
def test_weights_carry_all_that_the_first_pass_needs(
    operator: str, bank_weights: Path, video: Path, tmp_path: Path
) -> None:
    settings = {"operator": operator, "bank_weights": str(bank_weights), "bank_channels": 128}
    weights = save_network(tmp_path / "long.pt", channels=8, window_seconds=6, **settings)
    predictor = Predictor.from_pretrained(weights, CountingDetector(), "cpu")
    found = list(predictor(video))
    assert len(found) == SECONDS
    assert all(one.action_scores.shape == (1, 3) for one in found)
    assert len({tuple(one.action_scores[0].tolist()) for one in found}) == SECONDS


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"bank_weights": None}, "bank_weights: expected the network whose box features"),
        ({"bank_channels": 64}, "bank_channels: expected 128, the width .*bank.pt, received 64"),
        ({"bank_weights": "long.pt"}, "bank_weights: expected a network without a bank"),
    ],
)
def test_a_bank_that_cannot_be_made_is_one_sentence(
    settings: dict[str, Any], sentence: str, bank_weights: Path, tmp_path: Path
) -> None:
    own = tmp_path / "long.pt"
    values = {"operator": "max", "bank_weights": str(bank_weights), "bank_channels": 128}
    if settings.get("bank_weights"):
        settings = {"bank_weights": str(own)}
    save_network(own, **(values | settings))
    with pytest.raises(ConfigError, match=f"model.long_term.{sentence}"):
        Predictor.from_pretrained(own, CountingDetector(), "cpu")
