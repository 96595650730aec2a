"""What `pip install .` leaves behind works from any folder: configs, tools, types, version."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ava_det

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of this checkout unpacked, as `pip install` would."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("needs setuptools to build a wheel without a network")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("needs a git checkout to know its files")
    for name in listed.stdout.splitlines():
        wanted = name.split("/")[0] in ("ava_det", "configs") or "/" not in name
        if wanted and (ROOT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run_python(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_configs_and_types_travel_with_the_package(installed: Path) -> None:
    shipped = {str(path.relative_to(installed / "ava_det")) for path in installed.rglob("*.yaml")}
    assert shipped == {str(path.relative_to(ROOT)) for path in ROOT.glob("configs/**/*.yaml")}
    assert (installed / "ava_det" / "py.typed").exists()


def test_the_wheel_holds_nothing_but_the_package(installed: Path) -> None:
    tops = {path.name for path in installed.iterdir() if path.suffix != ".dist-info"}
    assert tops == {"ava_det"}
    commands = {path.name for path in (installed / "ava_det" / "commands").glob("*.py")}
    assert commands == {path.name for path in (ROOT / "ava_det" / "commands").glob("*.py")}


def test_tools_run_from_another_folder(installed: Path, tmp_path: Path) -> None:
    load = "c.load_config('configs/synthetic/slowfast.yaml')"
    code = f"import ava_det.config as c; print(c.__file__, {load}.model.depth)"
    finished = run_python(installed, tmp_path, "-c", code)
    assert finished.stdout.split()[1] == "14", finished.stderr
    assert finished.stdout.startswith(str(installed))
    finished = run_python(
        installed, tmp_path, "-m", "ava_det.commands.train", "--config", "configs/nowhere.yaml"
    )
    assert finished.returncode == 2
    assert "configs/nowhere.yaml" in finished.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", ["quickstart", "demo", "render", "config"])
def test_commands_run_from_another_folder(installed: Path, tmp_path: Path, command: str) -> None:
    finished = run_python(installed, tmp_path, "-m", "ava_det", command, "--help")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(f"usage: ava-det {command}")


@pytest.mark.slow
def test_the_quickstart_runs_from_another_folder(installed: Path, tmp_path: Path) -> None:
    small = ["model.width=4", "data.train_short_side=[32,32]", "data.test_short_side=32"]
    sizes = ["--num-train", "4", "--num-val", "2", "train.epochs=1", "precision=fp32"]
    finished = run_python(
        installed, tmp_path, "-m", "ava_det", "quickstart", *sizes, *small, "--device", "cpu"
    )
    assert finished.returncode == 0, finished.stderr
    assert "$ ava-det train --config configs/synthetic/slowfast.yaml" in finished.stdout
    assert (tmp_path / "outputs/quickstart/overlay.mp4").stat().st_size > 0


def test_every_entry_point_is_a_function(installed: Path) -> None:
    [entries] = installed.glob("*.dist-info/entry_points.txt")
    lines = [line for line in entries.read_text().splitlines() if "=" in line]
    targets = {line.split("=")[1].strip() for line in lines}
    assert targets
    for target in targets:
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_lowest_versions_are_the_bounds_of_setup_cfg() -> None:
    """`make matrix` installs what setup.cfg promises; a Python newer than a release takes later
    ones.
    """
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = [Requirement(line) for line in setup["options"]["install_requires"].split()]
    lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    here = {
        pin.name: pin.specifier
        for pin in pins
        if pin.marker is None or pin.marker.evaluate({"python_version": "3.12"})
    }
    assert sorted(here) == sorted(one.name for one in wanted)
    for one in wanted:
        [bound] = one.specifier
        [pin] = here[one.name]
        assert (bound.operator, pin.operator) == (">=", "==")
        assert f"{pin.version}.".startswith(f"{bound.version}."), one.name


def test_one_version() -> None:
    assert ava_det.__version__.count(".") == 2
    changes = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    citation = re.search(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert changes is not None and citation is not None
    assert {changes[1], citation[1]} == {ava_det.__version__}
