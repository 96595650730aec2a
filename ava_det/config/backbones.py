"""The sections `model.<family>` of a config: keys that belong to one family of networks."""

from __future__ import annotations

from dataclasses import dataclass, field

from ava_det.config.checks import KeyChecks

S3D_STEMS = ("separable", "full", "space_to_depth")
S3D_PADDINGS = ("symmetric", "end", "same")
STC_PLACEMENTS = ("block", "residual")
R2PLUS1D_FORMS = ("vmz", "torchvision", "mmaction2")
NON_LOCAL_FORMS = ("wang", "mmaction2")
NON_LOCAL_MODES = ("embedded_gaussian", "dot_product", "gaussian")
# basic blocks of layer1..layer4; 10 is one block each, for small data and quick tests
R2PLUS1D_BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
# Where an Inception network ends under the roi head: features of stride 16, or 32 at the end.
ROI_ENDPOINTS = ("mixed_4e", "mixed_4f", "mixed_5c")


@dataclass
class I3DInceptionConfig:
    """Describes I3D, the inflated Inception-v1, `model.backbone: i3d_inception`."""

    roi_endpoint: str = "mixed_4f"  # last block under the roi head: mixed_4e, mixed_4f, mixed_5c
    # Mixed_5b and 5c run on each aligned box instead of on the clip, at every time step
    roi_tail: bool = False
    # average pool (T, H, W) of stride 1 before the mean of the classification head; 0,0,0 = none
    pool_window: list[int] = field(default_factory=lambda: [2, 7, 7])

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model.i3d_inception")
        check.require_one_of("roi_endpoint", ROI_ENDPOINTS)
        fits = not self.roi_tail or self.roi_endpoint == "mixed_4f"
        check.require("roi_endpoint", fits, "mixed_4f, because model.i3d_inception.roi_tail is on")
        self.pool_window = list(self.pool_window)
        _check_window(check, self.pool_window)


@dataclass
class S3DConfig:
    """Describes S3D and S3D-G, `model.backbone: s3d`."""

    stem: str = "separable"  # separable, full, space_to_depth
    stem_frames: int = 7  # frames of the stem's kernel, separable or full; 3 in TF-slim
    # of the max pools: symmetric (torchvision, kylemin), or end (one cell after; antoine77340);
    # same: of pools and stem as TensorFlow does it (TF-slim)
    padding: str = "symmetric"
    # false in TF-slim: convolutions over time have a bias and no batch norm
    temporal_norm: bool = True
    gating: bool = False  # S3D-G
    gate_bias: bool = True  # false in TF-slim
    bn_eps: float = 0.001  # 0.00001 for antoine77340's weights
    roi_endpoint: str = "mixed_4f"  # last block under the roi head: mixed_4e, mixed_4f, mixed_5c
    # average pool (T, H, W) of stride 1 before the mean of the classification head; 0,0,0 = none
    pool_window: list[int] = field(default_factory=lambda: [2, 7, 7])

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model.s3d")
        check.require_one_of("stem", S3D_STEMS)
        check.require_one_of("padding", S3D_PADDINGS)
        odd = self.stem_frames >= 1 and self.stem_frames % 2 == 1
        check.require("stem_frames", odd, "an odd number of at least 1")
        check.require("bn_eps", self.bn_eps > 0, "a number above 0")
        check.require_one_of("roi_endpoint", ROI_ENDPOINTS)
        self.pool_window = list(self.pool_window)
        _check_window(check, self.pool_window)


@dataclass
class R2Plus1DConfig:
    """Describes R(2+1)D, `model.backbone: r2plus1d`."""

    depth: int = 34  # basic blocks a stage: 10 = 1-1-1-1, 18 = 2-2-2-2, 34 = 3-4-6-3
    form: str = "vmz"  # whose widths: vmz (ig65m has them too), torchvision, mmaction2
    bn_eps: float = 0.001  # 0.00001 for weights of torchvision

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model.r2plus1d")
        check.require("depth", self.depth in R2PLUS1D_BLOCKS, f"one of {sorted(R2PLUS1D_BLOCKS)}")
        check.require_one_of("form", R2PLUS1D_FORMS)
        check.require("bn_eps", self.bn_eps > 0, "a number above 0")


@dataclass
class NonLocalI3DConfig:
    """Describes I3D ResNets with non-local blocks in res3 too, `model.backbone: nl_i3d`.

    depth, non_local_res4, non_local_pool, res4_temporal_blocks and res5_dilation are `model`'s.
    """

    stem_stride: int = 2  # of the first convolution, in time
    pool_frames: int = 3  # frames of the max pool after it
    pool_stride: int = 2  # of that max pool, in time
    pool_padding: bool = True  # false in video-nonlocal-net
    # blocks of res3, counted from 0, that a non-local block follows
    non_local_res3: list[int] = field(default_factory=lambda: [1, 3])
    # frames that the non-local blocks of res3 see at a time; null = all. 4 for weights whose norms
    # have no statistics (LFB, video-nonlocal-net's 32x4 and 128x1)
    res3_group_frames: int | None = None
    # of the non-local blocks: wang pools before phi and g, and divides by the root of their width
    # before the softmax; mmaction2 pools after them and does not divide
    non_local_form: str = "wang"
    # how they weigh positions: embedded_gaussian, dot_product, gaussian (no theta and phi)
    non_local_mode: str = "embedded_gaussian"

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model.nl_i3d")
        for key in ("stem_stride", "pool_frames", "pool_stride"):
            check.require_at_least(key, 1, "a whole number of at least 1")
        self.non_local_res3 = list(self.non_local_res3)
        frames = self.res3_group_frames
        fits = frames is None or frames >= 1
        check.require("res3_group_frames", fits, "null or a whole number of at least 1")
        check.require_one_of("non_local_form", NON_LOCAL_FORMS)
        check.require_one_of("non_local_mode", NON_LOCAL_MODES)

    def count_res3_frames(self, num_frames: int) -> int:
        """Counts the frames of a clip of `num_frames` that reach res3."""
        after_stem = -(-num_frames // self.stem_stride)
        padding = self.pool_frames // 2 if self.pool_padding else 0
        return ((after_stem + 2 * padding - self.pool_frames) // self.pool_stride + 1) // 2


def _check_window(check: KeyChecks, window: list[int]) -> None:
    fits = len(window) == 3 and (min(window) >= 1 or not any(window))
    check.require("pool_window", fits, "three numbers (T, H, W) of at least 1, or 0,0,0")


@dataclass
class EcoConfig:
    """Describes what is ECO's own."""

    full: bool = False  # ECO Full: the rest of BN-Inception beside the 3D network


@dataclass
class STCConfig:
    """Describes STC-ResNeXt, `model.backbone: stc`; its blocks a stage are those of model.depth.

    The authors published neither code nor weights: both keys are unknown of them.
    """

    reduction: int = 16  # r of both branches; squeeze-and-excitation's
    # what an STC block weights: block, the output of each residual block; residual, before the sum
    placement: str = "block"

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model.stc")
        check.require_at_least("reduction", 1, "a whole number of at least 1")
        check.require_one_of("placement", STC_PLACEMENTS)


@dataclass
class TwoStreamCNNConfig:
    """Describes what is the Two-Stream CNN's own."""

    architecture: str = "cnn_m_2048"  # cnn_m_2048, or resnet: of model.depth, on each frame

    def __post_init__(self) -> None:
        check = KeyChecks(self, "model.two_stream_cnn")
        check.require_one_of("architecture", ("cnn_m_2048", "resnet"))
