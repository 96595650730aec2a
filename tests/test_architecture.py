"""The direction of imports, read from the code itself: a room may only use the rooms named here."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ava_det"

GROUND = {"structures", "boxes", "config", "distributed", "models", "files"}
FILES = GROUND - {"config"} | {"annotations", "ava_csv", "label_map"}
ROOMS: dict[str, set[str]] = {
    "structures": set(),
    "boxes": set(),
    "config": set(),
    "rank_watch": set(),
    "distributed": {"rank_watch"},
    "models": set(),
    "cli": {"distributed"},
    "files": set(),
    "safe_pickle": set(),
    "kalman": set(),
    "yuv": set(),
    "tracking": {"structures", "boxes", "kalman"},
    "label_map": {"files"},
    "ava_csv": {"structures", "files"},
    "proposal_pickle": {"ava_csv", "safe_pickle"},
    "annotations": {"structures", "files", "ava_csv", "proposal_pickle"},
    "data": FILES | {"yuv"},
    "exported": {"files"},
    "evaluation": FILES,
    "checkpoint": FILES | {"safe_pickle"},
    "detectors": FILES | {"checkpoint"},
    "visualization": FILES | {"yuv"},
    "training": FILES - {"models"},
    "box_parts": {"annotations", "files"},
    "interchange": FILES | {"data", "tracking"},
    "person_boxes": FILES | {"data", "detectors"},
    "dataset_check": FILES | {"data", "visualization", "proposal_pickle"},
    "own_classes": FILES - {"models"},
    "reproduction": FILES | {"data", "evaluation", "checkpoint"},
    "prediction": {"structures", "boxes"},
    "run_ahead": set(),
    "live": {"structures", "data", "streaming"},
    "smoothing": {"structures"},
    "result_files": FILES,
    "streaming": {"structures", "data", "tracking"},
    "inference": FILES
    | {"data", "detectors", "person_boxes", "live", "prediction", "run_ahead", "smoothing", "streaming", "tracking"},
    "sample_sheet": FILES | {"data", "visualization"},
    "run_folder": FILES | {"config", "checkpoint"},
}
BUILD_MAY_NOT = {"visualization", "sample_sheet", "cli", "tools", "build"}


def rooms() -> list[str]:
    entries = [path for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    return sorted(path.stem for path in entries if path.stem != "__init__")


def imported_rooms(room: str) -> dict[str, str]:
    """Room -> one place that imports it, leaving out the room itself."""
    file = PACKAGE / f"{room}.py"
    found: dict[str, str] = {}
    for path in [file] if file.exists() else sorted((PACKAGE / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno}: relative import"
                module = node.module or ""
                names = [f"ava_det.{alias.name}" for alias in node.names] if module == "ava_det" else [module]
            for name in names:
                parts = name.split(".")
                if parts[0] == "ava_det" and len(parts) > 1 and parts[1] != room:
                    found.setdefault(parts[1], f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


@pytest.mark.parametrize("room", [room for room in rooms() if room != "build"])
def test_a_room_imports_only_what_is_above_it(room: str) -> None:
    assert room in ROOMS, f"ava_det/{room} is a new room: give it a place in this table"
    wrong = {target: where for target, where in imported_rooms(room).items() if target not in ROOMS[room]}
    assert not wrong


def test_build_composes_everything_but_pictures_and_tools() -> None:
    assert not set(imported_rooms("build")) & BUILD_MAY_NOT


def test_no_room_without_a_name() -> None:
    nameless = {"utils", "util", "misc", "helper", "helpers", "common"}
    assert not [path for path in PACKAGE.rglob("*") if path.stem in nameless]


@pytest.mark.parametrize("library", ["detectron2", "av"])
def test_these_libraries_are_imported_where_they_belong(library: str) -> None:
    allowed = {
        "detectron2": {"detectors/detectron2_detector.py"},
        "av": {
            "data/live.py",
            "data/picture.py",
            "data/video.py",
            "visualization/sound.py",
            "visualization/video_writer.py",
        },
    }
    users = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == library for name in names):
                users.add(str(path.relative_to(PACKAGE)))
    assert users <= allowed[library]


def test_every_package_folder_is_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    present = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    assert listed == present | {"ava_det.tools", "ava_det.configs"}


def test_test_files_have_names_of_their_own() -> None:
    """pytest imports them by name alone, and a second one of a name stops the whole run."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
