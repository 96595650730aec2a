"""Networks and frames whose boxes are written down in golden.json, and how to write it again with
Detectron2 itself.

    python tests/detectors/faster_rcnn/golden_cases.py        (needs Detectron2)

Weights follow the rule of seeded_weights.py, frames that of `make_frame`. Networks are narrow, so
that comparing takes seconds; between them they have everything in which the zoo's R50, R101 and
X101 differ.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.detectors.detectron2_detector import Detectron2Detector, import_detectron2
from ava_det.detectors.faster_rcnn import FasterRCNN, FasterRCNNDetector
from ava_det.detectors.faster_rcnn.weights import FAIR_STD_BGR
from tests.support import seeded_weights

GOLDEN = Path(__file__).with_name("golden.json")
NARROW = {"width": 16, "channels": 32, "hidden": 64}
KEPT = 20  # best boxes of a frame in golden.json
SIZES = ((120, 160), (90, 240), (200, 75), (256, 256))  # height, width of the frames


@dataclass(frozen=True)
class Case:
    """architecture: arguments of FasterRCNN. zoo: the configuration it is a (narrow) variant of.

    tied: results of `detect` in which two boxes overlap by just the threshold of the suppression: a
    pixel mean moved by 1e-4 decides which of them stays. They are compared with Detectron2 itself
    only, not with golden.json.
    """

    zoo: str
    architecture: dict[str, Any]
    short_side: int = 160
    long_side: int = 300
    tied: tuple[int, ...] = ()


CASES = {
    "narrow_r50": Case("faster_rcnn_R_50_FPN_3x", NARROW | {"depth": 50}),
    "narrow_x50": Case(
        "faster_rcnn_X_101_32x8d_FPN_3x",
        NARROW
        | {
            "depth": 50,
            "groups": 4,
            "group_width": 8,
            "stride_in_1x1": False,
            "pixel_std": FAIR_STD_BGR,
        },
    ),
    "r50": Case("faster_rcnn_R_50_FPN_3x", {"depth": 50}, 256, 400),
    "x101": Case(
        "faster_rcnn_X_101_32x8d_FPN_3x",
        {
            "depth": 101,
            "groups": 32,
            "group_width": 8,
            "stride_in_1x1": False,
            "pixel_std": FAIR_STD_BGR,
        },
        256,
        400,
        tied=(4,),
    ),
}


def make_frame(height: int, width: int, seed: int) -> np.ndarray:
    """Blurred noise, RGB uint8 [H, W, 3]."""
    noise = (
        np.random.RandomState(seed)
        .randint(0, 256, (height // 12 + 2, width // 12 + 2, 3))
        .astype(np.uint8)
    )
    return np.kron(noise, np.ones((12, 12, 1), np.uint8))[:height, :width]


def make_frames() -> list[np.ndarray]:
    return [make_frame(height, width, seed) for seed, (height, width) in enumerate(SIZES)]


def build_ours(case: Case, **changes: Any) -> FasterRCNNDetector:
    model = FasterRCNN(**(case.architecture | changes))
    seeded_weights.fill(model)
    return FasterRCNNDetector(model, short_side=case.short_side, long_side=case.long_side)


def build_theirs(case: Case, folder: Path) -> Detectron2Detector:
    """The same network by Detectron2: through a configuration file and a weights file, as a user
    would.
    """
    library = import_detectron2()
    config = library.model_zoo.get_config(f"COCO-Detection/{case.zoo}.yaml")
    arguments = {"width": 64, "groups": 1, "channels": 256, "hidden": 1024} | case.architecture
    resnet = config.MODEL.RESNETS
    depth = arguments["depth"]
    resnet.DEPTH = depth
    resnet.STEM_OUT_CHANNELS = arguments["width"]
    resnet.RES2_OUT_CHANNELS = arguments["width"] * (4 if depth >= 50 else 1)
    resnet.NUM_GROUPS = arguments["groups"]
    resnet.WIDTH_PER_GROUP = arguments.get("group_width", arguments["width"])
    config.MODEL.FPN.OUT_CHANNELS = arguments["channels"]
    config.MODEL.ROI_BOX_HEAD.FC_DIM = arguments["hidden"]
    config.INPUT.MIN_SIZE_TEST = case.short_side
    config.INPUT.MAX_SIZE_TEST = case.long_side
    config.MODEL.DEVICE = "cpu"
    model = library.modeling.build_model(config)
    seeded_weights.fill(model)
    library.checkpoint.DetectionCheckpointer(model, str(folder)).save("weights")
    (folder / "config.yaml").write_text(config.dump())
    return Detectron2Detector(folder / "config.yaml", folder / "weights.pth")


def detect(
    detector: FasterRCNNDetector | Detectron2Detector,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Every frame alone, then all frames as one batch."""
    frames = make_frames()
    return [detector([frame])[0] for frame in frames] + detector(frames)


def main() -> None:
    import tempfile

    golden = {}
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            results = detect(build_theirs(case, Path(folder)))
        golden[name] = [
            {"count": len(boxes), "boxes": boxes[:KEPT].tolist(), "scores": scores[:KEPT].tolist()}
            for boxes, scores in results
        ]
        print(name, [len(scores) for _, scores in results])
    text = json.dumps(
        json.loads(json.dumps(golden), parse_float=lambda digits: round(float(digits), 6))
    )
    GOLDEN.write_text(text.replace('{"count"', '\n{"count"') + "\n")


if __name__ == "__main__":
    main()
