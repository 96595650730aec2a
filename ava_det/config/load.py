"""Makes a Config of a YAML file and `key=value` overrides, and writes it back as YAML."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ava_det.config.checks import ConfigError
from ava_det.config.schema import Config
from ava_det.config.values import describe_form, read_lists, schema_types

Layers = Sequence[tuple[str, dict[str, Any]]]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a YAML file and its `base`, then applies `key=value` overrides in order.

    Args:
        path: The file. One under `configs/` that does not exist on disk is looked for among the
            files shipped with the package. Its key `base` may name another file, relative to it or
            a shipped one under `configs/`; values that it does not set itself come from there.
        overrides: Such as `train.lr=0.1`.

    Raises:
        ConfigError: The message names the file or override, the key and what was expected.
    """
    return _merge(_read_layers(path), overrides)


def config_from_dict(values: dict[str, Any], path: str, overrides: Sequence[str] = ()) -> Config:
    """Makes a config of plain nested values, as checkpoints carry them.

    Args:
        values: Section -> key -> value.
        path: The file they are from, for error messages.
        overrides: Such as `train.lr=0.1`, applied in order.

    Raises:
        ConfigError: As in `load_config`.
    """
    return _merge([(path, values)], overrides)


def _read_layers(path: str | Path) -> Layers:
    """Reads the values of a file and, before them, those of the one base that it may have."""
    file = find_shipped(path)
    values = _read_yaml(file)
    if "base" not in values:
        return [(str(path), values)]
    base = values.pop("base")
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: expected one config file, received {base!r}")
    base_file = Path(os.path.normpath(file.parent / base))
    if not base_file.is_file() and Path(base).parts[:1] == ("configs",):
        base_file = find_shipped(base)
    if not base_file.is_file():
        whole = "`ava-det config FILE` prints an experiment in full, to be copied without its base"
        raise ConfigError(f"{path}: base: no such config file as {base_file}; {whole}")
    base_values = _read_yaml(base_file)
    if "base" in base_values:
        raise ConfigError(f"{path}: base: expected a file without a base, {base_file} has one")
    return [(str(base_file), base_values), (str(path), values)]


def _merge(files: Layers, overrides: Sequence[str]) -> Config:
    """Merges files and overrides into one config; the last one that sets a key counts."""
    layers = [*files, *((f"override {text!r}", _parse_override(text)) for text in overrides)]
    merged = _make_defaults()
    for source, layer in layers:
        _check_keys(source, layer)
        try:
            merged.merge_with(read_lists(source, layer))
        except OmegaConfBaseException as error:
            raise _describe_misfit(error, [(source, layer)]) from None
    try:
        config = OmegaConf.to_object(merged)
    except ConfigError as error:
        source, _ = _find_last(layers, str(error).partition(":")[0])
        raise ConfigError(f"{source}: {error}") from None
    except OmegaConfBaseException as error:
        raise _describe_misfit(error, layers) from None
    assert isinstance(config, Config)
    return config


def _make_defaults() -> DictConfig:
    """Makes the typed tree of all keys."""
    defaults = pickle.loads(_pickle_defaults())
    assert isinstance(defaults, DictConfig)
    return defaults


@functools.cache
def _pickle_defaults() -> bytes:
    """Makes that tree once, since it costs more than everything merged into it.

    Unpickling takes a fifth of the time of a deep copy.
    """
    return pickle.dumps(OmegaConf.structured(Config))


def _describe_misfit(error: OmegaConfBaseException, layers: Layers) -> ConfigError:
    """Says what is wrong with the value of one key, in the words of this project."""
    key = re.sub(r"\[.*", "", str(error.full_key or ""))
    if not key:  # of a reference to nothing OmegaConf names the key from 2.4 on
        key = next((name for _, layer in layers for name in _find_references(layer)), "")
    source, value = _find_last(layers, key)
    if key not in schema_types():
        return ConfigError(f"{source}: {key}: {_first_line(error)}")
    received = "nothing" if value is None else repr(value)
    if "${" in received:
        received += ", which refers to nothing that is set"
    return ConfigError(f"{source}: {key}: expected {describe_form(key)}, received {received}")


def _find_references(layer: dict[str, Any]) -> list[str]:
    """Finds the keys whose values refer to others."""
    return [key for key, value in _flatten(layer).items() if "${" in str(value)]


def _find_last(layers: Layers, key: str) -> tuple[str, Any]:
    """Finds the last source that sets a key, and its value; the first source if none sets it."""
    values = [(source, flat[key]) for source, layer in layers if key in (flat := _flatten(layer))]
    return values[-1] if values else (layers[0][0], None)


def config_to_dict(config: Config) -> dict[str, Any]:
    """Returns a config as nested dicts of numbers, strings and lists."""
    return dataclasses.asdict(config)


def config_to_yaml(config: Config) -> str:
    """Formats a config as YAML that `load_config` reads back to the same config."""
    text: str = yaml.safe_dump(config_to_dict(config), sort_keys=False)
    return text


def find_shipped(path: str | Path) -> Path:
    """Finds a config file on disk, or else under the package's own `configs/`.

    Raises:
        ConfigError: There is no such file in either place.
    """
    path = Path(path)
    if path.is_file():
        return path
    package = Path(__file__).parent.parent
    for folder in (package, package.parent):  # installed; a checkout
        if path.parts[:1] == ("configs",) and (folder / path).is_file():
            return folder / path
    raise ConfigError(f"{path}: no such config file")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = OmegaConf.to_container(OmegaConf.create(text)) if text.strip() else {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(
            f"{path}, line {line}: {error.problem or error.context} (expected YAML)"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise ConfigError(f"{path}: {_first_line(error)} (expected YAML)") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values")
    return {str(key): value for key, value in values.items()}


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"override {text!r}: expected key=value, such as train.lr=0.1")
    try:
        values = OmegaConf.to_container(OmegaConf.from_dotlist([f"{key}={value}"]))
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        if key in schema_types():
            form = describe_form(key)
            raise ConfigError(
                f"override {text!r}: {key}: expected {form}, received {value!r}"
            ) from None
        raise ConfigError(f"override {text!r}: {_first_line(error)}") from None
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def _check_keys(source: str, values: dict[str, Any]) -> None:
    known = schema_keys()
    for key in _flatten(values):
        if any(name.startswith(f"{key}.") for name in known):
            raise ConfigError(
                f"{source}: {key} is a section, expected {key}.<key> with one of its keys"
            )
        if key not in known:
            near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
            section = key.rpartition(".")[0]
            section_keys = [name for name in known if name.rpartition(".")[0] == section] or known
            hint = (
                f"did you mean {near[0]}?" if near else f"expected one of {', '.join(section_keys)}"
            )
            raise ConfigError(f"{source}: unknown key {key}; {hint}")


def schema_keys() -> list[str]:
    """Returns every dotted key that a config may set, in the order of the dataclasses."""
    return list(schema_types())


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns dotted keys -> values. An empty mapping, which YAML makes of {12,14}, is a value."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        is_set = key in schema_types() and isinstance(value, dict) and not any(value.values())
        nested = isinstance(value, dict) and value and not is_set
        flat |= _flatten(value, f"{key}.") if nested else {key: value}
    return flat


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
