"""From a YAML file and `key=value` overrides to a Config, and back."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ava_det.config.schema import Config, ConfigError


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a YAML file, then applies `key=value` overrides in order.

    A path under `configs/` that does not exist on disk is looked for among the files shipped with the package.
    Raises ConfigError naming the file or override, the key and what was expected.
    """
    return config_from_dict(_read_yaml(find_shipped(path)), str(path), overrides)


def config_from_dict(values: dict[str, Any], path: str, overrides: Sequence[str] = ()) -> Config:
    """A config of plain nested values, as a checkpoint carries them; `path` names them in errors."""
    merged = OmegaConf.structured(Config)
    layers = [(path, values)]
    layers += [(f"override {text!r}", _parse_override(text)) for text in overrides]
    for source, layer in layers:
        _check_keys(source, layer)
        try:
            merged = OmegaConf.merge(merged, layer)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{source}: {error.full_key}: {_first_line(error)}") from None
    try:
        config = OmegaConf.to_object(merged)
    except ConfigError as error:
        key = str(error).partition(":")[0]
        source = next((source for source, layer in reversed(layers) if key in _leaf_keys(layer)), path)
        raise ConfigError(f"{source}: {error}") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"{path}: {error.full_key}: {_first_line(error)}") from None
    assert isinstance(config, Config)
    return config


def config_to_dict(config: Config) -> dict[str, Any]:
    """Plain nested dicts, lists, numbers and strings."""
    values = OmegaConf.to_container(OmegaConf.structured(config))
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def config_to_yaml(config: Config) -> str:
    """YAML that `load_config` reads back to the same config."""
    return yaml.safe_dump(config_to_dict(config), sort_keys=False)


def find_shipped(path: str | Path) -> Path:
    """The file itself, or the one of that name under the package's own `configs/`. Raises ConfigError for neither."""
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
        text = path.read_text(encoding="utf-8")
        values = OmegaConf.to_container(OmegaConf.create(text)) if text.strip() else {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"{path}, line {line}: {error.problem or error.context} (expected YAML)") from None
    except (yaml.YAMLError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise ConfigError(f"{path}: {_first_line(error)} (expected YAML)") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values")
    return {str(key): value for key, value in values.items()}


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, _ = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"override {text!r}: expected key=value, such as train.lr=0.1")
    try:
        values = OmegaConf.to_container(OmegaConf.from_dotlist([text]))
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"override {text!r}: {_first_line(error)}") from None
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def _check_keys(source: str, values: dict[str, Any]) -> None:
    known = schema_keys()
    for key in _leaf_keys(values):
        if any(name.startswith(f"{key}.") for name in known):
            raise ConfigError(f"{source}: {key} is a section, expected {key}.<key> with one of its keys")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            raise ConfigError(f"{source}: unknown key {key}; {hint}")


def schema_keys(schema: Any = Config, prefix: str = "") -> list[str]:
    """Every dotted key a config may set, in the order of the dataclasses."""
    keys = []
    for item in fields(schema):
        section = item.default_factory
        nested = isinstance(section, type) and is_dataclass(section)
        keys += schema_keys(section, f"{prefix}{item.name}.") if nested else [prefix + item.name]
    return keys


def _leaf_keys(values: dict[str, Any], prefix: str = "") -> list[str]:
    keys = []
    for name, value in values.items():
        nested = isinstance(value, dict) and value
        keys += _leaf_keys(value, f"{prefix}{name}.") if nested else [f"{prefix}{name}"]
    return keys


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
