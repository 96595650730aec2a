"""The section `data` of a config: videos, annotations and how clips are made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ava_det.choices import FLOW_ALGORITHMS
from ava_det.config.checks import KeyChecks


@dataclass
class SplitConfig:
    """Describes which keyframes a split has, and where their person boxes come from.

    Each is a file or a list of files, for which OmegaConf has no type.
    """

    # AVA CSV; two-column rows (video_id,timestamp) are keyframes without labels
    annotations: Any = None
    excluded: Any = None  # AVA exclusion CSV
    # gt, a detector's name, or box files; in training: ground truth, plus these at proposal_iou
    boxes: Any = "gt"
    # of each video every n-th keyframe alone, from its first: for annotations of every frame
    every_nth: int = 1

    def __post_init__(self) -> None:
        check = KeyChecks(self, "data.<split>")
        check.require_at_least("every_nth", 1, "a whole number of at least 1")

    @property
    def annotation_files(self) -> list[str]:
        """Returns the files that make the split together, in order; none if it has none."""
        return _list_files(self.annotations)

    @property
    def excluded_files(self) -> list[str]:
        """Returns the files that list the keyframes to leave out; none where there are none."""
        return _list_files(self.excluded)

    @property
    def box_sources(self) -> list[str]:
        """Returns gt or a detector's name alone, or one or more box files."""
        return _list_files(self.boxes) or ["gt"]


def _list_files(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(path) for path in value] if isinstance(value, list | tuple) else [str(value)]


@dataclass
class DataConfig:
    """Describes the files and how clips are made of them. Sizes are in pixels.

    A comment beside each key says what it means; `ava-det config --keys` prints them.
    """

    video_dir: str | None = None  # the folder of the videos, or of folders of numbered pictures
    # version of AVA's annotations, 2.1 or 2.2; file names may contain ${data.ava_version}
    ava_version: str = "2.2"
    label_map: str | None = None  # action ids and names, .pbtxt
    # annotation time, in seconds, of each video's first frame: 0 for whole AVA movies, 900 for
    # those cut at 15:00
    start_second: float = 0.0
    clip_fps: float = 30.0  # ticks a second
    slow_frame_policy: str = "stride"  # stride (the paper) or linspace (PySlowFast's weights)
    # times of a clip's frames: seconds, or those published weights were trained on: pyslowfast,
    # mmaction2
    frame_grid: str = "seconds"
    # annotation time, in seconds, at which the movies of the grids pyslowfast and mmaction2 begin
    grid_start_second: float = 900.0
    # YUV to RGB: tagged, as each file says, or bt601 for all, as published weights were trained
    frame_colour: str = "tagged"
    # exact, or pyslowfast: the rounding of boxes that its weights were trained with
    # or videomae_ad: its clipping and its margin around each box
    box_arithmetic: str = "exact"
    # ticks by which a clip's frames come later than around the keyframe: 1 for the weights of
    # VideoMAE-AD, 3 for those of UMT
    clip_shift: int = 0
    mean: list[float] = field(default_factory=lambda: [0.45, 0.45, 0.45])  # of RGB / 255
    std: list[float] = field(default_factory=lambda: [0.225, 0.225, 0.225])  # of RGB / 255
    # order of the colors that the network sees: rgb, or bgr for weights from Caffe
    channel_order: str = "rgb"
    # optical flow, of networks that read it (model.streams): dis, farneback, tvl1, raft
    flow_algorithm: str = "dis"
    flow_range: float = 20.0  # the largest speed that its 8 bits hold, pixels a step
    flow_gap: int = 1  # ticks between the two frames of a pair
    # pixels of the frames that flow is computed on, before it is resized to the clip's size, its
    # values with it; null: it is computed on frames of the clip's size
    flow_short_side: int | None = None
    flow_mean: list[float] = field(default_factory=lambda: [0.0, 0.0])  # of u and v, pixels a step
    flow_std: list[float] = field(default_factory=lambda: [20.0, 20.0])  # of u and v
    flow_center: bool = False  # subtract its own mean from each field (Two-Stream CNN)
    # training and evaluation: the folder of `ava-det flow`; null computes flow from the videos
    flow_dir: str | None = None
    # training: pixels of the short side, drawn between these two
    train_short_side: list[int] = field(default_factory=lambda: [256, 340])
    crop_size: int | None = 224  # square training crop; null keeps the whole frame
    test_short_side: int = 256  # pixels; frames are scored whole
    flip: bool = True  # training: every other clip mirrored left to right
    box_jitter: float = 0.0  # training: every box edge moves by up to this share of the box
    # in its place: the largest shares by which sides move out and in, of the width, then of the
    # height (VideoMAE-AD: 0.2, 0.1, 0.1, 0.05); null: box_jitter in all four directions
    box_jitter_sides: list[float] | None = None
    # training: brightness, contrast, saturation by up to this share (PySlowFast: 0.4)
    colour_jitter: float = 0.0
    # training: PCA lighting, standard deviation of its amount (PySlowFast: 0.1)
    lighting: float = 0.0
    # training: largest shift of hue in degrees, of saturation and of value 0..1 (VideoMAE-AD: 20,
    # 0.1, 0.1)
    hsv_jitter: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    min_person_score: float = 0.8  # boxes of a file or detector below this are not used
    # training: from this IoU on, a detected box takes the labels of a labeled one
    proposal_iou: float = 0.9
    cache_clips: bool = False  # keep decoded clips as uint8 in memory: for small sets only
    train: SplitConfig = field(default_factory=SplitConfig)
    val: SplitConfig = field(default_factory=SplitConfig)
    test: SplitConfig = field(default_factory=SplitConfig)

    def __post_init__(self) -> None:
        check = KeyChecks(self, "data")
        check.require_one_of("slow_frame_policy", ("stride", "linspace"))
        check.require_one_of("frame_grid", ("seconds", "pyslowfast", "mmaction2"))
        check.require_one_of("frame_colour", ("tagged", "bt601"))
        check.require_one_of("channel_order", ("rgb", "bgr"))
        check.require_one_of("box_arithmetic", ("exact", "pyslowfast", "videomae_ad"))
        check.require_one_of("ava_version", ("2.1", "2.2"))
        fits = self.frame_grid == "seconds" or self.clip_fps == 30
        check.require("clip_fps", fits, f"30, of which data.frame_grid {self.frame_grid} is made")
        check.require("clip_fps", self.clip_fps > 0, "a positive number of ticks a second")
        check.require_at_least("test_short_side", 16, "at least 16 pixels")
        self._check_flow(check)
        self.mean = list(self.mean)
        self.std = list(self.std)
        self.train_short_side = list(self.train_short_side)
        self._check_jitter(check)
        for key in ("mean", "std"):
            check.require(key, len(getattr(self, key)) == 3, "three numbers (R, G, B)")
        self._check_training_sizes(check)
        check.require("std", all(value > 0 for value in self.std), "three positive numbers")
        check.require("start_second", math.isfinite(self.start_second), "a finite number")
        check.require("clip_fps", math.isfinite(self.clip_fps), "a finite number")
        for key in ("box_jitter", "colour_jitter", "lighting", "min_person_score", "proposal_iou"):
            check.require(key, 0 <= getattr(self, key) <= 1, "a fraction 0..1")

    def _check_flow(self, check: KeyChecks) -> None:
        """Refuses flow that cannot be computed or normalized."""
        check.require_one_of("flow_algorithm", FLOW_ALGORITHMS)
        fits = 0 < self.flow_range < math.inf
        check.require("flow_range", fits, "a positive number of pixels a step")
        check.require_at_least("flow_gap", 1, "a whole number of at least 1")
        side = self.flow_short_side
        check.require("flow_short_side", side is None or side >= 16, "null or at least 16 pixels")
        self.flow_mean = list(self.flow_mean)
        self.flow_std = list(self.flow_std)
        fits = len(self.flow_mean) == 2 and all(map(math.isfinite, self.flow_mean))
        check.require("flow_mean", fits, "two numbers (u, v)")
        fits = len(self.flow_std) == 2 and all(0 < one < math.inf for one in self.flow_std)
        check.require("flow_std", fits, "two positive numbers (u, v)")

    def _check_jitter(self, check: KeyChecks) -> None:
        """Refuses shares and shifts that are too many, too few or out of range."""
        hsv = self.hsv_jitter = list(self.hsv_jitter)
        fits = len(hsv) == 3 and 0 <= hsv[0] <= 180 and all(0 <= share <= 1 for share in hsv[1:])
        check.require("hsv_jitter", fits, "degrees 0..180 and two fractions 0..1")
        if self.box_jitter_sides is None:
            return
        sides = self.box_jitter_sides = list(self.box_jitter_sides)
        fits = len(sides) == 4 and all(0 <= share < 1 for share in sides)
        # two sides that both move in by half of the box would meet
        fits = fits and max(sides[1], sides[3]) < 0.5
        check.require(
            "box_jitter_sides", fits, "four fractions, of which those inward are below 0.5"
        )
        alone = self.box_jitter == 0
        check.require("box_jitter", alone, "0 beside data.box_jitter_sides, which takes its place")

    def _check_training_sizes(self, check: KeyChecks) -> None:
        """Refuses a range of short sides out of order, and a crop larger than the smallest."""
        sides = self.train_short_side
        ordered = len(sides) == 2 and 16 <= sides[0] <= sides[1]
        expected = "two numbers, the smaller first and at least 16"
        check.require("train_short_side", ordered, expected)
        fits = self.crop_size is None or 16 <= self.crop_size <= sides[0]
        expected = f"null or 16..{sides[0]} (the smallest data.train_short_side)"
        check.require("crop_size", fits, expected)
