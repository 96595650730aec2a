"""`ava-det config`: the whole experiment, and what each key means."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ava_det.commands.config import main
from ava_det.config import Config, config_to_dict, load_config, schema_keys
from ava_det.config.keys import describe_keys

FILE = "configs/synthetic/slowfast.yaml"


def test_what_is_printed_loads_to_the_same_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([FILE, "train.lr=0.5"]) == 0
    whole = tmp_path / "whole.yaml"
    whole.write_text(capsys.readouterr().out)
    assert load_config(whole) == load_config(FILE, ["train.lr=0.5"])


def test_every_key_is_described_with_its_default() -> None:
    found = {info.key: info for info in describe_keys()}
    assert list(found) == schema_keys()
    defaults = config_to_dict(Config())
    for key, info in found.items():
        value = defaults
        for name in key.split("."):
            value = value[name]
        assert yaml.safe_load(info.default) == value
        assert info.form
    assert found["train.steps"].default == "[10.0, 15.0]"
    assert found["model.num_slow_frames"].meaning == "T"
    assert "rounding" in found["data.box_arithmetic"].meaning


def test_no_key_goes_without_a_meaning() -> None:
    assert not [info.key for info in describe_keys() if not info.meaning]


def test_keys_are_found_by_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--keys", "nesterov"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "train.nesterov: false"
    assert "true or false" in out
    assert "model." not in out
    assert main(["--keys"]) == 0
    assert capsys.readouterr().out.count("\n    ") >= len(schema_keys())
    assert main(["--keys", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], [FILE, "--keys"]])
def test_a_file_or_keys(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "expected FILE or --keys" in capsys.readouterr().err
