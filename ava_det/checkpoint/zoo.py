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
from ava_det.checkpoint.hub import fetch_shared, is_shared, pin_shared
from ava_det.checkpoint.published import COMPARED_SYSTEMS, PublishedWeights
from ava_det.checkpoint.published_projects import DETECTRON2, PROJECTS
from ava_det.checkpoint.published_transformers import TRANSFORMER_INPUTS, VIDEO_TRANSFORMERS
from ava_det.files import atomic_path, suggest_file

ZOO: dict[str, PublishedWeights] = PROJECTS | COMPARED_SYSTEMS | VIDEO_TRANSFORMERS

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


BEST = "best"  # a name for the strongest detector that may be used commercially


def find_best() -> str:
    """Finds the name that `best` stands for.

    It is the detector of the highest mAP on AVA among those whose license permits commercial use
    and that are downloaded by their name.
    """
    scores = {
        name: entry.mean_ap
        for name, entry in ZOO.items()
        if entry.mean_ap is not None and entry.commercial and entry.url is not None
    }
    return max(scores, key=lambda name: scores[name])


def find_name(name_or_path: str | Path) -> str:
    """Returns the name of the zoo that `best` stands for; a path or another name as it is."""
    is_best = str(name_or_path) == BEST and not Path(BEST).exists()
    return find_best() if is_best else str(name_or_path)


def choose_weights(name_or_path: str | Path) -> str | Path:
    """Replaces a name whose meaning may change by what it means now, and says so on stderr.

    `best` becomes the name it stands for, and hf:user/name that of its commit.
    """
    name = find_name(name_or_path)
    if is_shared(name) and not Path(name).exists():
        pinned = pin_shared(name)
        if pinned != name:
            print(f"{name} is {pinned}", file=sys.stderr)
        return pinned
    if name == str(name_or_path):
        return name_or_path
    print(f"{BEST} is {name}: {describe_score(name)}", file=sys.stderr)
    return name


def describe_score(name: str) -> str:
    """Says what a detector of the zoo scores, under which license, and what is stronger."""
    entry = ZOO[name]
    stronger = [
        f"{other} ({found.mean_ap:g})"
        for other, found in ZOO.items()
        if found.commercial and found.url is None and found.page is not None
        if (found.mean_ap or 0) > (entry.mean_ap or 0)
    ]
    by_hand = f"; stronger, but fetched by hand (MODEL_ZOO.md): {', '.join(stronger)}"
    return (
        f"{entry.mean_ap:g} mAP on AVA as its authors report it; license: {entry.license}"
        f"{by_hand if stronger else ''}"
    )


def resolve_weights(name_or_path: str | Path) -> Path:
    """Finds the file of weights by path, name or URL; downloads it on first use.

    The cache is $AVA_DET_CACHE, or ava_det under the user's cache folder.

    Args:
        name_or_path: A path, a name of `ZOO`, hf:user/name (see `fetch_shared`), or a URL: https://
            or detectron2://, as Detectron2's configurations write them.

    Returns:
        A path unchanged; for a name or URL the path of its file in the cache.

    Raises:
        WeightsError: The path or name does not exist, nobody published these weights, or the
            download fails.
    """
    name = find_name(name_or_path)
    if Path(name).exists():
        return Path(name_or_path)
    if is_shared(name):
        return fetch_shared(name)
    if name.startswith("detectron2://"):
        name = name.replace("detectron2:/", DETECTRON2, 1)
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
    if published.beside:  # such weights have the same file names in a folder each
        for beside in published.beside:
            _keep(name, beside, f"{name}/{beside.rpartition('/')[2]}", published.license)
        return _keep(name, url, f"{name}/{url.rpartition('/')[2]}", published.license)
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
