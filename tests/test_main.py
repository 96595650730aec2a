"""`ava-det`: one command whose words are imported when they are run."""

from __future__ import annotations

import configparser
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ava_det import __main__ as entry
from ava_det.cli import ToolParser
from ava_det.commands import COMMANDS, OLD_NAMES

ROOT = Path(__file__).resolve().parents[1]


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


def make_parser(name: str) -> ToolParser:
    parser: ToolParser = importlib.import_module(COMMANDS[name].module).make_parser()
    return parser


def test_help_lists_every_command_and_imports_none() -> None:
    finished = run_python("-X", "importtime", "-m", "ava_det", "--help")
    assert finished.returncode == 0
    assert all(re.search(rf"^  {name} +\w", finished.stdout, re.MULTILINE) for name in COMMANDS)
    imported = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
    assert "ava_det.commands" in imported
    heavy = {"torch", "numpy", "omegaconf", "yaml", "cv2", "argparse"}
    assert not imported & (heavy | {command.module for command in COMMANDS.values()})


def test_the_package_names_its_public_face_without_loading_it() -> None:
    code = "import sys, ava_det as a; print('torch' in sys.modules, set(a.__all__) <= set(dir(a)))"
    assert run_python("-c", code).stdout.split() == ["False", "True"]


def test_the_public_face_is_what_the_modules_define() -> None:
    import ava_det
    from ava_det.checkpoint import load_weights
    from ava_det.evaluation.ava_evaluator import evaluate_csv
    from ava_det.inference.predictor import Predictor

    assert (ava_det.load_weights, ava_det.evaluate_csv, ava_det.Predictor) == (
        load_weights,
        evaluate_csv,
        Predictor,
    )
    for name in ava_det.__all__:
        assert getattr(ava_det, name).__module__.startswith("ava_det.")
    with pytest.raises(AttributeError, match="Predictr"):
        _ = ava_det.Predictr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_the_command_and_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        entry.main([name, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: ava-det {name} ")
    assert re.search(rf"^    ava-det {name}\b", out, re.MULTILINE)
    assert "tools/" not in out


@pytest.mark.parametrize("name", COMMANDS)
def test_options_have_one_spelling(name: str) -> None:
    """A word means the same after every command, and reads the same in its help."""
    shown = {"--weights": "FILE|NAME", "--config": "FILE", "--detector": "NAME[:WEIGHTS]"}
    if name == "fuse":
        shown["--weights"] = "W"  # of an ensemble's members, as the field says; no network is there
    for action in make_parser(name)._actions:
        for option in set(action.option_strings) & set(shown):
            assert action.help == "==SUPPRESS==" or action.metavar == shown[option], option


def test_parsers_are_built_without_a_large_library() -> None:
    """--help and completion of every command answer at once."""
    code = """
import sys
from importlib import import_module
from ava_det.commands import COMMANDS
for name, command in COMMANDS.items():
    import_module(command.module).make_parser()
    print(name, *({"torch", "numpy", "av", "cv2", "omegaconf", "pandas"} & set(sys.modules)))
"""
    finished = run_python("-c", code)
    assert finished.stdout.splitlines() == list(COMMANDS), finished.stderr


@pytest.mark.parametrize(
    "name", ["train", "train-head", "train-detector", "train-kinetics", "test", "demo"]
)
def test_device_and_weights_are_config_values(name: str) -> None:
    required = {"demo": ["--video=v"], "test": ["--config=c", "--weights=w"]}.get(
        name, ["--config=c"]
    )
    weights = [] if name in ("demo", "test") else ["--weights", "a, b: [c].pt"]
    words = [*required, "seed=1", "--device", "cuda:1", "device=cpu", *weights]
    args = make_parser(name).parse_intermixed_args(words)
    from ava_det.config import load_config

    config = load_config("configs/synthetic/slowfast.yaml", args.overrides)
    assert (config.seed, config.device) == (1, "cuda:1")
    assert config.weights == (weights[1] if weights else None)


def test_a_wrong_device_or_detector_names_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    for option, wrong in (("--device", "tpu"), ("--detector", "yolo:9000")):
        with pytest.raises(SystemExit) as stop:
            make_parser("demo").parse_intermixed_args(["--video=v", option, wrong])
        assert stop.value.code == 2
        [line] = [line for line in capsys.readouterr().err.splitlines() if "expected" in line]
        assert option in line
        assert wrong in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trian"], "did you mean train?"),
        (["evaluate"], "did you mean score?"),
        (["detect_persons"], "did you mean detect?"),
        (["xyz"], "expected one of quickstart,"),
        (["--config", "a.yaml"], "expected a command before its options"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert expected in line


def test_no_word_shows_the_help_as_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main([]) == 2
    assert capsys.readouterr().err.startswith("usage: ava-det COMMAND")
    assert entry.main(["--version"]) == 0


def test_old_scripts_run_the_new_command_and_say_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/ava-evaluate", "--annotations", "no.csv"])
    with pytest.raises(SystemExit):
        entry.main_by_old_name()
    err = capsys.readouterr().err
    assert err.count("ava-evaluate") == 1
    assert "only by its new name, ava-det score" in err
    assert "ava-det score: the following arguments are required" in err


def test_every_old_script_has_a_new_command() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = dict(
        line.split(" = ")
        for line in setup["options.entry_points"]["console_scripts"].strip().splitlines()
    )
    assert scripts.pop("ava-det") == "ava_det.__main__:main"
    assert set(scripts.values()) == {"ava_det.__main__:main_by_old_name"}
    assert set(scripts) == set(OLD_NAMES)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_options(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab")
    assert entry.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(
        word in script for word in ("train-head", "--eval-only", "--annotations", "export-labels")
    )


def test_completion_without_shtab_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert entry.main(["completion", "bash"]) == 2
    assert "pip install 'ava_det[completion]'" in capsys.readouterr().err
