"""Published weights of video transformers, by name."""

from __future__ import annotations

from ava_det.checkpoint.published import PublishedWeights

_OPENMMLAB = "https://download.openmmlab.com/mmaction/v1.0"
_HUB = "https://huggingface.co"
_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
_APACHE_FROM_NC = (
    "Apache-2.0, as stated for the repository that publishes them; "
    "trained from weights whose own license is CC-BY-NC-4.0"
)
# MMAction2's classifiers are the authors' own files under other names.
_PORTED_NC = "CC-BY-NC-4.0, not for commercial use: VideoMAE's own weights, converted by MMAction2"
_MIT = "MIT, as stated for the repository that publishes them"
_NC = "CC-BY-NC-4.0, not for commercial use"
_V2_CARDS = (
    "CC-BY-NC-4.0, not for commercial use, on newer cards of their authors; Apache-2.0 on older"
)
_DETECTOR = "8xb8-16x4x1-20e-adamw_ava-kinetics-rgb"


def _mmaction2_detector(size: str, digest: str, mean_ap: float) -> PublishedWeights:
    name = f"vit-{size}-p16_videomae-k400-pre_{_DETECTOR}"
    url = f"{_OPENMMLAB}/detection/videomae/{name}/{name}_20230314-{digest}.pth"
    return PublishedWeights(url, _APACHE_FROM_NC, mean_ap=mean_ap)


def _mmaction2_classifier(family: str, name: str, digest: str) -> PublishedWeights:
    """Returns a classifier of Kinetics; `digest` begins with the date."""
    folder = f"{_OPENMMLAB}/recognition/{family}"
    inside = f"{name}/" if family == "videomaev2" else ""
    license = _V2_CARDS if family == "videomaev2" else _PORTED_NC
    return PublishedWeights(f"{folder}/{inside}{name}_{digest}.pth", license, commercial=False)


VIDEO_TRANSFORMERS: dict[str, PublishedWeights] = {
    # AVA and AVA-Kinetics
    "mmaction2/vit_b_videomae": _mmaction2_detector("base", "3dafab75", 33.6),
    "mmaction2/vit_l_videomae": _mmaction2_detector("large", "bf93c9ea", 38.7),
    # The bucket that its README names is gone; where in the hub's folder they lie is not known.
    "umt/vit_b": PublishedWeights(
        None, _MIT, f"{_HUB}/OpenGVLab/UMT", "b16_ptk710_ftk710_ftava_f8_res224.pth", 33.5
    ),
    "umt/vit_l": PublishedWeights(
        None, _MIT, f"{_HUB}/OpenGVLab/UMT", "l16_ptk710_ftk710_ftava_f8_res224.pth", 39.8
    ),
    # the files of its table's rows with extra labels
    "videomae_ad/vit_s": PublishedWeights(
        f"{_DRIVE}1b9Lp64IF8vjhh19mjDdyoSSiZk6cFfKb", _NC, mean_ap=28.4, commercial=False
    ),
    "videomae_ad/vit_b": PublishedWeights(
        f"{_DRIVE}1-YgaSSM9xWc4V_HjVG-FH0LMA6KV-Qdh", _NC, mean_ap=31.8, commercial=False
    ),
    # Kinetics: starts for training
    "mmaction2/kinetics/vit_b_videomae": _mmaction2_classifier(
        "videomae",
        "vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400",
        "20221013-860a3cd3",
    ),
    "mmaction2/kinetics/vit_l_videomae": _mmaction2_classifier(
        "videomae",
        "vit-large-p16_videomae-k400-pre_16x4x1_kinetics-400",
        "20221013-229dbb03",
    ),
    "mmaction2/kinetics/vit_b_videomaev2": _mmaction2_classifier(
        "videomaev2",
        "vit-base-p16_videomaev2-vit-g-dist-k710-pre_16x4x1_kinetics-400",
        "20230510-3e7f93b2",
    ),
    **{
        f"videomaev2/vit_{size}_k710": PublishedWeights(
            f"{_HUB}/OpenGVLab/VideoMAE2/resolve/main/distill/vit_{size}_k710_dl_from_giant.pth",
            _V2_CARDS,
            commercial=False,
        )
        for size in "sb"
    },
}

# The frames and boxes their detectors were trained on, as keys of `data` in a config.
_TRANSFORMER_INPUT: dict[str, object] = {
    "slow_frame_policy": "stride",
    "frame_grid": "seconds",
    "frame_colour": "bt601",
    "box_arithmetic": "videomae_ad",
    "mean": [0.48145, 0.45469, 0.40384],
    "std": [0.225, 0.225, 0.225],
}
TRANSFORMER_INPUTS = {
    "videomae_ad": {**_TRANSFORMER_INPUT, "clip_shift": 1},
    "umt": {**_TRANSFORMER_INPUT, "clip_shift": 3},
}
