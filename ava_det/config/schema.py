"""The whole config as dataclasses: keys, defaults and checks between keys.

Defaults are the paper's SlowFast R50 4x16 on AVA (arXiv 1812.03982).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ava_det.choices import PROTOCOL_NAMES
from ava_det.config.checks import KeyChecks
from ava_det.config.data import DataConfig
from ava_det.config.detector import DetectorConfig
from ava_det.config.model import ModelConfig
from ava_det.config.networks import FAMILIES
from ava_det.config.train import TrainConfig


@dataclass
class EvalConfig:
    """Describes how a trained model is scored."""

    batch_size: int = 8  # clips
    protocol: str = "activitynet-2020"  # what a frame mAP counts, see docs/evaluation.md
    # pixels; scores are averaged over them; null: data.test_short_side alone
    short_sides: list[int] | None = None
    flip: bool = False  # average over every clip mirrored left to right, too
    num_clips: int = 10  # of whole videos (Kinetics): clips spread evenly over each
    # squares cut of each of these clips: 1 in the middle, 3 along the longer side, or 10, the
    # corners and the middle and all mirrored
    num_crops: int = 3
    crop_size: int | None = None  # pixels of a side of these squares; null: the whole short side

    def __post_init__(self) -> None:
        check = KeyChecks(self, "eval")
        check.require_at_least("batch_size", 1, "at least 1")
        check.require_one_of("protocol", PROTOCOL_NAMES)
        check.require_at_least("num_clips", 1, "at least 1")
        check.require("num_crops", self.num_crops in (1, 3, 10), "1, 3 or 10")
        smaller = self.num_crops != 10 or self.crop_size is not None
        check.require("crop_size", smaller, "a number of pixels for the 10 crops of eval.num_crops")
        fits = self.crop_size is None or self.crop_size >= 16
        check.require("crop_size", fits, "null or at least 16 pixels")
        sides = self.short_sides
        fits = sides is None or (len(sides) > 0 and min(sides) >= 16)
        check.require("short_sides", fits, "null or numbers of at least 16 pixels")
        self.short_sides = None if sides is None else list(sides)


@dataclass
class Config:
    """Describes a whole experiment: the keys outside every section, and the sections."""

    output_dir: str = "outputs/run"  # the folder of the run: config, log, checkpoints, metrics
    seed: int = 0  # of initial weights, order and crops of training, in every process
    device: str = "auto"  # auto, cpu, cuda, cuda:N
    # fp32, bf16 by autocast, or auto: bf16 where the device is faster with it, else fp32
    precision: str = "auto"
    weights: str | None = None  # initial weights: a file, a name of the model zoo or hf:user/name
    # of two streams: those of optical flow's, where `weights` are of RGB's alone
    flow_weights: str | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)

    def __post_init__(self) -> None:
        check = KeyChecks(self)
        check.require_one_of("precision", ("auto", "fp32", "bf16"))
        check.require("seed", 0 <= self.seed < 2**32, "a whole number 0..2**32 - 1")
        named = (
            self.device in ("auto", "cpu", "cuda") or self.device.removeprefix("cuda:").isdigit()
        )
        check.require("device", named, "auto, cpu, cuda or cuda:N")
        fits = self.flow_weights is None or self.model.streams == "two_stream"
        check.require("flow_weights", fits, "null, or model.streams two_stream")
        all_classes = self.train.action_ids is None or self.model.multilabel
        expected = "null where model.multilabel is false: one softmax is over all classes"
        KeyChecks(self.train, "train").require("action_ids", all_classes, expected)
        streams = list(self.model.split_streams().values())
        can_decay = len(streams) == 1 and FAMILIES[streams[0].backbone].has_layer_decay
        decays = self.train.layer_decay == 1 or can_decay
        transformers = [name for name, family in FAMILIES.items() if family.has_layer_decay]
        name = "two streams" if len(streams) == 2 else streams[0].backbone
        expected = f"1 for {name}, another one only for {', '.join(transformers)}"
        KeyChecks(self.train, "train").require("layer_decay", decays, expected)
