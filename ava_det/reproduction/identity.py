"""Keeps the results of different weights, networks and settings apart."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from ava_det.config import Config, config_to_dict
from ava_det.files import hash_file
from ava_det.jobs.settings import begin_job


class Identity(TypedDict):
    """Holds what must stay the same for results of an earlier run to count."""

    weights: str
    boxes: str
    videos: str
    model: dict[str, object]
    settings: dict[str, object]


def list_settings(config: Config) -> dict[str, object]:
    """Lists the settings that decide the number."""
    data = config.data
    keys = (
        "ava_version",
        "start_second",
        "frame_grid",
        "grid_start_second",
        "frame_colour",
        "box_arithmetic",
        "slow_frame_policy",
        "test_short_side",
        "min_person_score",
        "label_map",
    )
    values = {f"data.{key}": getattr(data, key) for key in keys}
    values |= {
        f"data.val.{key}": getattr(data.val, key) for key in ("annotations", "excluded", "boxes")
    }
    return {**values, "model.roi_aligned": config.model.roi_aligned, "precision": config.precision}


def describe_identity(config: Config, weights: Path) -> Identity:
    """Describes what must stay the same for results of an earlier run to count.

    These are the weights, the network, the frames and the boxes.
    """
    model = config_to_dict(config)["model"]
    return {
        "weights": hash_file(weights),
        "boxes": hash_file(Path(config.data.val.box_sources[0])),
        "videos": str(Path(config.data.video_dir or "").resolve()),
        "model": model,
        "settings": {
            key: value for key, value in list_settings(config).items() if "val." not in key
        },
    }


def prepare_folder(folder: Path, identity: Identity) -> None:
    """Begins the folder's job, or goes on with it where it is the same.

    Raises:
        ValueError: The folder holds the results of something else.
    """
    changed = begin_job(folder / "identity.json", identity)
    if changed:
        names = ", ".join(setting.name for setting in changed)
        raise ValueError(f"{folder}: holds results of other {names}; choose another --output")
