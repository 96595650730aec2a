"""The section `model` of a config: the network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ava_det.config.backbones import (
    EcoConfig,
    I3DInceptionConfig,
    NonLocalI3DConfig,
    R2Plus1DConfig,
    S3DConfig,
    STCConfig,
    TwoStreamCNNConfig,
)
from ava_det.config.checks import KeyChecks
from ava_det.config.flow import STREAMS, FlowStreamConfig
from ava_det.config.long_term import LongTermConfig
from ava_det.config.networks import BLOCKS_PER_STAGE, FAMILIES, LATERALS
from ava_det.config.torchvision import TorchvisionConfig
from ava_det.config.vit import VitConfig

_POSITIVE_WHOLE_KEYS = (
    "width",
    "num_classes",
    "num_slow_frames",
    "slow_stride",
    "alpha",
    "beta_inv",
    "res5_dilation",
    "roi_resolution",
)


@dataclass
class ModelConfig:
    """Describes the network.

    Strides count ticks of `data.clip_fps`; names follow the paper (T, tau, alpha, beta). A comment
    beside each key says what it means; `ava-det config --keys` prints them.
    """

    # slowfast, slow_only, fast_only, i3d (a ResNet); nl_i3d, i3d_inception, s3d, r2plus1d, eco,
    # artnet, stc, two_stream_cnn, vit, mvit_v2_s, swin3d_t, swin3d_s, swin3d_b
    backbone: str = "slowfast"
    # what it reads: rgb, flow (optical flow alone), or two_stream, a network of each
    streams: str = "rgb"
    # bottleneck blocks a stage: 14 = 1-1-1-1, 26 = 2-2-2-2, 50 = 3-4-6-3, 101 = 3-4-23-3
    depth: int = 50
    width: int = 64  # channels of the Slow stem; res2 ends at 4 * width
    head: str = "roi"  # roi (detection, AVA) or classification (Kinetics)
    num_classes: int = 80  # columns of the output: the label map's largest action id
    # several actions a person, a sigmoid each (AVA); false: exactly one, by softmax (UCF101-24)
    multilabel: bool = True
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
    # blocks of res4, counted from 0, that a non-local block follows
    non_local_res4: list[int] = field(default_factory=list)
    # max pool (T, H, W) of phi and g
    non_local_pool: list[int] = field(default_factory=lambda: [2, 2, 2])
    roi_aligned: bool = True  # RoIAlign's half-pixel shift; a property of weights
    roi_resolution: int = 7  # cells per side of an aligned box; 8 for MMAction2's weights
    roi_time_pool: str = "mean"  # mean, or max for some of MMAction2's weights
    roi_context: bool = False  # append the whole clip's features to each box's (MMAction2)
    roi_hidden_layer: bool = False  # one more linear layer before the last (MMAction2)
    # what relates each box to the map around it: none, acrn, atr
    roi_relation: str = "none"
    dropout: float = 0.5  # before the last layer, in training
    zero_init_last_gamma: bool = True  # false for very shallow networks and short schedules
    temporal_difference_init: bool = False  # half of the temporal filters see only change at first
    flow: FlowStreamConfig = field(default_factory=FlowStreamConfig)
    vit: VitConfig = field(default_factory=VitConfig)
    long_term: LongTermConfig = field(default_factory=LongTermConfig)
    # the sections of other families
    i3d_inception: I3DInceptionConfig = field(default_factory=I3DInceptionConfig)
    s3d: S3DConfig = field(default_factory=S3DConfig)
    eco: EcoConfig = field(default_factory=EcoConfig)
    stc: STCConfig = field(default_factory=STCConfig)
    two_stream_cnn: TwoStreamCNNConfig = field(default_factory=TwoStreamCNNConfig)
    r2plus1d: R2Plus1DConfig = field(default_factory=R2Plus1DConfig)
    torchvision: TorchvisionConfig = field(default_factory=TorchvisionConfig)
    nl_i3d: NonLocalI3DConfig = field(default_factory=NonLocalI3DConfig)

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model")
        check.require_one_of("backbone", tuple(FAMILIES))
        check.require_one_of("head", ("roi", "classification"))
        reason = FAMILIES[self.backbone].cannot.get(self.head)
        check.require("head", reason is None, f"another one, because {reason}")
        least = FAMILIES[self.backbone].min_frames
        expected = f"at least {least} for {self.backbone}"
        check.require("num_slow_frames", self.num_slow_frames >= least, expected)
        check.require_one_of("lateral", LATERALS)
        depths = f"one of {sorted(BLOCKS_PER_STAGE)}"
        check.require("depth", self.depth in BLOCKS_PER_STAGE, depths)
        check.require_one_of("roi_time_pool", ("mean", "max"))
        for key in _POSITIVE_WHOLE_KEYS:
            check.require_at_least(key, 1, "a whole number of at least 1")
        halves = self.backbone not in ("artnet", "stc") or self.width % 2 == 0
        check.require("width", halves, f"an even number for {self.backbone}")
        odd = self.lateral_kernel >= 1 and self.lateral_kernel % 2 == 1
        check.require("lateral_kernel", odd, "an odd number of at least 1")
        self._check_blocks(check)
        check.require("dropout", 0 <= self.dropout < 1, "a fraction in [0, 1)")
        self._check_pathways(check)
        self.non_local_res4 = list(self.non_local_res4)
        self.non_local_pool = list(self.non_local_pool)
        if self.backbone == "vit":
            fits = self.num_slow_frames % self.vit.tubelet == 0
            check.require("num_slow_frames", fits, f"a multiple of the tubelet {self.vit.tubelet}")
        three = len(self.non_local_pool) == 3
        check.require("non_local_pool", three, "three numbers (T, H, W)")
        self._check_relation(check)
        self._check_long_term(check)
        self._check_streams(check)

    @property
    def in_channels(self) -> int:
        """Returns the channels of a frame of a network of one stream: 3, or 2 L of optical flow."""
        return 3 if self.streams == "rgb" else 2 * self.flow.stack

    def split_streams(self) -> dict[str, ModelConfig]:
        """Returns the section of each stream alone: `rgb`, `flow` or both -> what describes it."""
        own = self.flow
        sections = {}
        if self.streams != "flow":
            sections["rgb"] = replace(self, streams="rgb")
        if self.streams != "rgb":
            sections["flow"] = replace(
                self,
                streams="flow",
                backbone=own.backbone or self.backbone,
                num_slow_frames=own.num_frames or self.num_slow_frames,
                slow_stride=own.stride or self.slow_stride,
                flow=replace(own, backbone=None, num_frames=None, stride=None),
            )
        return sections

    def clip_shapes(self) -> dict[str, tuple[int, int]]:
        """Returns the clips that the network reads: `slow`, `fast`, `flow` -> channels, frames."""
        shapes: dict[str, tuple[int, int]] = {}
        for name, stream in self.split_streams().items():
            frames = {"slow": stream.num_slow_frames, "fast": stream.alpha * stream.num_slow_frames}
            if name == "flow":
                shapes["flow"] = stream.in_channels, stream.num_slow_frames
            else:
                shapes |= {clip: (3, frames[clip]) for clip in FAMILIES[stream.backbone].clips}
        return shapes

    @property
    def is_exclusive(self) -> bool:
        """Returns whether scores are one softmax over the classes, not a sigmoid for each."""
        return self.head == "classification" or not self.multilabel

    def _check_relation(self, check: KeyChecks) -> None:
        """Refuses what a head that relates boxes to their surroundings does not have."""
        check.require_one_of("roi_relation", ("none", "acrn", "atr"))
        has_tail = self.backbone == "i3d_inception" and self.i3d_inception.roi_tail
        if has_tail and self.head == "roi":
            expected = "false with model.i3d_inception.roi_tail, which sees each box alone"
            check.require("roi_context", not self.roi_context, expected)
        if self.roi_relation == "none":
            return
        check.require("head", self.head == "roi", "roi for model.roi_relation, which scores boxes")
        for key in ("roi_context", "roi_hidden_layer"):
            expected = f"false for a head with model.roi_relation {self.roi_relation}"
            check.require(key, not getattr(self, key), expected)
        expected = "another one than i3d_inception with roi_tail for model.roi_relation"
        check.require("backbone", not has_tail, expected)
        expected = "none for a head with model.long_term"
        check.require("roi_relation", not self.long_term.is_used, expected)

    def _check_long_term(self, check: KeyChecks) -> None:
        """Refuses what does not go together with a head that reads a bank."""
        if not self.long_term.is_used:
            return
        check.require("head", self.head == "roi", "roi for model.long_term, which scores persons")
        for key in ("roi_context", "roi_hidden_layer"):
            check.require(key, not getattr(self, key), "false for a head with model.long_term")
        tail = self.backbone == "i3d_inception" and self.i3d_inception.roi_tail
        expected = "another one than i3d_inception with roi_tail for model.long_term"
        check.require("backbone", not tail, expected)

    def _check_streams(self, check: KeyChecks) -> None:
        """Refuses a stream of optical flow that cannot be built, and streams that do not join."""
        check.require_one_of("streams", STREAMS)
        if self.streams == "rgb":
            return
        flow = self.flow
        own = KeyChecks(flow, "model.flow")
        if flow.backbone is not None:
            own.require_one_of("backbone", tuple(FAMILIES))
        name = flow.backbone or self.backbone
        family = FAMILIES[name]
        named = check if flow.backbone is None else own
        expected = "a network that reads the clip slow alone, for a stream of optical flow"
        named.require("backbone", family.clips == ("slow",), expected)
        expected = f"another network for a stream of optical flow, because {family.needs_rgb}"
        named.require("backbone", family.needs_rgb is None, expected)
        fits = flow.num_frames is None or flow.num_frames >= family.min_frames
        own.require("num_frames", fits, f"at least {family.min_frames} for {name}")
        bank = KeyChecks(self.long_term, "model.long_term")
        expected = "none with optical flow, a bank holds features of RGB"
        bank.require("operator", not self.long_term.is_used, expected)
        if self.streams == "two_stream":
            self._check_fusion(own)
        if flow.backbone or flow.num_frames or flow.stride:
            self.split_streams()  # each section is checked when it is made

    def _check_fusion(self, check: KeyChecks) -> None:
        """Refuses a fusion that this head does not have."""
        wrong = "sigmoid" if self.is_exclusive else "softmax"
        kind = "exclusive actions" if self.is_exclusive else "several actions at a time"
        fits = self.flow.scores != wrong
        check.require("scores", fits, f"another one than {wrong} for a network of {kind}")
        tail = self.backbone == "i3d_inception" and self.i3d_inception.roi_tail
        fits = not (tail and self.head == "roi") or self.flow.fusion == "late"
        check.require("fusion", fits, "late with model.i3d_inception.roi_tail")

    def _check_blocks(self, check: KeyChecks) -> None:
        """Refuses blocks of res4 that a network of this depth does not have."""
        num_res4 = BLOCKS_PER_STAGE[self.depth][2]
        temporal = self.res4_temporal_blocks
        fits = temporal is None or 0 <= temporal <= num_res4
        expected = f"null or 0..{num_res4} at depth {self.depth}"
        check.require("res4_temporal_blocks", fits, expected)
        num_res3 = BLOCKS_PER_STAGE[self.depth][1]
        inside = all(0 <= block < num_res3 for block in self.nl_i3d.non_local_res3)
        if self.backbone == "nl_i3d":
            own = KeyChecks(self.nl_i3d, "model.nl_i3d")
            own.require("non_local_res3", inside, f"blocks 0..{num_res3 - 1} at depth {self.depth}")
            group = self.nl_i3d.res3_group_frames
            frames = self.nl_i3d.count_res3_frames(self.num_slow_frames)
            fits = group is None or not self.nl_i3d.non_local_res3 or frames % group == 0
            expected = f"a divisor of the {frames} frames that reach res3"
            own.require("res3_group_frames", fits, expected)
        inside = all(0 <= block < num_res4 for block in self.non_local_res4)
        expected = f"blocks 0..{num_res4 - 1} at depth {self.depth}"
        check.require("non_local_res4", inside, expected)

    def _check_pathways(self, check: KeyChecks) -> None:
        """Refuses strides and widths that do not fit between the two pathways."""
        if self.backbone in ("slowfast", "fast_only"):
            divides = self.slow_stride % self.alpha == 0
            check.require("slow_stride", divides, f"a multiple of model.alpha = {self.alpha}")
            wide = self.width >= self.beta_inv
            check.require("beta_inv", wide, f"at most model.width = {self.width}")
        if self.backbone == "slowfast" and self.lateral == "ttoc_sum":
            equal = self.alpha == self.beta_inv
            expected = "alpha = beta_inv for ttoc_sum (the channels must fit)"
            check.require("lateral", equal, expected)
