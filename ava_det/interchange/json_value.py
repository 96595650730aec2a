"""Reads JSON of annotation tools value by value, so that a message names the place in the file."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_det.files import suggest_file


@dataclass(frozen=True, slots=True)
class JsonValue:
    """Holds a value of a JSON file and its place.

    Attributes:
        value: As `json` gives it.
        where: The file and the keys that lead to the value, for messages.
    """

    value: Any
    where: str

    def find(self, key: str) -> JsonValue | None:
        """Returns the value under a key; None where it is missing or null.

        Raises:
            ValueError: This value is no object.
        """
        child = self._as_object().get(key)
        return None if child is None else self._at(key, child)

    def child(self, key: str) -> JsonValue:
        """Returns the value under a key; ValueError where there is none."""
        found = self.find(key)
        if found is None:
            raise ValueError(f"{self.where}: expected the key {key!r}, found none")
        return found

    def members(self) -> Iterator[tuple[str, JsonValue]]:
        """Yields keys and values, in the file's order; ValueError where this is no object."""
        for key, child in self._as_object().items():
            yield key, self._at(key, child)

    def elements(self) -> Iterator[JsonValue]:
        """Yields the elements; ValueError where this is no list."""
        if not isinstance(self.value, list):
            raise ValueError(f"{self.where}: expected a list, found {shorten(self.value)}")
        for number, child in enumerate(self.value):
            yield JsonValue(child, f"{self.where}[{number}]")

    def number(self) -> float:
        """Returns a finite number; ValueError where this is none."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{self.where}: expected a number, found {shorten(value)}")
        try:
            if math.isfinite(value):
                return float(value)
        except OverflowError:
            pass
        raise ValueError(f"{self.where}: expected a finite number, found {shorten(value)}")

    def numbers(self, count: int) -> tuple[float, ...]:
        """Returns a list of so many finite numbers; ValueError where this is none."""
        numbers = tuple(element.number() for element in self.elements())
        if len(numbers) != count:
            raise ValueError(f"{self.where}: expected {count} numbers, found {len(numbers)}")
        return numbers

    def whole(self, least: int = 0) -> int:
        """Returns a whole number, also one in quotes; ValueError where this is none."""
        value = self.value
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
            value = int(value)
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not is_whole or value < least:
            raise ValueError(
                f"{self.where}: expected a whole number from {least}, found {shorten(value)}"
            )
        return int(value)

    def text(self) -> str:
        """Returns a string, or a number as one; ValueError where this is neither."""
        if isinstance(self.value, bool) or not isinstance(self.value, str | int | float):
            raise ValueError(f"{self.where}: expected a text, found {shorten(self.value)}")
        return str(self.value)

    def _as_object(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise ValueError(f"{self.where}: expected an object, found {shorten(self.value)}")
        return self.value

    def _at(self, key: str, child: Any) -> JsonValue:
        return JsonValue(child, f"{self.where}{'.' if ', ' in self.where else ', '}{key}")


def load_json(path: str | Path, expected: str) -> JsonValue:
    """Loads a JSON file, or the only one in a zip archive.

    Args:
        path: The file.
        expected: What it should be, for messages.

    Raises:
        ValueError: The file is no JSON in UTF-8, or the archive has none or several.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected {expected}{suggest_file(path)}")
    content = _read_from_archive(path, expected) if zipfile.is_zipfile(path) else path.read_bytes()
    try:
        return JsonValue(json.loads(content.decode("utf-8-sig")), str(path))
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected {expected}, found no text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {error.lineno}: expected {expected}, found no JSON ({error.msg})"
        ) from None
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of 5,000 digits
        raise ValueError(f"{path}: expected {expected}, found no JSON ({error})") from None


def shorten(value: Any) -> str:
    """Shows a value in a message: objects and lists by their kind, texts cut to 40 characters."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 40 else f"{shown[:40]}..."


def _read_from_archive(path: Path, expected: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = [
            name
            for name in archive.namelist()
            if name.lower().endswith(".json") and not name.startswith("__MACOSX")
        ]
        if len(names) != 1:
            raise ValueError(
                f"{path}: expected one JSON file in the archive, {expected}, found {len(names)}"
            )
        try:
            return archive.read(names[0])
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ValueError(f"{path}: the archive is damaged ({error})") from None
