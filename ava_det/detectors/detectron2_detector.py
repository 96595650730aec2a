"""Finds persons with the Detectron2 library itself.

This is the only file that imports the library, and only when it is asked for. Its numbers are kept:
its configuration decides how frames are resized and in which order their channels are. Only
weights are read by this toolkit, because the library unpickles them, which runs whatever code a
file holds.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import torch
import yaml
from torch import Tensor

from ava_det.checkpoint import WeightsError, find_container, load_checkpoint, require_finite
from ava_det.detectors.faster_rcnn.detector import autocast

DEFAULT_CONFIG = "COCO-Detection/faster_rcnn_R_50_FPN_3x"
SOURCE = "git+https://github.com/facebookresearch/detectron2.git"
INSTALL = f"python -m pip install --no-build-isolation '{SOURCE}'"
REBUILD = f"python -m pip install --no-build-isolation --no-deps --force-reinstall '{SOURCE}'"

_PARTS = ("checkpoint", "config", "data", "data.transforms", "model_zoo", "modeling")


class Detectron2Unavailable(ValueError):
    """Says why Detectron2 cannot be used, and the command that repairs it, in one sentence."""


class Detectron2Detector:
    """Finds persons with any detector of Detectron2; implements `PersonDetector`.

    Args:
        config: A name of its model zoo such as COCO-Detection/faster_rcnn_X_101_32x8d_FPN_3x, or a
            yacs (.yaml) or LazyConfig (.py) file. A LazyConfig is a program: use one only if you
            would run it.
        weights: A file, a name of this toolkit's model zoo or a URL. Without it those of
            Detectron2's model zoo, or for a file those that the configuration names.
        device: Where the network runs.
        person_class: The class whose boxes are kept. Without it the class called person of the
            configuration's dataset, or 0 where that dataset is not known.
        precision: fp32; bf16 or fp16 by autocast where the device computes them natively; auto for
            bf16 where it is faster. Results are always float32.
        batch_size: Frames that go through the network together.

    Raises:
        Detectron2Unavailable: The library is missing or broken.
        WeightsError: The weights cannot be used or do not fill the network.
        ValueError: The configuration is not one.
    """

    name = "detectron2"

    def __init__(
        self,
        config: str | Path = DEFAULT_CONFIG,
        weights: str | Path | None = None,
        device: str | torch.device = "cpu",
        person_class: int | None = None,
        precision: str = "fp32",
        batch_size: int = 8,
    ) -> None:
        library = import_detectron2()
        path = _find_config(library, config)
        self.device = torch.device(device)
        self.precision = precision
        self.batch_size = batch_size
        build = _build_from_lazy if path.suffix == ".py" else _build_from_yacs
        try:
            self.model, self._resize, self.channel_order, own_weights, dataset = build(
                library, path, self.device
            )
        except ImportError as error:  # an operation of the library was not compiled
            raise Detectron2Unavailable(explain(error)) from None
        if not Path(config).is_file():
            own_weights = _find_zoo_weights(library, config)
        chosen = weights or own_weights
        if not chosen:
            raise WeightsError(
                f"{config}: names no weights, and without any the network would guess: give them"
            )
        _load(library, self.model, chosen)
        self.model.to(self.device).eval()
        self._transforms = library.data.transforms
        self.person_class = _find_person(library, dataset) if person_class is None else person_class

    def begin_video(self, samples: Sequence[np.ndarray]) -> Self:
        """Returns itself: every frame is processed alone, and nothing is learned from the video."""
        return self

    @torch.inference_mode()
    def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Finds the persons of each frame.

        Args:
            frames: RGB uint8 [H, W, 3], of any sizes.

        Returns:
            Boxes float32 [N, 4], xyxy in pixels, and person_scores float32 [N] of each frame.
        """
        results = []
        for start in range(0, len(frames), self.batch_size):
            inputs = [self._prepare(frame) for frame in frames[start : start + self.batch_size]]
            with autocast(self.device, self.precision):
                outputs = self.model(inputs)
            for output in outputs:
                instances = output["instances"]
                person = instances.pred_classes == self.person_class
                boxes = instances.pred_boxes.tensor[person].float()
                scores = instances.scores[person].float()
                results.append((boxes.cpu().numpy(), scores.cpu().numpy()))
        return results

    def _prepare(self, frame: np.ndarray) -> dict[str, Tensor | int]:
        """Makes the input of the library's models: an image in their size and channel order.

        The height and width are those in which boxes are returned.
        """
        image = np.ascontiguousarray(frame[:, :, ::-1] if self.channel_order == "BGR" else frame)
        resized = self._resize(image)
        tensor = torch.as_tensor(np.ascontiguousarray(resized.transpose(2, 0, 1)))
        return {"image": tensor, "height": frame.shape[0], "width": frame.shape[1]}


def import_detectron2() -> ModuleType:
    """Imports the library with its parts.

    Raises:
        Detectron2Unavailable: It cannot be imported.
    """
    try:
        with _stand_in_for_pkg_resources(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch deprecates what the library uses
            for part in _PARTS:
                importlib.import_module(f"detectron2.{part}")
            return importlib.import_module("detectron2")
    except (ImportError, OSError) as error:  # OSError: a compiled library that cannot be opened
        raise Detectron2Unavailable(explain(error)) from None


def explain(error: Exception) -> str:
    """Explains why Detectron2 cannot be used, and how to repair it."""
    if isinstance(error, ModuleNotFoundError) and error.name == "detectron2":
        return f"Detectron2 is not installed; install it by: {INSTALL}"
    if isinstance(error, ModuleNotFoundError):
        return (
            f"Detectron2 needs {error.name}, which is not installed; "
            f"install it by: python -m pip install {error.name}"
        )
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "undefined symbol" in reason or "not compiled" in reason:
        return (
            f"Detectron2 was compiled for another torch than {torch.__version__}; "
            f"compile it again by: {REBUILD}"
        )
    return f"Detectron2 is installed but does not import ({reason}); install it again by: {REBUILD}"


@contextmanager
def _stand_in_for_pkg_resources() -> Iterator[None]:
    """Replaces pkg_resources, which Detectron2's model zoo asks for one path.

    setuptools 82 no longer has it, and earlier ones warn about it.
    """
    stand_in: Any = ModuleType("pkg_resources")
    stand_in.resource_filename = lambda package, path: str(resources.files(package) / path)
    before = sys.modules.get("pkg_resources")
    sys.modules["pkg_resources"] = stand_in
    try:
        yield
    finally:
        sys.modules.pop("pkg_resources")
        if before is not None:
            sys.modules["pkg_resources"] = before


# The network, a function that resizes images, their channel order, its weights and its dataset.
Parts = tuple[torch.nn.Module, Callable[[np.ndarray], np.ndarray], str, str, str]


def _find_config(library: ModuleType, config: str | Path) -> Path:
    if Path(config).is_file():
        if Path(config).suffix not in (".yaml", ".yml", ".py"):
            raise ValueError(
                f"{config}: expected a configuration of Detectron2, a .yaml or .py file"
            )
        return Path(config)
    for suffix in ("", ".yaml", ".py"):
        try:
            path: str = library.model_zoo.get_config_file(f"{config}{suffix}")
        except RuntimeError:
            continue
        if Path(path).is_file():
            return Path(path)
    raise ValueError(
        f"{config}: no such file, and no such name in Detectron2's model zoo "
        f"(example: {DEFAULT_CONFIG})"
    )


def _find_zoo_weights(library: ModuleType, config: str | Path) -> str:
    try:
        return str(library.model_zoo.get_checkpoint_url(str(config)))
    except RuntimeError:
        raise WeightsError(
            f"{config}: Detectron2's model zoo has no weights of it, name some yourself"
        ) from None


def _build_from_yacs(library: ModuleType, path: Path, device: torch.device) -> Parts:
    config = library.config.get_cfg()
    try:
        # merge_from_file would fall back to the loader that runs what is in the file
        loaded = type(config).load_yaml_with_base(str(path), allow_unsafe=False)
        config.merge_from_other_cfg(library.config.CfgNode(loaded))
    except (KeyError, AssertionError, ValueError, OSError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path}: not a configuration of Detectron2 ({_first_line(error)})"
        ) from None
    config.MODEL.DEVICE = str(device)
    shortest = config.INPUT.MIN_SIZE_TEST
    rule = library.data.transforms.ResizeShortestEdge(
        [shortest, shortest], config.INPUT.MAX_SIZE_TEST
    )
    dataset = config.DATASETS.TEST[0] if config.DATASETS.TEST else ""
    resize = _make_resize(library, [rule])
    return (
        library.modeling.build_model(config),
        resize,
        config.INPUT.FORMAT,
        config.MODEL.WEIGHTS,
        dataset,
    )


def _build_from_lazy(library: ModuleType, path: Path, device: torch.device) -> Parts:
    config = library.config.LazyConfig.load(str(path))
    if "model" not in config:
        raise ValueError(f"{path}: expected a LazyConfig with a `model`")
    instantiate = library.config.instantiate
    mapper = config.get("dataloader", {}).get("test", {}).get("mapper", {})
    rules = instantiate(mapper.get("augmentations")) or [
        library.data.transforms.ResizeShortestEdge(800, 1333)
    ]
    order = config.model.get("input_format") or mapper.get("image_format") or "BGR"
    dataset = config.get("dataloader", {}).get("test", {}).get("dataset", {}).get("names", "")
    weights = config.get("train", {}).get("init_checkpoint", "")
    return (
        instantiate(config.model).to(device),
        _make_resize(library, rules),
        order,
        weights,
        str(dataset),
    )


def _make_resize(library: ModuleType, rules: Sequence[Any]) -> Callable[[np.ndarray], np.ndarray]:
    transforms = library.data.transforms

    def resize(image: np.ndarray) -> np.ndarray:
        inputs = transforms.AugInput(image)
        transforms.AugmentationList(rules)(inputs)
        resized: np.ndarray = inputs.image
        return resized

    return resize


def _load(library: ModuleType, model: torch.nn.Module, file: str | Path) -> None:
    """Fills the network from a weights file, without running anything that is in it.

    Raises:
        WeightsError: The file does not fill the network; the sentence names what is missing.
    """
    content = load_checkpoint(file)
    if "blobs" in content:  # a file of Detectron1; the library guesses which name is which
        entries = {
            name: value
            for name, value in content["blobs"].items()
            if not name.endswith("_momentum")
        }
        content = {"model": entries, "__author__": "Caffe2", "matching_heuristics": True}
    try:
        _, entries = find_container({"model": content["model"]} if "model" in content else content)
        require_finite(entries)
    except ValueError as error:
        raise WeightsError(f"{file}: {error}") from None
    content = {**content, "model": entries}
    misfit = library.checkpoint.DetectionCheckpointer(model)._load_model(content)
    wrong = [
        *misfit.missing_keys,
        *(f"{name} (of another shape)" for name, *_ in misfit.incorrect_shapes),
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise WeightsError(
            f"{file} does not fit the configuration: missing {', '.join(wrong[:5])}{more}"
        )


def _find_person(library: ModuleType, dataset: str) -> int:
    catalog = library.data.MetadataCatalog
    classes = catalog.get(dataset).get("thing_classes", []) if dataset in catalog.list() else []
    return classes.index("person") if "person" in classes else 0


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
