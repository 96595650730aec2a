"""Describes each key of a config: its form, its default and its meaning."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, NamedTuple, get_type_hints

import yaml

from ava_det.config.schema import Config
from ava_det.config.values import describe_form


class KeyInfo(NamedTuple):
    """Describes one key, such as `train.lr`.

    Attributes:
        key: With its section.
        form: What it takes, in words.
        default: In YAML.
        meaning: The comment beside its definition.
    """

    key: str
    form: str
    default: str
    meaning: str


def describe_keys(schema: Any = Config, prefix: str = "") -> list[KeyInfo]:
    """Describes every key that a config may set.

    Args:
        schema: The dataclass to describe.
        prefix: What comes before its fields' names, such as `train.`.

    Returns:
        One entry a key, in the order of the dataclasses' fields.
    """
    hints = get_type_hints(schema)
    comments = read_comments(schema)
    infos: list[KeyInfo] = []
    for item in fields(schema):
        key = prefix + item.name
        if is_dataclass(hints[item.name]):
            infos += describe_keys(hints[item.name], f"{key}.")
        else:
            infos.append(
                KeyInfo(key, describe_form(key), format_default(item), comments.get(item.name, ""))
            )
    return infos


def format_default(item: Field[Any]) -> str:
    """Formats a field's default in one line of YAML."""
    value = item.default if item.default_factory is MISSING else item.default_factory()
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("\n...\n").strip()


def read_comments(schema: type) -> dict[str, str]:
    """Reads the comments that stand beside the fields of a dataclass.

    Returns:
        Field name -> the comment lines right above its definition and the comment on its line.
    """
    comments: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(schema).splitlines():
        code, _, comment = line.strip().partition("#")
        name = code.partition(":")[0]
        if name.isidentifier():
            comments[name] = " ".join([*above, comment.strip()]).strip()
        above = [*above, comment.strip()] if comment and not code else []
    return comments
