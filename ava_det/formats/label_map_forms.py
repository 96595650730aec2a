"""Reads label maps in other forms: lines such as `1: walk`, one name a line, JSON, YAML.

Only what can mean one thing is read. A list of names counts from 1, as ids do here; written ids
that begin at 0 are refused, because the annotations that go with them count from 0 too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

NUMBERED = re.compile(r"\s*(\d+)\s*[:,;=\t ]\s*(.*?)\s*")
PLAIN_NAME = re.compile(r"\s*[^\W\d][^{}\[\]:,;=\t\"“”<>#]{,79}")
CONTAINERS = ("names", "categories", "classes", "label_map")
FORMS = 'item { name: "walk" id: 1 } entries, or lines such as 1: walk'
EXPECTED = f"expected {FORMS}"


def parse_other_form(path: Path, text: str) -> dict[int, str] | None:
    """Reads a label map that is not AVA's text form.

    Args:
        path: The file, for messages.
        text: What it holds.

    Returns:
        Names by id in the file's order; None where the text has the braces of AVA's form, or
        is empty.

    Raises:
        ValueError: The form is not known, or an id or a name is wrong; with the line found.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    is_text_form = re.search(r"\b(item|label)\s*:?\s*\{", text) and text.lstrip()[0] not in "{["
    if not lines or is_text_form:
        return None
    numbered = [(number, NUMBERED.fullmatch(line)) for number, line in lines]
    # one line alone may be a server's answer in place of the file, such as `404: Not Found`
    is_one_answer = len(lines) == 1 and not re.match(r"\s*1\b", lines[0][1])
    if all(match for _, match in numbered):
        entries = [(m[1], _unquote(m[2]), f"line {number}") for number, m in numbered if m]
    elif all(PLAIN_NAME.fullmatch(line) for _, line in lines):
        entries = [
            (str(i), line.strip(), f"line {number}") for i, (number, line) in enumerate(lines, 1)
        ]
    else:
        entries = [(number, name, "its names") for number, name in _load(text)]
    if not entries or (is_one_answer and numbered[0][1]):
        first, line = lines[0]
        raise ValueError(f"{path}, line {first}: {EXPECTED}, found {line.strip()[:60]!r}")
    return _check(path, entries)


def _load(text: str) -> list[tuple[Any, Any]]:
    """Reads (id, name) of JSON or YAML; `walk: 1` is a name and its id in JSON alone."""
    try:
        return _entries_of(json.loads(text), names_as_keys=True)
    except (ValueError, RecursionError):
        pass
    try:
        return _entries_of(yaml.safe_load(text), names_as_keys=False)
    except (yaml.YAMLError, ValueError, RecursionError):
        return []


def _entries_of(content: Any, names_as_keys: bool) -> list[tuple[Any, Any]]:
    """Returns (id, name) of any known form.

    The forms are a list of names, {id: name}, {name: id}, [{id, name}], or any of them under one
    key.
    """
    if isinstance(content, Mapping):
        inner = next(
            (content[key] for key in CONTAINERS if isinstance(content.get(key), list | dict)), None
        )
        if inner is not None:
            return _entries_of(inner, names_as_keys)
        if all(isinstance(value, int) for value in content.values()):
            return [(number, name) for name, number in content.items()] if names_as_keys else []
        return list(content.items()) if all(str(number).isdecimal() for number in content) else []
    if isinstance(content, list) and all(isinstance(entry, str) for entry in content):
        return [(number, name) for number, name in enumerate(content, 1)]
    if isinstance(content, list) and all(_is_entry(entry) for entry in content):
        return [(entry["id"], entry["name"]) for entry in content]
    return []


def _is_entry(value: Any) -> bool:
    """Returns whether a value is a dict with id and name."""
    return isinstance(value, Mapping) and {"id", "name"} <= value.keys()


def _check(path: Path, entries: Sequence[tuple[Any, Any, str]]) -> dict[int, str]:
    """Checks the ids and names; raises ValueError for a wrong or repeated one."""
    names: dict[int, str] = {}
    for number, name, where in entries:
        if not str(number).isdecimal() or not isinstance(name, str) or not name:
            raise ValueError(f"{path}, {where}: {EXPECTED}, found the id {number!r} of {name!r}")
        if int(number) < 1:
            raise ValueError(f"{path}, {where}: {describe_zero(name)}")
        if int(number) in names:
            raise ValueError(f"{path}, {where}: expected every id once, found {number} twice")
        names[int(number)] = name
    return names


def describe_zero(name: str) -> str:
    """Says how to correct an id 0."""
    remedy = (
        "delete the entry, nobody is labeled with it"
        if name.casefold() in ("background", "__background__", "none", "bg")
        else "add 1 to every id, here and in the annotations"
    )
    return f"expected an id of 1 or more, found 0 for {name!r}; ids count from 1: {remedy}"


def _unquote(text: str) -> str:
    """Removes the quotes around a text."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
