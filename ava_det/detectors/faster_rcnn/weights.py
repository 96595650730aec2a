"""Builds the network of a weights file, and writes such files.

The file is one of Detectron2's, or one of this toolkit with its architecture in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ava_det.checkpoint import (
    WeightsError,
    copy_weights,
    find_weights,
    load_checkpoint,
    name_family,
    save_checkpoint,
)
from ava_det.detectors.faster_rcnn.model import FasterRCNN
from ava_det.detectors.faster_rcnn.resize import LONG_SIDE, SHORT_SIDE
from ava_det.detectors.faster_rcnn.resnet import RESNET_BLOCKS, STAGES

FAIR_STD_BGR = (57.375, 57.12, 58.395)  # of the zoo's ResNeXt; its ResNets use 1

_STEM = "backbone.bottom_up.stem.conv1"
_MARKS = (
    f"{_STEM}.weight",
    *(f"backbone.bottom_up.{stage}.0.conv2.weight" for stage in STAGES),
    "backbone.fpn_lateral2.weight",
    "proposal_generator.rpn_head.conv.weight",
    "roi_heads.box_head.fc1.weight",
    "roi_heads.box_predictor.cls_score.weight",
)


@dataclass(frozen=True)
class InputRule:
    """Describes the images that weights expect.

    Attributes:
        short_side: Of the resized frame, see `compute_size`.
        long_side: Of the resized frame, see `compute_size`.
        channel_order: BGR or RGB.
    """

    short_side: int = SHORT_SIDE
    long_side: int = LONG_SIDE
    channel_order: str = "BGR"


def load_faster_rcnn(file: str | Path) -> tuple[FasterRCNN, InputRule]:
    """Loads the network of a weights file on the CPU, and how its images are prepared.

    Files of `save_faster_rcnn` contain the architecture of their network; in files of Detectron2 it
    is read from names and shapes. What a file does not state is taken as in the zoo: a network
    without groups is MSRA's (stride in the 1x1 convolution, pixel deviation 1), one with groups is
    FAIR's. Every entry must fit, and nothing in the file is executed.

    Args:
        file: A path, a name of the model zoo or a URL.

    Raises:
        WeightsError: The file cannot be used, in one sentence.
    """
    content = load_checkpoint(file)
    try:
        state_dict = find_weights(file, content)
        facts = content.get("detector")
        if facts is None:
            model, rule = FasterRCNN(**infer_architecture(state_dict.tensors)), InputRule()
        else:
            model = FasterRCNN(**facts["architecture"])
            rule = InputRule(**facts["input"])
    except WeightsError:
        raise
    except ValueError as error:
        raise WeightsError(f"{file}: {error}") from None
    except (TypeError, KeyError) as error:
        raise WeightsError(
            f"{file}: its description of the detector is not one of ours ({error})"
        ) from None
    copy_weights(model, state_dict, file)
    return model, rule


def save_faster_rcnn(path: str | Path, model: FasterRCNN, rule: InputRule, **extra: Any) -> None:
    """Writes weights, architecture and input rule to one file, complete or not at all.

    Args:
        path: The file.
        model: The network.
        rule: How its images are prepared.
        **extra: Further entries of the file.
    """
    facts = describe_faster_rcnn(model, rule)
    save_checkpoint(path, {"model": model.state_dict(), **facts, **extra})


def describe_faster_rcnn(model: FasterRCNN, rule: InputRule) -> dict[str, Any]:
    """Returns what a weights file holds beside the weights, so that it says what they belong to."""
    return {"detector": {"architecture": model.architecture, "input": asdict(rule)}}


def infer_architecture(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Infers the arguments of `FasterRCNN` from weights with Detectron2's names.

    Raises:
        ValueError: The weights belong to another network.
    """
    missing = [name for name in _MARKS if name not in tensors]
    if missing:
        family = name_family(tensors)
        raise ValueError(
            "expected a Faster R-CNN with a feature pyramid under Detectron2's names (such as "
            "detectron2/COCO-Detection/faster_rcnn_R_50_FPN_3x), "
            f"found {family or f'no {missing[0]}'}"
        )
    bottleneck = "backbone.bottom_up.res2.0.conv3.weight" in tensors
    blocks = tuple(_count_blocks(tensors, f"backbone.bottom_up.{stage}.") for stage in STAGES)
    depth = next(
        (
            d
            for d, num_blocks in RESNET_BLOCKS.items()
            if num_blocks == blocks and (d >= 50) == bottleneck
        ),
        None,
    )
    if depth is None:
        raise ValueError(
            f"expected a ResNet of depth {sorted(RESNET_BLOCKS)}, found stages of {blocks} blocks"
        )
    inner, group = tensors["backbone.bottom_up.res2.0.conv2.weight"].shape[:2]
    groups = inner // group
    hidden = tensors["roi_heads.box_predictor.cls_score.weight"]
    return {
        "depth": depth,
        "width": tensors[f"{_STEM}.weight"].shape[0],
        "groups": groups,
        "group_width": group,
        "stride_in_1x1": groups == 1,
        "norm": "frozen_bn" if f"{_STEM}.norm.running_mean" in tensors else "gn",
        "channels": tensors["backbone.fpn_lateral2.weight"].shape[0],
        "hidden": hidden.shape[1],
        "num_classes": hidden.shape[0] - 1,
        "pixel_std": (1.0, 1.0, 1.0) if groups == 1 else FAIR_STD_BGR,
    }


def _count_blocks(names: Mapping[str, Tensor], stage: str) -> int:
    return len(
        {name.removeprefix(stage).partition(".")[0] for name in names if name.startswith(stage)}
    )
