"""The direction of imports, read from the code itself: a package may only use the packages named
here.
"""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ava_det"
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60
MAX_LOOSE_MODULES = 6

GROUND = {"structures", "boxes", "choices", "files", "distributed", "messages"}
READERS = GROUND | {"formats", "video"}
PACKAGES: dict[str, set[str]] = {
    "__main__": {"commands", "interrupts"},
    "interrupts": set(),
    "structures": set(),
    "boxes": set(),
    "choices": set(),
    "messages": set(),
    "config": {"choices"},
    "files": set(),
    "jobs": {"distributed", "files", "messages"},
    "distributed": set(),
    "cli": {"choices", "distributed", "interrupts"},
    "device": {"config", "distributed"},
    "models": {"config"},
    "training": GROUND,
    "formats": GROUND,
    "video": GROUND,
    "tracking": GROUND,
    "linking": READERS | {"tracking"},
    "checkpoint": GROUND,
    "export": GROUND | {"device"},
    "pages": set(),
    "live_page": READERS | {"demo", "inference", "pages", "segments", "viewer", "visualization"},
    "review": READERS | {"live_page", "pages", "segments", "viewer"},
    "viewer": READERS | {"pages", "segments", "tracking", "visualization"},
    "evaluation": READERS | {"pages"},
    "ensembles": READERS | {"evaluation", "pages"},
    "own_classes": READERS,
    "suggest": READERS | {"own_classes", "pages", "viewer", "visualization"},
    "visualization": READERS,
    "data": READERS | {"config", "flow"},
    "detectors": READERS | {"config", "checkpoint", "device", "jobs"},
    "flow": READERS | {"checkpoint"},
    "interchange": READERS | {"tracking"},
    "dataset_check": READERS | {"visualization", "pages"},
    "reproduction": READERS | {"config", "checkpoint", "evaluation", "jobs"},
    "datasets": READERS | {"interrupts"},
    "inference": READERS
    | {"config", "checkpoint", "data", "detectors", "device", "export", "models", "tracking"}
    | {"segments", "visualization"},
    "segments": READERS,
    "events": READERS | {"visualization"},
    "archive": READERS
    | {"checkpoint", "config", "demo", "detectors", "device", "inference", "interrupts"}
    | {"jobs", "pages", "segments"},
    "demo": READERS
    | {
        "config",
        "detectors",
        "events",
        "export",
        "jobs",
        "linking",
        "inference",
        "segments",
        "visualization",
        "viewer",
    },
}
TASKS_MAY_NOT = {
    "commands",
    "operations",
    "demo",
    "interchange",
    "dataset_check",
    "reproduction",
    "datasets",
}


def packages() -> list[str]:
    entries = [
        path
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    ]
    return sorted(path.stem for path in entries if path.stem != "__init__")


def imported_packages(package: str) -> dict[str, str]:
    """Package -> one place that imports it, leaving out the package itself."""
    file = PACKAGE / f"{package}.py"
    found: dict[str, str] = {}
    for path in [file] if file.exists() else sorted((PACKAGE / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno}: relative import"
                module = node.module or ""
                names = (
                    [f"ava_det.{alias.name}" for alias in node.names]
                    if module == "ava_det"
                    else [module]
                )
            for name in names:
                parts = name.split(".")
                if parts[0] == "ava_det" and len(parts) > 1 and parts[1] != package:
                    found.setdefault(parts[1], f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


@pytest.mark.parametrize(
    "package", [name for name in packages() if name not in ("tasks", "operations", "commands")]
)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    assert package in PACKAGES, f"ava_det/{package} is a new package: give it a place in this table"
    imported = imported_packages(package).items()
    wrong = {target: where for target, where in imported if target not in PACKAGES[package]}
    assert not wrong


def test_tasks_compose_everything_but_what_stands_above_them() -> None:
    assert not set(imported_packages("tasks")) & TASKS_MAY_NOT


def test_nothing_but_the_console_script_imports_a_command() -> None:
    below = set(packages()) - {"commands", "__main__"}
    assert not [name for name in below if "commands" in imported_packages(name)]


def test_nothing_but_its_command_imports_an_operation() -> None:
    below = set(packages()) - {"commands", "operations"}
    assert not [name for name in below if "operations" in imported_packages(name)]


def test_no_file_without_a_name() -> None:
    nameless = {"utils", "util", "misc", "helper", "helpers", "common"}
    assert not [path for path in PACKAGE.rglob("*") if path.stem in nameless]


@pytest.mark.parametrize("library", ["detectron2", "av"])
def test_these_libraries_are_imported_where_they_belong(library: str) -> None:
    allowed = {
        "detectron2": {"detectors/detectron2_detector.py"},
        "av": {
            "video/clock.py",
            "video/containers.py",
            "video/cut.py",
            "video/decoding.py",
            "video/hardware.py",
            "video/live.py",
            "video/pictures.py",
            "video/file.py",
            "video/sound.py",
            "video/tone.py",
            "video/writer.py",
            "datasets/ava/source_video.py",
            "datasets/ava/transcode.py",
            "datasets/synthetic/prepare.py",
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
    present = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")
    }
    assert listed == present | {"ava_det.configs"}


def test_test_files_have_names_of_their_own() -> None:
    """pytest imports them by name alone, and a second one of a name stops the whole run."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_a_file_does_one_job_and_a_function_can_be_seen_whole() -> None:
    long = []
    for folder in ("ava_det", "tools", "benchmarks", "studies"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if text.count("\n") > MAX_FILE_LINES:
                long.append(str(path.relative_to(ROOT)))
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    assert node.end_lineno is not None
                    if node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES:
                        long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not long


def test_few_modules_stand_outside_a_package() -> None:
    loose = [path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]
    assert len(loose) <= MAX_LOOSE_MODULES
