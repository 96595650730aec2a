"""Reads and writes label maps: action names by 1-based id, in AVA's text form (`.pbtxt`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ava_det.files import write_text
from ava_det.formats.ava_csv.foreign import describe_foreign_file
from ava_det.formats.ava_csv.opened import open_text
from ava_det.formats.label_map_forms import FORMS, describe_zero, parse_other_form


def load_label_map(path: str | Path) -> dict[int, str]:
    """Reads the action names of a label map by 1-based id, in file order.

    Both of AVA's text forms are read, `item { name id }` and `label { name label_id label_type }`,
    with any line breaks, and the forms of `label_map_forms`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The form is not known, or an id or a name is wrong; the sentence names the line.
    """
    return {entry_id: entry["name"] for entry_id, entry in _label_entries(Path(path)).items()}


def write_label_map(path: str | Path, names: Mapping[int, str]) -> None:
    """Writes the action names by 1-based id as AVA's `item { name id }`, whole or not at all."""
    escaped = (
        (action_id, re.sub(r'(["\\])', r"\\\1", name)) for action_id, name in sorted(names.items())
    )
    items = (f'item {{\n  name: "{name}"\n  id: {action_id}\n}}\n' for action_id, name in escaped)
    write_text(path, "".join(items))


def load_label_groups(path: str | Path) -> dict[int, str]:
    """Reads the group of every action of a label map, by 1-based id.

    It is `label_type` where the map has it, else AVA's range of ids: 1-14 are person movement,
    15-63 object manipulation and 64-80 person interaction. A map without types and with ids beyond
    80 is not AVA's: it has no groups.
    """
    entries = _label_entries(Path(path))
    if all("label_type" in entry for entry in entries.values()):
        return {i: entry["label_type"].lower().replace("_", " ") for i, entry in entries.items()}
    if max(entries) > 80:
        return {}
    ranges = ((15, "person movement"), (64, "object manipulation"), (81, "person interaction"))
    return {i: next(name for end, name in ranges if i < end) for i in entries}


def describe_label_map_form(path: str | Path) -> list[str]:
    """Says whether AVA's own tools, which read a label map line by line, could not read this one.

    Returns:
        At most one sentence.
    """
    with open_text(Path(path)) as file:
        text = file.read()
    names = re.findall(r'^  name: ".*"', text, re.MULTILINE)
    ids = re.findall(r"^  (?:id|label_id): \d+\s*$", text, re.MULTILINE)
    if len(names) == len(ids) == len(_label_entries(Path(path))):
        return []
    return [
        f"{path}: the label map is not laid out as AVA's own, with name and id on lines of their "
        "own; read all the same"
    ]


_TOKEN = re.compile(
    r"(?P<space>\s+|\#[^\n]*|[,;])"
    r"""|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"|(?P<word>[\w.+-]+)|(?P<mark>[{}:])"
)
_Token = tuple[int, str]


def _label_entries(path: Path) -> dict[int, dict[str, str]]:
    """Reads the entries of a label map, dicts with "name" and perhaps "label_type", by id."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a label map")
    try:
        with open_text(path) as file:
            text = file.read()
    except UnicodeDecodeError:
        found = (describe_foreign_file(path) or "another encoding").partition(":")[0]
        raise ValueError(f"{path}: expected a label map in UTF-8 text, found {found}") from None
    others = parse_other_form(path, text)
    if others is not None:
        return {action_id: {"name": name} for action_id, name in others.items()}
    return _parse_text_form(path, text)


def _parse_text_form(path: Path, text: str) -> dict[int, dict[str, str]]:
    """Parses AVA's text forms."""
    entries: dict[int, dict[str, str]] = {}
    current: dict[str, str] | None = None
    tokens = list(_tokens(path, text))
    position = 0
    while position < len(tokens):
        line, token = tokens[position]
        following = [text for _, text in tokens[position + 1 : position + 3]]
        if current is None and token in ("item", "label") and following[:1] == ["{"]:
            current = {}
            position = position + 2
        elif current is None and token in ("item", "label") and following == [":", "{"]:
            current = {}  # protobuf's text may have the colon
            position = position + 3
        elif current is not None and token == "}":
            _add_entry(entries, current, f"{path}, line {line}")
            current = None
            position = position + 1
        elif current is not None and len(following) == 2 and following[0] == ":":
            current[token] = following[1]
            position = position + 3
        else:
            raise ValueError(f"{path}, line {line}: {_explain_line(text.splitlines()[line - 1])}")
    if current is not None or not entries:
        found = "an entry without its closing brace" if current is not None else "no entry"
        raise ValueError(
            f"{path}: expected a label map of item {{ }} or label {{ }} entries, found {found}"
        )
    return entries


def _add_entry(entries: dict[int, dict[str, str]], entry: dict[str, str], where: str) -> None:
    """Checks an entry and adds it; raises ValueError for a wrong or repeated id."""
    number = entry.get("id", entry.get("label_id", ""))
    if number == "0" and "name" in entry:
        raise ValueError(f"{where}: {describe_zero(entry['name'])}")
    if not number.isdecimal() or int(number) < 1 or "name" not in entry:
        raise ValueError(f"{where}: expected an entry with a name and an id of 1 or more")
    if int(number) in entries:
        raise ValueError(f"{where}: expected every id once, found {number} twice")
    entries[int(number)] = entry


def _tokens(path: Path, text: str) -> Iterable[_Token]:
    """Yields the line and the text of each token."""
    position = 0
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{path}, line {line}: {_explain_line(text.splitlines()[line - 1])}")
        if match["text"]:
            yield line, re.sub(r"\\(.)", r"\1", match["text"][1:-1])
        elif not match["space"]:
            yield line, match[0]
        position = match.end()


def _explain_line(line: str) -> str:
    """Explains why a line fits no form."""
    if re.match(r"\s*name\s*:\s*[^\"']", line):
        return f'write the name in double quotes, as in name: "walk", found {line.strip()!r}'
    return f"expected a label map, found {line.strip()!r}; write {FORMS}"
