"""Arguments of the tools: options and overrides in any order."""

from __future__ import annotations

import argparse

import pytest

from ava_det.cli import ToolParser


def parse(*words: str) -> argparse.Namespace:
    parser = ToolParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--names", nargs="+", default=[])
    parser.add_argument("--output")
    parser.add_argument("--resume", action="store_true")
    parser.add_overrides()
    return parser.parse_intermixed_args(words)


@pytest.mark.parametrize(
    "words",
    [
        "seed=1 train.lr=0.1 --seeds 2 3 --names a b",
        "seed=1 --seeds 2 3 train.lr=0.1 --names a b",
        "--seeds 2 3 seed=1 train.lr=0.1 --names a b",
        "--seeds 2 3 seed=1 --names a b train.lr=0.1",
        "--names a b seed=1 --seeds 2 3 train.lr=0.1",
    ],
)
def test_an_override_after_an_option_of_several_values_is_no_value_of_it(words: str) -> None:
    found = parse(*words.split())
    assert (found.seeds, found.names, found.overrides) == (
        [2, 3],
        ["a", "b"],
        ["seed=1", "train.lr=0.1"],
    )


def test_overrides_keep_their_order_and_other_options_their_values() -> None:
    words = "--resume seed=1 --seeds 4 seed=2 --resume seed=3 --names x --output a=b seed=4"
    found = parse(*words.split())
    assert found.overrides == ["seed=1", "seed=2", "seed=3", "seed=4"]
    assert (found.output, found.seeds, found.names) == ("a=b", [4], ["x"])


def test_an_option_without_a_value_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse("--seeds", "seed=1")
    assert stop.value.code == 2
    assert "--seeds" in capsys.readouterr().err
