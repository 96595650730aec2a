"""Label maps: the actions a dataset knows, by their 1-based ids, in AVA's text form (`.pbtxt`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ava_det.files import write_text


def load_label_map(path: str | Path) -> dict[int, str]:
    """The action names of a label map by 1-based id, in file order.

    Reads both of AVA's text forms, `item { name id }` and `label { name label_id label_type }`,
    however they are broken into lines. Raises ValueError for anything else.
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
    """The group of every action of a label map by id: `label_type` where the map has it, else AVA's
    ranges of ids.

    In AVA ids 1-14 are person movement, 15-63 object manipulation and 64-80 person interaction. A
    map without types and with ids beyond 80 is not AVA's: it has no groups.
    """
    entries = _label_entries(Path(path))
    if all("label_type" in entry for entry in entries.values()):
        return {i: entry["label_type"].lower().replace("_", " ") for i, entry in entries.items()}
    if max(entries) > 80:
        return {}
    ranges = ((15, "person movement"), (64, "object manipulation"), (81, "person interaction"))
    return {i: next(name for end, name in ranges if i < end) for i in entries}


def describe_label_map_form(path: str | Path) -> list[str]:
    """A sentence if AVA's own tools, which read a label map line by line, could not read this one."""
    text = Path(path).read_text(encoding="utf-8-sig")
    names = re.findall(r'^  name: ".*"', text, re.MULTILINE)
    ids = re.findall(r"^  (?:id|label_id): \d+\s*$", text, re.MULTILINE)
    if len(names) == len(ids) == len(_label_entries(Path(path))):
        return []
    return [
        f"{path}: the label map is not laid out as AVA's own, with name and id on lines of their own; read all the same"
    ]


_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*|[,;])|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<word>[\w.+-]+)|(?P<mark>[{}:])"""
)


def _label_entries(path: Path) -> dict[int, dict[str, str]]:
    """{id: {"name", "label_type" where given}} of a label map."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a label map")
    entries: dict[int, dict[str, str]] = {}
    current: dict[str, str] | None = None
    tokens = list(_tokens(path))
    position = 0
    while position < len(tokens):
        line, token = tokens[position]
        following = [text for _, text in tokens[position + 1 : position + 3]]
        if current is None and token in ("item", "label") and following[:1] == ["{"]:
            current = {}
            position = position + 2
        elif current is not None and token == "}":
            _add_entry(entries, current, f"{path}, line {line}")
            current = None
            position = position + 1
        elif current is not None and len(following) == 2 and following[0] == ":":
            current[token] = following[1]
            position = position + 3
        else:
            raise ValueError(
                f"{path}, line {line}: expected item {{ name id }} or label {{ name label_id label_type }}"
            )
    if current is not None or not entries:
        found = "an entry without its closing brace" if current is not None else "no entry"
        raise ValueError(
            f"{path}: expected a label map of item {{ }} or label {{ }} entries, found {found}"
        )
    return entries


def _add_entry(entries: dict[int, dict[str, str]], entry: dict[str, str], where: str) -> None:
    number = entry.get("id", entry.get("label_id", ""))
    if not number.isdecimal() or int(number) < 1 or "name" not in entry:
        raise ValueError(f"{where}: expected an entry with a name and an id of 1 or more")
    if int(number) in entries:
        raise ValueError(f"{where}: expected every id once, found {number} twice")
    entries[int(number)] = entry


def _tokens(path: Path) -> Iterable[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected a label map in UTF-8 text") from None
    position = 0
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{path}, line {line}: expected a label map, found {text[position]!r}")
        if match["text"]:
            yield line, re.sub(r"\\(.)", r"\1", match["text"][1:-1])
        elif not match["space"]:
            yield line, match[0]
        position = match.end()
