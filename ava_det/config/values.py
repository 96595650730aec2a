"""Reads values in the forms people write them, and says in words what each key takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

from ava_det.config.checks import ConfigError
from ava_det.config.schema import Config

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a single text"}
_LISTS = {
    int: "a list of whole numbers such as [12,14]",
    float: "a list of numbers such as [0.5,1.5]",
}
_FILES = "a file, or a list of files such as [a.csv,b.csv]"
_BOXES = "gt, a detector, a box file or a list of files such as [a.csv,b.csv]"
_BRACKETS = {"[": "]", "(": ")", "{": "}"}


@cache
def schema_types(schema: Any = Config, prefix: str = "") -> dict[str, Any]:
    """Returns every dotted key that a config may set with the type of its value.

    Args:
        schema: The dataclass to read.
        prefix: What comes before its fields' names, such as `train.`.

    Returns:
        Key -> type, in the order of the dataclasses' fields.
    """
    hints = get_type_hints(schema)
    types: dict[str, Any] = {}
    for item in fields(schema):
        nested = is_dataclass(hints[item.name])
        name = prefix + item.name
        types |= schema_types(hints[item.name], f"{name}.") if nested else {name: hints[item.name]}
    return types


def describe_form(key: str) -> str:
    """Says what a key takes, for a sentence that goes on after "expected"."""
    kind, element, may_be_null = _split_type(schema_types()[key])
    files = _BOXES if key.endswith(".boxes") else _FILES
    form = files if kind is Any else _LISTS[element] if kind is list else _WORDS[kind]
    return f"null or {form}" if may_be_null and kind is not Any else form


def read_lists(source: str, values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turns every value that should be a list into a list, in whichever form it was written.

    `12,14`, `12 14`, `(12,14)` and `12` are lists where the key takes a list of numbers;
    `a.csv,b.csv` is one where the key takes files.

    Args:
        source: The file or override, for error messages.
        values: Nested values; they are not changed.
        prefix: What comes before their names, such as `train.`.

    Returns:
        The same nested values with lists in place of their other forms.

    Raises:
        ConfigError: A list holds anything but single values.
    """
    types = schema_types()
    read: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if key in types:
            read[name] = _read_value(source, key, value, types[key])
        else:
            read[name] = (
                read_lists(source, value, f"{key}.") if isinstance(value, Mapping) else value
            )
    return read


def _read_value(source: str, key: str, value: Any, wanted: Any) -> Any:
    kind, _, _ = _split_type(wanted)
    if value is None or (isinstance(value, str) and "${" in value):
        return value
    if kind is Any:
        listed = value if isinstance(value, list) else [value]
        if isinstance(value, str):
            listed = _separate(value, ",")
        fits = bool(listed) and not any(
            isinstance(item, list | dict | bool | None) for item in listed
        )
        files = [str(item) for item in listed]
        parsed = files[0] if len(files) == 1 else files
    elif kind is list:
        parsed = _read_numbers(value)
        fits = isinstance(parsed, list) and not any(
            isinstance(item, list | dict | bool) for item in parsed
        )
    else:
        parsed = value
        fits = not isinstance(value, list | dict)
    if not fits:
        raise ConfigError(f"{source}: {key}: expected {describe_form(key)}, received {value!r}")
    return parsed


def _read_numbers(value: Any) -> Any:
    """Returns a list of what may be numbers; anything else unchanged."""
    if isinstance(value, dict) and all(item is None for item in value.values()):
        return list(value)  # YAML's reading of {12,14}
    if isinstance(value, str):
        return _separate(value, ",; \t")
    if isinstance(value, list):
        parts = [_separate(item, ",; \t") if isinstance(item, str) else [item] for item in value]
        return [item for part in parts for item in part]
    return value if isinstance(value, bool) else [value]


def _separate(text: str, separators: str) -> list[str]:
    """Splits a text at `separators`, without the brackets around all of it."""
    text = text.strip()
    if _BRACKETS.get(text[:1]) == text[-1:]:
        text = text[1:-1]
    return [part.strip() for part in re.split(f"[{separators}]", text) if part.strip()]


def _split_type(hint: Any) -> tuple[Any, Any, bool]:
    """Splits a type hint in three.

    Returns:
        bool, int, float, str, list or Any; the type of a list's elements, None for no list; whether
        the value may be null.
    """
    options = [option for option in get_args(hint) if option is not type(None)]
    may_be_null = len(options) < len(get_args(hint))
    kind = options[0] if may_be_null else hint
    elements = get_args(kind)
    return (list, elements[0], may_be_null) if elements else (kind, None, may_be_null)
