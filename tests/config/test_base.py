"""`base:`, and what every shipped config resolves to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ava_det.config import Config, ConfigError, config_to_dict, load_config

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = {str(path.relative_to(ROOT)): path for path in sorted(ROOT.glob("configs/**/*.yaml"))}
# "default": every key's default; each config: what it sets otherwise. `python -m
# tests.config.test_base` writes it anew after a change of values that is meant.
TABLE = Path(__file__).with_name("resolved.json")


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, dict)
        flat |= flatten(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flat


def resolve(path: Path) -> dict[str, Any]:
    return flatten(config_to_dict(load_config(path)))


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return content


def test_the_table_has_every_config(table: dict[str, dict[str, Any]]) -> None:
    assert set(table) == {"default", *CONFIGS}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_resolves_to_its_values(name: str, table: dict[str, dict[str, Any]]) -> None:
    found = resolve(CONFIGS[name])
    wanted = table["default"] | table[name]
    assert {key: found[key] for key in wanted} == wanted


def test_all_configs_together_are_short() -> None:
    lines = sum(len(path.read_text().splitlines()) for path in CONFIGS.values())
    assert lines < 25 * len(CONFIGS)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


def test_a_file_comes_after_its_base_and_overrides_after_both(write: Any) -> None:
    write("whole.yaml", "seed: 1\ntrain: {lr: 0.5, steps: [1, 2, 3]}\ndata: {video_dir: videos}")
    leaf = write("own/leaf.yaml", "base: ../whole.yaml\ntrain: {steps: [4]}\nseed: 2")
    config = load_config(leaf, ["seed=3"])
    assert (config.seed, config.train.lr, config.train.steps) == (3, 0.5, [4.0])
    assert config.data.video_dir == "videos"


def test_a_reference_in_the_base_sees_the_values_of_the_file(write: Any) -> None:
    write("whole.yaml", "data: {ava_version: '2.1', label_map: 'map_${data.ava_version}.pbtxt'}")
    leaf = write("leaf.yaml", "base: whole.yaml\ndata: {ava_version: '2.2'}")
    assert load_config(leaf).data.label_map == "map_2.2.pbtxt"


def test_a_shipped_config_is_a_base_from_any_folder(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    leaf = write("leaf.yaml", "base: configs/synthetic/slowfast.yaml\nseed: 7")
    config = load_config(leaf)
    assert config.model == load_config("configs/synthetic/slowfast.yaml").model
    assert config.seed == 7


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("base: nowhere.yaml", ["leaf.yaml: base", "nowhere.yaml", "ava-det config FILE"]),
        ("base: chained.yaml", ["leaf.yaml: base", "without a base", "chained.yaml"]),
        ("base: [a.yaml, b.yaml]", ["leaf.yaml: base", "one config file"]),
        ("base:", ["leaf.yaml: base", "one config file"]),
        ("base: wrong.yaml", ["wrong.yaml", "train.lr"]),
        ("base: typo.yaml", ["typo.yaml", "train.lrr"]),
    ],
)
def test_a_mistake_names_the_file_that_has_it(write: Any, base: str, words: list[str]) -> None:
    write("whole.yaml", "seed: 1")
    write("chained.yaml", "base: whole.yaml")
    write("wrong.yaml", "train: {lr: -1}")
    write("typo.yaml", "train: {lrr: 1}")
    leaf = write("leaf.yaml", base)
    with pytest.raises(ConfigError) as caught:
        load_config(leaf)
    assert all(word in str(caught.value) for word in words)


def write_table() -> None:
    default = flatten(config_to_dict(Config()))
    table = {"default": default}
    for name, path in CONFIGS.items():
        found = resolve(path)
        table[name] = {key: value for key, value in found.items() if value != default[key]}
    lines = (f"{json.dumps(name)}: {json.dumps(values)}" for name, values in table.items())
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write_table()
