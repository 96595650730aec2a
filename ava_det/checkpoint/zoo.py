"""Lists published weights by name, and downloads them to a cache folder.

MODEL_ZOO.md says what each scored. `resolve_weights` is called by everything that reads weights, so
a name works wherever a file does.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout
from tqdm import tqdm

from ava_det.checkpoint.files import WeightsError
from ava_det.checkpoint.published import COMPARED_SYSTEMS, PublishedWeights
from ava_det.checkpoint.published_transformers import TRANSFORMER_INPUTS, VIDEO_TRANSFORMERS
from ava_det.files import atomic_path, suggest_file

_FACEBOOK = "https://dl.fbaipublicfiles.com"
_PYSLOWFAST = f"{_FACEBOOK}/pyslowfast/model_zoo"
_PYTORCHVIDEO = f"{_FACEBOOK}/pytorchvideo/model_zoo"
_MMACTION2 = "https://download.openmmlab.com/mmaction/v1.0/detection"
_DETECTRON2 = f"{_FACEBOOK}/detectron2"
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

ZOO: dict[str, PublishedWeights] = {
    name: PublishedWeights(url, _LICENSES.get(name.partition("/")[0], _APACHE))
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
        # Detectron2, person detectors for `faster_rcnn`
        "detectron2/COCO-Detection/faster_rcnn_R_50_FPN_3x": (
            f"{_DETECTRON2}/COCO-Detection/faster_rcnn_R_50_FPN_3x/137849458/model_final_280758.pkl"
        ),
        "detectron2/COCO-Detection/faster_rcnn_R_101_FPN_3x": (
            f"{_DETECTRON2}/COCO-Detection/faster_rcnn_R_101_FPN_3x/137851257/"
            "model_final_f6e8b1.pkl"
        ),
        "detectron2/COCO-Detection/faster_rcnn_X_101_32x8d_FPN_3x": (
            f"{_DETECTRON2}/COCO-Detection/faster_rcnn_X_101_32x8d_FPN_3x/139173657/"
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
} | COMPARED_SYSTEMS
ZOO |= VIDEO_TRANSFORMERS


# The frames and boxes each project's detectors were trained on, as keys of `data` in a config: on
# others they score lower.
_PYSLOWFAST_INPUT: dict[str, object] = {
    "slow_frame_policy": "linspace",
    "frame_grid": "pyslowfast",
    "frame_colour": "bt601",
    "box_arithmetic": "pyslowfast",
    "mean": [0.45, 0.45, 0.45],
    "std": [0.225, 0.225, 0.225],
    "clip_shift": 0,
}
INPUTS_BY_SOURCE: dict[str, dict[str, object]] = {
    "pyslowfast": _PYSLOWFAST_INPUT,
    "pytorchvideo": _PYSLOWFAST_INPUT,  # published from PySlowFast's workflow
    "lfb": _PYSLOWFAST_INPUT,  # PySlowFast took its frames and boxes from there
    "mmaction2": {
        "slow_frame_policy": "stride",
        "frame_grid": "mmaction2",
        "frame_colour": "bt601",
        "box_arithmetic": "exact",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "clip_shift": 0,
    },
    **TRANSFORMER_INPUTS,
}


def resolve_weights(name_or_path: str | Path) -> Path:
    """Finds the file of weights by path, name or URL; downloads it on first use.

    The cache is $AVA_DET_CACHE, or ava_det under the user's cache folder.

    Args:
        name_or_path: A path, a name of `ZOO`, or a URL: https:// or detectron2://, as Detectron2's
            configurations write them.

    Returns:
        A path unchanged; for a name or URL the path of its file in the cache.

    Raises:
        WeightsError: The path or name does not exist, nobody published these weights, or the
            download fails.
    """
    name = str(name_or_path)
    if Path(name_or_path).exists():
        return Path(name_or_path)
    if name.startswith("detectron2://"):
        name = name.replace("detectron2:/", _DETECTRON2, 1)
    if name.startswith("https://"):
        known = next((entry for entry, published in ZOO.items() if published.url == name), None)
        if known is None:
            return _keep(
                name, name, urllib.parse.urlsplit(name).path.strip("/"), "see where it is published"
            )
        name = known
    if name not in ZOO:
        near = difflib.get_close_matches(name, ZOO, n=1)
        hint = f" (did you mean {near[0]}?)" if near else suggest_file(name)
        raise WeightsError(f"{name}: no such weights file, and no such name in MODEL_ZOO.md{hint}")
    published = ZOO[name]
    url = published.url
    if published.page is not None:
        target = cache_folder() / name.rpartition("/")[0] / str(published.file)
        if target.is_file():
            return target
        raise WeightsError(
            f"{name}: expected {target}, fetched by hand from {published.page}; "
            f"license: {published.license}"
        )
    if url is None:
        raise WeightsError(
            f"{name}: its authors published the recipe and the result but no weights"
        )
    file = f"{name.rpartition('/')[2]}.pth" if "?" in url else url.rpartition("/")[2]
    return _keep(name, url, f"{name.rpartition('/')[0]}/{file}", ZOO[name].license)


def _keep(name: str, url: str, place: str, license: str) -> Path:
    """Returns the file of `url` at `place` in the cache, downloaded if it is not there."""
    target = cache_folder() / place
    if target.is_file():
        return target
    with one_process_at_a_time(place, f"{name}: waiting for another process to download it"):
        if not target.is_file():
            print(f"{name}: downloading {url} to {target}; license: {license}", file=sys.stderr)
            _download(url, target)
    return target


@contextmanager
def one_process_at_a_time(name: str, waiting: str) -> Iterator[None]:
    """Runs the block in one process at a time, of a machine or of all that share the cache folder.

    If a process ends in the middle, or is killed, the next one goes on. Where the cache folder
    cannot be written or has no locks, all go on at once.

    Args:
        name: Of what is done, the same in all processes.
        waiting: A sentence for stderr while another process is in the block.
    """
    folder = cache_folder() / "locks"
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / hashlib.sha256(name.encode()).hexdigest()[:16])
            stack.enter_context(_acquire(lock, waiting))
        except (OSError, NotImplementedError):
            pass
        yield


@contextmanager
def _acquire(lock: BaseFileLock, waiting: str) -> Iterator[None]:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(waiting, file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def cache_folder() -> Path:
    """Returns the folder where downloaded weights are kept."""
    chosen = os.environ.get("AVA_DET_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ava_det"


def _download(url: str, target: Path) -> None:
    advice = f"download {url} elsewhere and put it at {target}"
    try:
        with atomic_path(target) as temporary:
            _fetch(url, temporary)
    except urllib.error.HTTPError as error:
        raise WeightsError(f"the server answered {error.code} {error.reason}; {advice}") from None
    except OSError as error:  # no network, no route, a reset connection, a full disk
        reason = getattr(error, "reason", error)
        raise WeightsError(f"the download failed ({reason}); {advice}") from None


def _fetch(url: str, path: str) -> None:
    """Reads a URL into a file with a progress bar.

    Raises:
        OSError: It ends early, or its hash differs from the one in its name.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "ava_det"})
    digest = hashlib.sha256()
    received = 0
    with urllib.request.urlopen(request, timeout=30) as response, open(path, "wb") as file:
        size = int(response.headers.get("Content-Length") or 0)
        with tqdm(
            total=size or None, unit="B", unit_scale=True, desc=url.rpartition("/")[2]
        ) as bar:
            while chunk := response.read(1 << 20):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                bar.update(len(chunk))
    if size and received != size:
        raise OSError(f"the connection closed after {received} of {size} bytes")
    expected = re.search(r"-([0-9a-f]{8})\.pth$", url)
    if expected and not digest.hexdigest().startswith(expected[1]):
        raise OSError(f"the file's SHA-256 does not start with {expected[1]} as its name says")
