"""The experiment as dataclasses: keys, defaults and cross-field checks.

Defaults are the paper's SlowFast R50 4x16 on AVA (arXiv 1812.03982).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ava_det.config.networks import BACKBONES, BLOCKS_PER_STAGE, LATERALS


class ConfigError(ValueError):
    """A sentence for the user: which file, override or key is wrong and what was expected."""


def _require(condition: bool, key: str, expected: str, received: object) -> None:
    if not condition:
        raise ConfigError(f"{key}: expected {expected}, received {received!r}")


def _require_one_of(key: str, received: str, allowed: Sequence[str]) -> None:
    near = difflib.get_close_matches(str(received), allowed, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    _require(received in allowed, key, f"one of {', '.join(allowed)}{hint}", received)


@dataclass
class ModelConfig:
    """The network. Strides count ticks of `data.clip_fps`; names follow the paper (T, tau, alpha,
    beta).
    """

    backbone: str = "slowfast"  # slowfast, slow_only, fast_only, i3d
    # bottleneck blocks a stage: 14 = 1-1-1-1, 26 = 2-2-2-2, 50 = 3-4-6-3, 101 = 3-4-23-3
    depth: int = 50
    width: int = 64  # channels of the Slow stem; res2 ends at 4 * width
    head: str = "roi"  # roi (detection, AVA) or classification (Kinetics)
    num_classes: int = 80  # columns of the output: the largest action id, of the label map
    num_slow_frames: int = 4  # T
    slow_stride: int = 16  # tau
    alpha: int = 8  # the Fast pathway sees alpha * T frames, tau / alpha ticks apart
    beta_inv: int = 8  # 1 / beta: the Fast pathway has width / beta_inv channels
    lateral: str = "t_conv"  # none, ttoc_sum, ttoc_concat, t_sample, t_conv
    lateral_kernel: int = 5  # frames of t_conv's kernel
    # BN and ReLU after t_conv's convolution; false for MMAction2's AVA weights
    lateral_norm: bool = True
    # blocks of res4 with a temporal kernel; null = all of them
    res4_temporal_blocks: int | None = None
    # features have stride 16 under the roi head, 32 under the classification head
    res5_dilation: int = 2
    # a non-local block follows each of these, from 0
    non_local_res4: list[int] = field(default_factory=list)
    # max pool (T, H, W) of phi and g
    non_local_pool: list[int] = field(default_factory=lambda: [2, 2, 2])
    roi_aligned: bool = True  # RoIAlign's half-pixel shift; a property of weights
    roi_resolution: int = 7  # cells per side of an aligned box; 8 for MMAction2's weights
    roi_time_pool: str = "mean"  # mean, or max for some of MMAction2's weights
    roi_context: bool = False  # append the whole clip's features to each box's (MMAction2)
    roi_hidden_layer: bool = False  # one more linear layer before the last (MMAction2)
    dropout: float = 0.5  # before the last layer, in training
    zero_init_last_gamma: bool = True  # false for very shallow networks and short schedules
    temporal_difference_init: bool = False  # half of the temporal filters see only change at first

    def __post_init__(self) -> None:
        _require_one_of("model.backbone", self.backbone, BACKBONES)
        _require_one_of("model.head", self.head, ("roi", "classification"))
        _require_one_of("model.lateral", self.lateral, LATERALS)
        _require(
            self.depth in BLOCKS_PER_STAGE,
            "model.depth",
            f"one of {sorted(BLOCKS_PER_STAGE)}",
            self.depth,
        )
        _require_one_of("model.roi_time_pool", self.roi_time_pool, ("mean", "max"))
        whole = (
            "width",
            "num_classes",
            "num_slow_frames",
            "slow_stride",
            "alpha",
            "beta_inv",
            "res5_dilation",
        )
        for key in (*whole, "roi_resolution"):
            _require(
                getattr(self, key) >= 1,
                f"model.{key}",
                "a whole number of at least 1",
                getattr(self, key),
            )
        odd = self.lateral_kernel >= 1 and self.lateral_kernel % 2 == 1
        _require(odd, "model.lateral_kernel", "an odd number of at least 1", self.lateral_kernel)
        num_res4 = BLOCKS_PER_STAGE[self.depth][2]
        temporal = self.res4_temporal_blocks
        fits = temporal is None or 0 <= temporal <= num_res4
        _require(
            fits,
            "model.res4_temporal_blocks",
            f"null or 0..{num_res4} at depth {self.depth}",
            temporal,
        )
        inside = all(0 <= block < num_res4 for block in self.non_local_res4)
        _require(
            inside,
            "model.non_local_res4",
            f"blocks 0..{num_res4 - 1} at depth {self.depth}",
            self.non_local_res4,
        )
        _require(0 <= self.dropout < 1, "model.dropout", "a fraction in [0, 1)", self.dropout)
        if self.backbone in ("slowfast", "fast_only"):
            divides = self.slow_stride % self.alpha == 0
            _require(
                divides,
                "model.slow_stride",
                f"a multiple of model.alpha = {self.alpha}",
                self.slow_stride,
            )
            _require(
                self.width >= self.beta_inv,
                "model.beta_inv",
                f"at most model.width = {self.width}",
                self.beta_inv,
            )
        if self.backbone == "slowfast" and self.lateral == "ttoc_sum":
            equal = self.alpha == self.beta_inv
            _require(
                equal,
                "model.lateral",
                "alpha = beta_inv for ttoc_sum (the channels must fit)",
                self.lateral,
            )
        self.non_local_res4 = list(self.non_local_res4)
        self.non_local_pool = list(self.non_local_pool)
        _require(
            len(self.non_local_pool) == 3,
            "model.non_local_pool",
            "three numbers (T, H, W)",
            self.non_local_pool,
        )


@dataclass
class SplitConfig:
    """Which keyframes, and where their person boxes come from.

    `annotations` and `excluded` are a file or a list of files, for which OmegaConf has no type.
    """

    # AVA CSV; two-column rows (video_id,timestamp) are keyframes without labels
    annotations: Any = None
    excluded: Any = None  # AVA exclusion CSV
    # gt, a detector's name, or a box file; in training: ground truth, plus these at proposal_iou
    boxes: str = "gt"

    @property
    def annotation_files(self) -> list[str]:
        """The files that make the split together, in order; none where `annotations` is null."""
        return _list_files(self.annotations)

    @property
    def excluded_files(self) -> list[str]:
        """The lists of keyframes to leave out; none where `excluded` is null."""
        return _list_files(self.excluded)


def _list_files(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(path) for path in value] if isinstance(value, list | tuple) else [str(value)]


@dataclass
class DataConfig:
    """From files to clips. Sizes are pixels; `start_second` is what the first frame of every file
    is worth.
    """

    video_dir: str | None = None  # the folder of the videos, or of folders of numbered pictures
    # of AVA's annotations, 2.1 or 2.2; file names may name it as ${data.ava_version}
    ava_version: str = "2.2"
    label_map: str | None = None  # action ids and names, .pbtxt
    start_second: float = 0.0  # 0 for whole AVA movies, 900 for those cut at 15:00
    clip_fps: float = 30.0  # ticks a second
    slow_frame_policy: str = "stride"  # stride (the paper) or linspace (PySlowFast's weights)
    # seconds, or what published weights saw: pyslowfast, mmaction2; a property of weights
    frame_grid: str = "seconds"
    # where those cut the movies; read by the grids other than seconds
    grid_start_second: float = 900.0
    frame_colour: str = "tagged"  # as each file asks, or bt601 for all, which published weights saw
    box_arithmetic: str = "exact"  # exact, or pyslowfast: the rounding of boxes its weights saw
    mean: list[float] = field(default_factory=lambda: [0.45, 0.45, 0.45])  # of RGB / 255
    std: list[float] = field(default_factory=lambda: [0.225, 0.225, 0.225])  # of RGB / 255
    # drawn between these two
    train_short_side: list[int] = field(default_factory=lambda: [256, 340])
    crop_size: int | None = 224  # square training crop; null keeps the whole frame
    test_short_side: int = 256  # pixels; frames are scored whole
    flip: bool = True  # training: every other clip mirrored left to right
    box_jitter: float = 0.0  # training: every box edge moves by up to this share of the box
    # training: brightness, contrast, saturation by up to this share (PySlowFast: 0.4)
    colour_jitter: float = 0.0
    # training: PCA lighting, standard deviation of its amount (PySlowFast: 0.1)
    lighting: float = 0.0
    min_person_score: float = 0.8  # boxes of a file or detector below this are not used
    # training: a detected box this close to a labeled one takes its labels
    proposal_iou: float = 0.9
    cache_clips: bool = False  # keep decoded clips as uint8 in memory: for small sets only
    train: SplitConfig = field(default_factory=SplitConfig)
    val: SplitConfig = field(default_factory=SplitConfig)
    test: SplitConfig = field(default_factory=SplitConfig)

    def __post_init__(self) -> None:
        _require_one_of("data.slow_frame_policy", self.slow_frame_policy, ("stride", "linspace"))
        _require_one_of("data.frame_grid", self.frame_grid, ("seconds", "pyslowfast", "mmaction2"))
        _require_one_of("data.frame_colour", self.frame_colour, ("tagged", "bt601"))
        _require_one_of("data.box_arithmetic", self.box_arithmetic, ("exact", "pyslowfast"))
        _require_one_of("data.ava_version", self.ava_version, ("2.1", "2.2"))
        fits = self.frame_grid == "seconds" or self.clip_fps == 30
        _require(
            fits,
            "data.clip_fps",
            f"30, of which data.frame_grid {self.frame_grid} is made",
            self.clip_fps,
        )
        _require(
            self.clip_fps > 0, "data.clip_fps", "a positive number of ticks a second", self.clip_fps
        )
        _require(
            self.test_short_side >= 16,
            "data.test_short_side",
            "at least 16 pixels",
            self.test_short_side,
        )
        self.mean, self.std, self.train_short_side = (
            list(self.mean),
            list(self.std),
            list(self.train_short_side),
        )
        for key in ("mean", "std"):
            _require(
                len(getattr(self, key)) == 3,
                f"data.{key}",
                "three numbers (R, G, B)",
                getattr(self, key),
            )
        sides = self.train_short_side
        ordered = len(sides) == 2 and 16 <= sides[0] <= sides[1]
        _require(
            ordered,
            "data.train_short_side",
            "two numbers, the smaller first and at least 16",
            sides,
        )
        fits = self.crop_size is None or 16 <= self.crop_size <= sides[0]
        _require(
            fits,
            "data.crop_size",
            f"null or 16..{sides[0]} (the smallest data.train_short_side)",
            self.crop_size,
        )
        _require(
            all(value > 0 for value in self.std), "data.std", "three positive numbers", self.std
        )
        _require(
            math.isfinite(self.start_second),
            "data.start_second",
            "a finite number",
            self.start_second,
        )
        _require(math.isfinite(self.clip_fps), "data.clip_fps", "a finite number", self.clip_fps)
        for key in ("box_jitter", "colour_jitter", "lighting", "min_person_score", "proposal_iou"):
            _require(
                0 <= getattr(self, key) <= 1, f"data.{key}", "a fraction 0..1", getattr(self, key)
            )


@dataclass
class TrainConfig:
    """The recipe. `batch_size` counts clips over all processes; `lr` belongs to that batch."""

    batch_size: int = 64  # clips of a step, over all processes
    # parts of each process's share, one after another: less memory, the same gradient
    micro_batches: int = 1
    lr: float = 0.1  # of that batch, after the warmup
    epochs: int = 20  # of the whole schedule
    num_workers: int = 2  # processes that read clips, for each training process
    optimizer: str = "sgd"  # sgd or adamw
    momentum: float = 0.9  # of sgd
    nesterov: bool = False  # momentum as Nesterov has it
    # of the focal loss, which dwells on what is still wrong; 0 is the paper's cross-entropy
    focal_gamma: float = 0.0
    action_ids: list[int] | None = None  # AVA ids to train on, score and save; null for all
    # on weights of convolutions and linear layers, not on norms or biases
    weight_decay: float = 1e-7
    warmup_epochs: float = 5.0  # lr rises in a line to its value
    schedule: str = "steps"  # steps or cosine (half a period)
    # epochs at which lr is divided by 10
    steps: list[float] = field(default_factory=lambda: [10.0, 15.0])
    # the largest norm of all gradients together; null: no limit
    clip_grad_norm: float | None = None
    freeze_bn: bool = False  # keep the running statistics of the initial weights
    log_every: int = 20  # steps
    eval_every: int | None = None  # epochs; null evaluates at the end only
    # minutes between checkpoints within an epoch; every epoch ends with one
    save_every: float = 15.0
    keep_checkpoints: int = 2  # full epochs whose checkpoints stay, besides the last and the best

    def __post_init__(self) -> None:
        _require_one_of("train.optimizer", self.optimizer, ("sgd", "adamw"))
        _require_one_of("train.schedule", self.schedule, ("steps", "cosine"))
        _require(self.batch_size >= 1, "train.batch_size", "at least 1", self.batch_size)
        _require(self.micro_batches >= 1, "train.micro_batches", "at least 1", self.micro_batches)
        _require(self.focal_gamma >= 0, "train.focal_gamma", "0 or more", self.focal_gamma)
        _require(
            self.action_ids != [], "train.action_ids", "null or a list of ids", self.action_ids
        )
        _require(self.lr > 0, "train.lr", "a positive number", self.lr)
        _require(0 <= self.momentum < 1, "train.momentum", "a fraction in [0, 1)", self.momentum)
        _require(
            not self.nesterov or self.momentum > 0,
            "train.nesterov",
            "false where momentum is 0",
            self.nesterov,
        )
        _require(self.weight_decay >= 0, "train.weight_decay", "0 or more", self.weight_decay)
        clips = self.clip_grad_norm is None or self.clip_grad_norm > 0
        _require(clips, "train.clip_grad_norm", "null or a positive number", self.clip_grad_norm)
        _require(self.epochs > 0, "train.epochs", "a positive number", self.epochs)
        _require(self.num_workers >= 0, "train.num_workers", "0 or more", self.num_workers)
        _require(self.log_every >= 1, "train.log_every", "at least 1", self.log_every)
        _require(self.warmup_epochs >= 0, "train.warmup_epochs", "0 or more", self.warmup_epochs)
        positive = self.eval_every is None or self.eval_every > 0
        _require(
            positive, "train.eval_every", "null or a positive number of epochs", self.eval_every
        )
        _require(
            self.save_every >= 0,
            "train.save_every",
            "0 (every step) or more minutes",
            self.save_every,
        )
        _require(
            self.keep_checkpoints >= 0, "train.keep_checkpoints", "0 or more", self.keep_checkpoints
        )
        self.steps = sorted(self.steps)
        self.action_ids = None if self.action_ids is None else sorted(set(self.action_ids))


@dataclass
class DetectorConfig:
    """What `ava-det train-detector` trains from random weights; with `weights` it trains the network of
    that file.

    Faster R-CNN with a feature pyramid; the defaults are R50-FPN, with a norm that can be trained.
    """

    depth: int = 50  # of the ResNet: 18, 34 (basic blocks), 50, 101, 152
    width: int = 64  # channels of its stem
    norm: str = "bn"  # bn or gn
    channels: int = 256  # of the pyramid's maps
    hidden: int = 1024  # of the box head's layers
    # pixels, by level
    anchor_sizes: list[float] = field(default_factory=lambda: [32.0, 64.0, 128.0, 256.0, 512.0])

    def __post_init__(self) -> None:
        _require(
            self.depth in (18, 34, 50, 101, 152),
            "detector.depth",
            "18, 34, 50, 101 or 152",
            self.depth,
        )
        _require_one_of("detector.norm", self.norm, ("bn", "gn"))
        for key in ("width", "channels", "hidden"):
            _require(
                getattr(self, key) >= 1,
                f"detector.{key}",
                "a whole number of at least 1",
                getattr(self, key),
            )
        self.anchor_sizes = list(self.anchor_sizes)
        good = len(self.anchor_sizes) == 5 and min(self.anchor_sizes) > 0
        _require(
            good,
            "detector.anchor_sizes",
            "five positive numbers, one for each level",
            self.anchor_sizes,
        )


@dataclass
class EvalConfig:
    """How a trained model is scored."""

    batch_size: int = 8  # clips
    protocol: str = "activitynet-2020"  # what a frame mAP counts, see docs/evaluation.md
    # pixels; scores are averaged over them; null: data.test_short_side alone
    short_sides: list[int] | None = None
    flip: bool = False  # and over every clip mirrored left to right

    def __post_init__(self) -> None:
        _require(self.batch_size >= 1, "eval.batch_size", "at least 1", self.batch_size)
        sides = self.short_sides
        fits = sides is None or (len(sides) > 0 and min(sides) >= 16)
        _require(fits, "eval.short_sides", "null or numbers of at least 16 pixels", sides)
        self.short_sides = None if sides is None else list(sides)


@dataclass
class Config:
    """The whole experiment."""

    output_dir: str = "outputs/run"  # the folder of the run: config, log, checkpoints, metrics
    seed: int = 0  # of initial weights, order and crops of training, in every process
    device: str = "auto"  # auto, cpu, cuda, cuda:N
    # fp32, bf16 by autocast, or auto: bf16 where the device is faster with it, else fp32
    precision: str = "auto"
    weights: str | None = None  # initial weights: a file, or a name of the model zoo
    model: ModelConfig = field(default_factory=ModelConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)

    def __post_init__(self) -> None:
        _require_one_of("precision", self.precision, ("auto", "fp32", "bf16"))
        _require(0 <= self.seed < 2**32, "seed", "a whole number 0..2**32 - 1", self.seed)
        named = (
            self.device in ("auto", "cpu", "cuda") or self.device.removeprefix("cuda:").isdigit()
        )
        _require(named, "device", "auto, cpu, cuda or cuda:N", self.device)
