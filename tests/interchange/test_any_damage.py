"""Whatever value is wrong in an annotation tool's JSON, the answer is boxes or one sentence."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_det.interchange.label_studio import load_label_studio
from ava_det.interchange.label_studio_actions import boxes_from_studio
from ava_det.interchange.via import load_via
from ava_det.interchange.via_actions import boxes_from_via, find_ticked_by_default, name_options
from tests.interchange import test_coco, test_datumaro, test_label_studio, test_via
from tests.support.via_form import project
from tests.support.video_clocks import TenSeconds

REMOVED = object()
NUMBERS = [True, -1, 0, 7, 10**40, 2.5, float("nan"), 1e308]
VALUES = [REMOVED, None, *NUMBERS, "", "x", "7", [], {}, [[]]]


def read_via(path: Path) -> object:
    via = load_via(path)
    find_ticked_by_default(via, name_options(via, "person", ()))
    return boxes_from_via(via, TenSeconds(), "person", (), 30.0, 0.0)


def read_studio(path: Path) -> object:
    tasks = load_label_studio(path)
    return [boxes_from_studio(task, test_label_studio.CLOCK, 1.0, "person", ()) for task in tasks]


VIA = project([("walk.mp4", 4)], [(1, [2.0], test_via.BOX, {"1": "0", "2": "7"})])
STUDIO = test_label_studio.export(
    test_label_studio.TRACK, test_label_studio.CHOICES, test_label_studio.SPAN
)
COCO = test_coco.TAO
CVAT = test_coco.cvat({"track_id": 3, "rotation": 0.0, "keyframe": True, "stand": True, "age": 7})
READERS: list[tuple[Callable[[Path], object], Any]] = [
    (read_via, VIA),
    (read_studio, STUDIO),
    (test_coco.read, COCO),
    (test_coco.read, CVAT),
    (test_datumaro.read, test_datumaro.CONTENT),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to every value."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


@pytest.mark.parametrize(("read", "whole"), READERS)
@settings(max_examples=60)
@given(data=st.data())
def test_any_wrong_value(
    read: Callable[[Path], object],
    whole: Any,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    *parents, key = data.draw(st.sampled_from(list(places(whole))))
    value = data.draw(st.sampled_from(VALUES))
    content = copy.deepcopy(whole)
    parent = content
    for name in parents:
        parent = parent[name]
    if value is REMOVED:
        del parent[key]
    else:
        parent[key] = value
    path = tmp_path_factory.mktemp("damage") / "walk.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    refused = ""
    try:
        read(path)
    except ValueError as error:
        refused = str(error)
    assert not refused or refused.startswith(str(path))
    assert "\n" not in refused
