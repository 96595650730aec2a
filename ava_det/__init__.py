"""AVA spatiotemporal action detection: who does what, where and when in a video.

`from ava_det import Predictor` is all most programs need; docs/python.md walks through it. It is
loaded when it is first asked for, so that importing ava_det alone stays cheap.
"""

from typing import TYPE_CHECKING, Any

from ava_det.stderr_log import show_warnings

if TYPE_CHECKING:
    from ava_det.inference.pretrained import Predictor as Predictor

__version__ = "0.1.0"

show_warnings()


def __getattr__(name: str) -> Any:
    if name == "Predictor":
        from ava_det.inference.pretrained import Predictor

        return Predictor
    raise AttributeError(f"module 'ava_det' has no attribute {name!r}")
