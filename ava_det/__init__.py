"""AVA spatiotemporal action detection: who does what, where and when in a video.

`from ava_det import Predictor` is all most programs need; docs/python.md explains it. The names
below are imported at their first use, so that `import ava_det` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ava_det.messages.stderr_log import show_warnings

if TYPE_CHECKING:
    from ava_det.checkpoint import load_weights
    from ava_det.config import load_config
    from ava_det.evaluation import evaluate_csv
    from ava_det.formats.annotations import load_boxes
    from ava_det.formats.label_map import load_label_map
    from ava_det.inference.predictor import Predictor
    from ava_det.models.build import build_model
    from ava_det.structures import Detections, Keyframe
    from ava_det.video.folder import open_video
    from ava_det.visualization import Overlay

__version__ = "0.2.0"
__all__ = [
    "Detections",
    "Keyframe",
    "Overlay",
    "Predictor",
    "build_model",
    "evaluate_csv",
    "load_boxes",
    "load_config",
    "load_label_map",
    "load_weights",
    "open_video",
]

_MODULES = {
    "Detections": "structures",
    "Keyframe": "structures",
    "Overlay": "visualization",
    "Predictor": "inference.predictor",
    "build_model": "models.build",
    "evaluate_csv": "evaluation",
    "load_boxes": "formats.annotations",
    "load_config": "config",
    "load_label_map": "formats.label_map",
    "load_weights": "checkpoint",
    "open_video": "video.folder",
}

show_warnings()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'ava_det' has no attribute {name!r}")
    value = getattr(import_module(f"ava_det.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
