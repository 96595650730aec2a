"""Published weights of PySlowFast, pytorchvideo, MMAction2, Detectron2, ECO and torchvision."""

from __future__ import annotations

from ava_det.checkpoint.published import PublishedWeights

_FACEBOOK = "https://dl.fbaipublicfiles.com"
_PYSLOWFAST = f"{_FACEBOOK}/pyslowfast/model_zoo"
_PYTORCHVIDEO = f"{_FACEBOOK}/pytorchvideo/model_zoo"
_MMACTION2 = "https://download.openmmlab.com/mmaction/v1.0/detection"
_MULTISPORTS = "kinetics400-pretrained-r50_8xb16-4x16x1-8e_multisports-rgb"
DETECTRON2 = f"{_FACEBOOK}/detectron2"
_GOOGLE_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
_APACHE = "Apache-2.0, as stated for the repository that publishes them"
_BSD = (
    "BSD-3-Clause, as stated for the repository that publishes them; trained on ImageNet or "
    "Kinetics-400"
)

_LICENSES = {
    "torchvision": _BSD,
    "eco_pytorch": "BSD-2-Clause, as stated for the repository that publishes them",
}

# Frame mAP of detectors on AVA, in percent, as their authors report it.
_AVA_SCORES = {
    "pyslowfast/SLOW_8x8_R50": 19.5,
    "pyslowfast/SLOWFAST_32x2_R50_SHORT": 24.8,
    "pyslowfast/SLOWFAST_32x2_R101_50_50_v2.1": 28.2,
    "pyslowfast/SLOWFAST_32x2_R101_50_50": 29.1,
    "pyslowfast/SLOWFAST_64x2_R101_50_50": 29.4,
    "pytorchvideo/SLOWFAST_8x8_R50_DETECTION": 24.67,
    "pytorchvideo/SLOW_4x16_R50_DETECTION": 19.5,
    "mmaction2/slowfast_r50_4x16_v2.1": 24.32,
    "mmaction2/slowfast_r50_8x8_v2.2": 25.90,
    "mmaction2/slowfast_r50_8x8_acrn_v2.1": 27.65,
    "mmaction2/slowfast_r50_8x8_acrn_v2.2": 27.71,
    "mmaction2/slowonly_r50_4x16_v2.1": 20.72,
    "mmaction2/slowonly_lfb_nl_r50_4x16_v2.1": 24.11,
    "mmaction2/slowonly_lfb_max_r50_4x16_v2.1": 22.15,
    "mmaction2/slowonly_r50_8x8_tricks_ava_kinetics": 30.33,
    "mmaction2/slowonly_r50_16x4_tricks_ava_kinetics": 31.29,
}

PROJECTS: dict[str, PublishedWeights] = {
    name: PublishedWeights(
        url, _LICENSES.get(name.partition("/")[0], _APACHE), mean_ap=_AVA_SCORES.get(name)
    )
    for name, url in {
        # PySlowFast, AVA
        "pyslowfast/SLOW_8x8_R50": f"{_PYSLOWFAST}/ava/C2D_8x8_R50.pkl",
        "pyslowfast/SLOWFAST_32x2_R50_SHORT": None,
        "pyslowfast/SLOWFAST_32x2_R101_50_50_v2.1": (
            f"{_PYSLOWFAST}/ava/SLOWFAST_32x2_R101_50_50_v2.1.pkl"
        ),
        "pyslowfast/SLOWFAST_32x2_R101_50_50": f"{_PYSLOWFAST}/ava/SLOWFAST_32x2_R101_50_50.pkl",
        "pyslowfast/SLOWFAST_64x2_R101_50_50": f"{_PYSLOWFAST}/ava/SLOWFAST_64x2_R101_50_50.pkl",
        # PySlowFast, the Kinetics weights those were trained from
        "pyslowfast/pretrain/C2D_8x8_R50": f"{_PYSLOWFAST}/ava/pretrain/C2D_8x8_R50.pkl",
        "pyslowfast/pretrain/SLOWFAST_32x2_R101_50_50_v2.1": (
            f"{_PYSLOWFAST}/ava/pretrain/SLOWFAST_32x2_R101_50_50_v2.1.pkl"
        ),
        "pyslowfast/pretrain/SLOWFAST_32x2_R101_50_50": (
            f"{_PYSLOWFAST}/ava/pretrain/SLOWFAST_32x2_R101_50_50.pkl"
        ),
        "pyslowfast/pretrain/SLOWFAST_64x2_R101_50_50": (
            f"{_PYSLOWFAST}/ava/pretrain/SLOWFAST_64x2_R101_50_50.pkl"
        ),
        # PySlowFast, Kinetics
        "pyslowfast/kinetics400/SLOW_4x16_R50": f"{_PYSLOWFAST}/kinetics400/SLOWONLY_4x16_R50.pkl",
        "pyslowfast/kinetics400/SLOW_8x8_R50": f"{_PYSLOWFAST}/kinetics400/SLOWONLY_8x8_R50.pkl",
        "pyslowfast/kinetics400/SLOWFAST_4x16_R50": (
            f"{_PYSLOWFAST}/kinetics400/SLOWFAST_4x16_R50.pkl"
        ),
        "pyslowfast/kinetics400/SLOWFAST_8x8_R50": (
            f"{_PYSLOWFAST}/kinetics400/SLOWFAST_8x8_R50.pkl"
        ),
        "pyslowfast/kinetics400/I3D_8x8_R50": f"{_PYSLOWFAST}/kinetics400/I3D_8x8_R50.pkl",
        "pyslowfast/kinetics400/I3D_NLN_8x8_R50": f"{_PYSLOWFAST}/kinetics400/I3D_NLN_8x8_R50.pkl",
        "pyslowfast/kinetics400/SLOWFAST_NLN_16x8_R101": None,
        # pytorchvideo
        "pytorchvideo/SLOWFAST_8x8_R50_DETECTION": (
            f"{_PYTORCHVIDEO}/ava/SLOWFAST_8x8_R50_DETECTION.pyth"
        ),
        "pytorchvideo/SLOW_4x16_R50_DETECTION": f"{_PYTORCHVIDEO}/ava/SLOW_4x16_R50_DETECTION.pyth",
        "pytorchvideo/SLOW_4x16_R50": f"{_PYTORCHVIDEO}/kinetics/SLOW_4x16_R50.pyth",
        "pytorchvideo/SLOW_8x8_R50": f"{_PYTORCHVIDEO}/kinetics/SLOW_8x8_R50.pyth",
        "pytorchvideo/SLOWFAST_4x16_R50": f"{_PYTORCHVIDEO}/kinetics/SLOWFAST_4x16_R50.pyth",
        "pytorchvideo/SLOWFAST_8x8_R50": f"{_PYTORCHVIDEO}/kinetics/SLOWFAST_8x8_R50.pyth",
        "pytorchvideo/SLOWFAST_8x8_R101": f"{_PYTORCHVIDEO}/kinetics/SLOWFAST_8x8_R101.pyth",
        "pytorchvideo/SLOWFAST_16x8_R101_50_50": (
            f"{_PYTORCHVIDEO}/kinetics/SLOWFAST_16x8_R101_50_50.pyth"
        ),
        # MMAction2, AVA and AVA-Kinetics
        "mmaction2/slowfast_r50_4x16_v2.1": (
            f"{_MMACTION2}/slowfast/slowfast_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb/"
            "slowfast_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb_20220906-5180ea3c.pth"
        ),
        "mmaction2/slowfast_r50_8x8_v2.2": (
            f"{_MMACTION2}/slowfast/"
            "slowfast_kinetics400-pretrained-r50_8xb6-8x8x1-cosine-10e_ava22-rgb/"
            "slowfast_kinetics400-pretrained-r50_8xb6-8x8x1-cosine-10e_ava22-rgb"
            "_20220906-d934a48f.pth"
        ),
        "mmaction2/slowfast_r50_8x8_acrn_v2.1": (
            f"{_MMACTION2}/acrn/"
            "slowfast-acrn_kinetics400-pretrained-r50_8xb8-8x8x1-cosine-10e_ava21-rgb/"
            "slowfast-acrn_kinetics400-pretrained-r50_8xb8-8x8x1-cosine-10e_ava21-rgb"
            "_20220906-0dae1a90.pth"
        ),
        "mmaction2/slowfast_r50_8x8_acrn_v2.2": (
            f"{_MMACTION2}/acrn/"
            "slowfast-acrn_kinetics400-pretrained-r50_8xb8-8x8x1-cosine-10e_ava22-rgb/"
            "slowfast-acrn_kinetics400-pretrained-r50_8xb8-8x8x1-cosine-10e_ava22-rgb"
            "_20220906-66ec24a2.pth"
        ),
        "mmaction2/slowonly_r50_4x16_v2.1": (
            f"{_MMACTION2}/slowonly/slowonly_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb/"
            "slowonly_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb_20220906-953ef5fe.pth"
        ),
        "mmaction2/slowonly_lfb_nl_r50_4x16_v2.1": (
            f"{_MMACTION2}/lfb/slowonly-lfb-nl_kinetics400-pretrained-r50_8xb12-4x16x1-20e"
            "_ava21-rgb/slowonly-lfb-nl_kinetics400-pretrained-r50_8xb12-4x16x1-20e_ava21-rgb"
            "_20220906-4c5b9f25.pth"
        ),
        "mmaction2/slowonly_lfb_max_r50_4x16_v2.1": (
            f"{_MMACTION2}/lfb/slowonly-lfb-max_kinetics400-pretrained-r50_8xb12-4x16x1-20e"
            "_ava21-rgb/slowonly-lfb-max_kinetics400-pretrained-r50_8xb12-4x16x1-20e_ava21-rgb"
            "_20220906-4963135b.pth"
        ),
        "mmaction2/slowonly_r50_8x8_tricks_ava_kinetics": (
            f"{_MMACTION2}/slowonly/"
            "slowonly_k700-pre-r50-context-temporal-max-nl-head_8xb8-8x8x1-focal-10e"
            "_ava-kinetics-rgb/"
            "slowonly_k700-pre-r50-context-temporal-max-nl-head_8xb8-8x8x1-focal-10e"
            "_ava-kinetics-rgb"
            "_20221205-37aa8395.pth"
        ),
        "mmaction2/slowonly_r50_16x4_tricks_ava_kinetics": (
            f"{_MMACTION2}/slowonly/slowonly_k700-pre-r50_8xb8-16x4x1-10e-tricks_ava-kinetics-rgb/"
            "slowonly_k700-pre-r50_8xb8-16x4x1-10e-tricks_ava-kinetics-rgb_20221205-dd652f81.pth"
        ),
        # MMAction2, MultiSports: another metric than AVA's, so they have no mean_ap
        "mmaction2/slowfast_r50_4x16_multisports": (
            f"{_MMACTION2}/slowfast/slowfast_{_MULTISPORTS}/"
            f"slowfast_{_MULTISPORTS}_20230320-af666368.pth"
        ),
        "mmaction2/slowonly_r50_4x16_multisports": (
            f"{_MMACTION2}/slowonly/slowonly_{_MULTISPORTS}/"
            f"slowonly_{_MULTISPORTS}_20230320-a1ca5e76.pth"
        ),
        # Detectron2, person detectors for `faster_rcnn`
        "detectron2/COCO-Detection/faster_rcnn_R_50_FPN_3x": (
            f"{DETECTRON2}/COCO-Detection/faster_rcnn_R_50_FPN_3x/137849458/model_final_280758.pkl"
        ),
        "detectron2/COCO-Detection/faster_rcnn_R_101_FPN_3x": (
            f"{DETECTRON2}/COCO-Detection/faster_rcnn_R_101_FPN_3x/137851257/model_final_f6e8b1.pkl"
        ),
        "detectron2/COCO-Detection/faster_rcnn_X_101_32x8d_FPN_3x": (
            f"{DETECTRON2}/COCO-Detection/faster_rcnn_X_101_32x8d_FPN_3x/139173657/"
            "model_final_68b088.pkl"
        ),
        # ECO's authors, Kinetics-400
        "eco_pytorch/ECO_Lite": f"{_GOOGLE_DRIVE}1XNIq7byciKgrn011jLBggd2g79jKX4uD",
        "eco_pytorch/ECO_Full": f"{_GOOGLE_DRIVE}1ATuN_KctsbFAbcNgWDlETZVsy2vhxZay",
        # ImageNet, to be inflated
        "torchvision/resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
        "torchvision/resnet101": "https://download.pytorch.org/models/resnet101-63fe2227.pth",
        # torchvision's video transformers, Kinetics-400
        "torchvision/mvit_v2_s": "https://download.pytorch.org/models/mvit_v2_s-ae3be167.pth",
        "torchvision/swin3d_t": "https://download.pytorch.org/models/swin3d_t-7615ae03.pth",
        "torchvision/swin3d_s": "https://download.pytorch.org/models/swin3d_s-da41c237.pth",
        "torchvision/swin3d_b": "https://download.pytorch.org/models/swin3d_b_1k-24f7c7c6.pth",
        "torchvision/swin3d_b_22k": "https://download.pytorch.org/models/swin3d_b_22k-7c6ae6fa.pth",
    }.items()
}
