"""The first of two passes over a video: fills the bank that a long-term head reads."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from ava_det.config import Config, ConfigError
from ava_det.data.build import build_clip_reader, build_device_transform
from ava_det.data.feature_bank import FeatureBank
from ava_det.detectors import PersonDetector
from ava_det.device.precision import resolve_precision
from ava_det.inference.clip_scorer import ClipScorer
from ava_det.inference.persons import PersonsOfVideo
from ava_det.inference.pretrained import choose_config
from ava_det.inference.trained_model import load_plain_model
from ava_det.inference.video_run import VideoRun
from ava_det.models.action_detector import ActionDetector
from ava_det.models.inference_form import optimize_for_inference
from ava_det.structures import PersonBoxes
from ava_det.video.reader import FrameReader


@dataclass(frozen=True)
class FirstPass:
    """Computes the bank of a video: one keyframe a second, as banks of data sets have.

    Attributes:
        scorer: Has the network whose features fill the bank.
        window_seconds: See `FeatureBank`.
        persons_per_second: See `FeatureBank`.
        channels: See `FeatureBank`.
    """

    scorer: ClipScorer
    window_seconds: int
    persons_per_second: int
    channels: int

    def run(
        self,
        reader: FrameReader,
        persons: PersonDetector | PersonBoxes,
        min_person_score: float,
        batch_size: int,
        start: float,
        end: float,
    ) -> tuple[FeatureBank, PersonsOfVideo]:
        """Reads what the keyframes from `start` up to `end` can see of a video.

        Args:
            reader: The video.
            persons: A detector, or the boxes of a file.
            min_person_score: Persons with a lower score are left out.
            batch_size: Keyframes that go through the model together.
            start: Seconds of the file.
            end: Seconds of the file.

        Returns:
            The bank, and the persons, who need not be detected again.

        Raises:
            VideoError: The file cannot be read.
            ValueError: The video ends before `start`, or the box file does not fit it.
        """
        bank = FeatureBank(self.window_seconds, self.persons_per_second, self.channels)
        first = max(0.0, math.floor(start) - self.window_seconds / 2)
        last = end + self.window_seconds / 2
        settings = min_person_score, batch_size, 1.0, first, last, False
        return bank, VideoRun(reader, self.scorer, persons, *settings).fill(bank)


def load_first_pass(config: Config, device: torch.device) -> FirstPass | None:
    """Loads the network that fills the bank of a long-term head.

    Args:
        config: Of the network with that head.
        device: Where the network runs.

    Returns:
        None for a config whose head reads no bank.
    """
    bank = config.model.long_term
    if not bank.is_used:
        return None
    settings, model = load_bank_network(config)
    precision = resolve_precision(config.precision, device)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    data = settings.data
    scorer = ClipScorer(
        optimize_for_inference(model, device, dtype),
        build_clip_reader(settings),
        data.test_short_side,
        build_device_transform(settings, device),
        settings.model.num_classes,
        precision,
    )
    return FirstPass(scorer, bank.window_seconds, bank.persons_per_second, bank.bank_channels)


def load_bank_network(config: Config) -> tuple[Config, ActionDetector]:
    """Loads the network that fills the bank of a long-term head, in the form that is trained.

    Args:
        config: Of the network with that head.

    Returns:
        Its own config, at the start_second of the other, and the network.

    Raises:
        ConfigError: None is named, or it has a long-term head too, or it reads optical flow, or its
            features are of another width.
        WeightsError: Its weights cannot be used.
    """
    bank = config.model.long_term
    key = "model.long_term.bank_weights"
    if bank.bank_weights is None:
        raise ConfigError(f"{key}: expected the network whose box features fill the bank")
    settings = choose_config(bank.bank_weights, bank.bank_config, (), "torch")
    if settings.model.long_term.is_used:
        raise ConfigError(
            f"{key}: expected a network without a bank of its own, received {bank.bank_weights}"
        )
    if settings.model.streams != "rgb":
        raise ConfigError(f"{key}: expected a network of RGB, received {bank.bank_weights}")
    model, _ = load_plain_model(settings, bank.bank_weights)
    assert isinstance(model, ActionDetector)
    width = model.head.num_features
    if width != bank.bank_channels:
        raise ConfigError(
            f"model.long_term.bank_channels: expected {width}, the width of the features of "
            f"{bank.bank_weights}, received {bank.bank_channels}"
        )
    data = replace(settings.data, start_second=config.data.start_second)
    return replace(settings, data=data), model
