"""Lists what was published: which weights, config and scoring gave which mAP.

The numbers are of AVA's 64 validation movies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ava_det.checkpoint.zoo import ZOO

NUM_MOVIES = 64  # of AVA's validation split
NUM_PICTURES = 27_030  # of a movie cut from 900 to 1801 s, at 30 a second

# Class name -> AP, as far as we could read the threads; they give all 60, and a log to download
# (`load_reference`).
_PYSLOWFAST_ISSUE_66 = {
    "answer phone": 0.743493322077844,
    "bend/bow (at the waist)": 0.42704986947255796,
    "carry/hold (an object)": 0.577673266324055,
}
_PYSLOWFAST_ISSUE_76 = {
    "answer phone": 0.7545589920069379,
    "bend/bow (at the waist)": 0.4209714977698934,
    "carry/hold (an object)": 0.5944094944816026,
    "climb (e.g., a mountain)": 0.11042927330715799,
    "close (e.g., a door, a box)": 0.17966384150371353,
    "crouch/kneel": 0.26720250260433787,
    "cut": 0.040854016956228194,
    "dance": 0.5924185409830705,
    "dress/put on clothing": 0.12135484425860969,
    "drink": 0.33575787342767954,
    "drive (e.g., a car, a truck)": 0.41179060034678316,
    "eat": 0.4164467187818649,
    "enter": 0.09019086799224009,
    "fall down": 0.16345359722186753,
}


_VAL_LIST = "ava_detection_val_boxes_and_labels.csv"
_MMACTION2_LIST = "ava_dense_proposals_val.FAIR.recall_93.9.pkl"


@dataclass(frozen=True)
class PublishedResult:
    """Describes a published result.

    Attributes:
        weights: A name of the model zoo.
        config: The config file that runs them.
        version: Of the annotations.
        mean_ap: mAP, 0..1, under `protocol`.
        protocol: A name of `evaluation.PROTOCOLS`.
        source: Where the number is stated.
        box_list: End of the path of the person boxes it used.
        min_person_score: The least score of a person box it used.
        overrides: Of the config, such as `model.roi_aligned=true`.
        reference: Class name -> AP, of some classes.
        reference_source: Where `reference` is stated.
    """

    weights: str
    config: str
    version: str
    mean_ap: float
    protocol: str
    source: str
    box_list: str = f"person_box_67091280_iou90/{_VAL_LIST}"
    min_person_score: float = 0.8
    overrides: tuple[str, ...] = ()
    reference: Mapping[str, float] = field(default_factory=dict)
    reference_source: str | None = None


_PYSLOWFAST_ZOO = "https://github.com/facebookresearch/SlowFast/blob/main/MODEL_ZOO.md"
_PYTORCHVIDEO_ZOO = "https://pytorchvideo.readthedocs.io/en/latest/model_zoo.html"
_MMACTION2_ZOO = "https://github.com/open-mmlab/mmaction2/blob/main/configs/detection"
_ISSUES = "https://github.com/facebookresearch/SlowFast/issues"
_SLOW_ONLY_TRICKS = "configs/ava/mmaction2/slowonly_r50_16x4_tricks.yaml"

PUBLISHED: dict[str, PublishedResult] = {
    result.weights: result
    for result in (
        PublishedResult(
            "pyslowfast/SLOWFAST_32x2_R101_50_50_v2.1",
            "configs/ava/pyslowfast/SLOWFAST_32x2_R101_50_50_v2.1.yaml",
            "2.1",
            0.282,
            "pyslowfast",
            _PYSLOWFAST_ZOO,
            reference=_PYSLOWFAST_ISSUE_66,
            reference_source=f"{_ISSUES}/66",
        ),
        PublishedResult(
            "pyslowfast/SLOWFAST_32x2_R101_50_50",
            "configs/ava/pyslowfast/SLOWFAST_32x2_R101_50_50.yaml",
            "2.2",
            0.291,
            "pyslowfast",
            _PYSLOWFAST_ZOO,
        ),
        PublishedResult(
            "pyslowfast/SLOWFAST_64x2_R101_50_50",
            "configs/ava/pyslowfast/SLOWFAST_64x2_R101_50_50.yaml",
            "2.2",
            0.294,
            "pyslowfast",
            _PYSLOWFAST_ZOO,
            reference=_PYSLOWFAST_ISSUE_76,
            reference_source=f"{_ISSUES}/76",
        ),
        PublishedResult(
            "pyslowfast/SLOW_8x8_R50",
            "configs/ava/pyslowfast/SLOW_8x8_R50.yaml",
            "2.2",
            0.195,
            "pyslowfast",
            _PYSLOWFAST_ZOO,
            f"person_box_67091280_iou75/{_VAL_LIST}",
            0.9,
        ),
        PublishedResult(
            "pytorchvideo/SLOWFAST_8x8_R50_DETECTION",
            "configs/ava/pyslowfast/SLOWFAST_32x2_R50_SHORT.yaml",
            "2.2",
            0.2467,
            "pyslowfast",
            _PYTORCHVIDEO_ZOO,
        ),
        PublishedResult(
            "pytorchvideo/SLOW_4x16_R50_DETECTION",
            "configs/ava/pyslowfast/SLOW_8x8_R50.yaml",
            "2.2",
            0.195,
            "pyslowfast",
            _PYTORCHVIDEO_ZOO,
            f"person_box_67091280_iou75/{_VAL_LIST}",
            0.9,
            overrides=("model.roi_aligned=true",),
        ),
        PublishedResult(
            "mmaction2/slowfast_r50_8x8_v2.2",
            "configs/ava/mmaction2/slowfast_r50_8x8_v2.2.yaml",
            "2.2",
            0.2590,
            "mmaction2",
            f"{_MMACTION2_ZOO}/slowfast",
            _MMACTION2_LIST,
            0.9,
        ),
        PublishedResult(
            "mmaction2/slowonly_r50_16x4_tricks_ava_kinetics",
            _SLOW_ONLY_TRICKS,
            "2.2",
            0.3129,
            "mmaction2",
            f"{_MMACTION2_ZOO}/slowonly",
            _MMACTION2_LIST,
            0.9,
        ),
        PublishedResult(
            "mmaction2/slowonly_r50_8x8_tricks_ava_kinetics",
            _SLOW_ONLY_TRICKS,
            "2.2",
            0.3033,
            "mmaction2",
            f"{_MMACTION2_ZOO}/slowonly",
            _MMACTION2_LIST,
            0.9,
            overrides=("model.num_slow_frames=8", "model.slow_stride=8"),
        ),
        *(
            PublishedResult(
                f"mmaction2/slowfast_r50_8x8_acrn_v{version}",
                "configs/ava/slowfast_r50_8x8_acrn.yaml",
                version,
                mean_ap,
                "mmaction2",
                f"{_MMACTION2_ZOO}/acrn",
                _MMACTION2_LIST,
                0.9,
                overrides=(f"data.ava_version={version}",),
            )
            for version, mean_ap in (("2.1", 0.2765), ("2.2", 0.2771))
        ),
        *(
            PublishedResult(
                f"mmaction2/vit_{size}_videomae",
                f"configs/ava/mmaction2/vit_{size}_videomae.yaml",
                "2.2",
                mean_ap,
                "mmaction2",
                f"{_MMACTION2_ZOO}/videomae",
                _MMACTION2_LIST,
                0.9,
            )
            for size, mean_ap in (("b", 0.336), ("l", 0.387))
        ),
    )
}


def find_published(weights: str) -> PublishedResult | None:
    """Finds the published result of weights.

    Args:
        weights: A name of the model zoo, or a file that has its published name.

    Returns:
        The result; None for other weights.
    """
    if weights in PUBLISHED:
        return PUBLISHED[weights]
    for name, result in PUBLISHED.items():
        url = ZOO[name].url
        if url is not None and Path(weights).name == url.rpartition("/")[2]:
            return result
    return None


def load_reference(path: str | Path) -> dict[str, float]:
    """Reads the AP of each class from a log of PySlowFast or MMAction2.

    Such a log prints `...AP@0.5IOU/NAME: value`; the last value of each class counts.

    Returns:
        Class name -> AP.

    Raises:
        ValueError: The file does not exist or has no such line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise ValueError(
            f"{path}: no such file, expected a test log with AP@0.5IOU of each class"
        ) from None
    pairs = re.findall(
        r"""PerformanceByCategory/AP@0\.5IOU/(.+?)['"]?\s*[:=]\s*([0-9.]+(?:e[+-]?\d+)?)""", text
    )
    if not pairs:
        raise ValueError(
            f"{path}: expected a test log with lines such as 'AP@0.5IOU/answer phone': 0.743, "
            "found none"
        )
    return {name: float(value) for name, value in pairs}
