"""Reads rules from YAML; what is wrong is said with the file, the rule and the key."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import yaml

from ava_det.events.expression import Expression, parse_expression
from ava_det.events.rules import (
    Deed,
    JsonLine,
    Point,
    PostWebhook,
    Rule,
    RunCommand,
    SaveClip,
    SavePicture,
)

PLACEHOLDERS = ("rule", "video", "time", "persons", "picture", "clip")
_RULE_KEYS = ["name", "when", "person_score", "zone", "count", "duration", "max_gap", "cooldown"]
_RULE_KEYS += ["do"]


def load_rules(
    path: str | Path, label_map: Mapping[int, str], thresholds: Mapping[int, float]
) -> list[Rule]:
    """Reads a YAML file of rules, as docs/events.md shows it.

    Args:
        path: The file.
        label_map: Action names by 1-based id.
        thresholds: By 1-based id, the score from which an action alone holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no YAML, or a rule is none.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected the YAML of event rules")
    try:
        content = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ValueError(f"{path}{line}: expected YAML, {problem}") from None
    if not isinstance(content, dict) or set(content) != {"rules"}:
        raise ValueError(f"{path}: expected one key, rules, with a list of rules")
    if not isinstance(content["rules"], list) or not content["rules"]:
        raise ValueError(f"{path}: rules: expected a list of rules")
    rules: list[Rule] = []
    for number, value in enumerate(content["rules"], 1):
        rule = _RuleReader(path, number, value, label_map, thresholds).read()
        if rule.name in [other.name for other in rules]:
            raise ValueError(f"{path}: name: expected another than {rule.name!r}, which is taken")
        rules.append(rule)
    return rules


class _Keys:
    """Takes checked values out of a mapping of YAML.

    Args:
        value: The mapping.
        place: File and rule, for errors.
        allowed: Its keys.
    """

    def __init__(self, value: Any, place: str, allowed: list[str]) -> None:
        self.place = place
        if not isinstance(value, dict):
            raise ValueError(
                f"{place}: expected keys of {', '.join(allowed)}, received {value!r:.60}"
            )
        for key in value:
            if key not in allowed:
                raise ValueError(
                    f"{place}: expected keys of {', '.join(allowed)}, received {key!r:.60}"
                )
        self.value = value

    def refuse(self, key: str, expected: str) -> NoReturn:
        found = f"received {self.value[key]!r:.80}" if key in self.value else "which is missing"
        raise ValueError(f"{self.place}: {key}: expected {expected}, {found}")

    def number(self, key: str, default: float, expected: str, most: float = math.inf) -> float:
        """Takes a number from 0 to `most`."""
        found = self.value.get(key, default)
        if isinstance(found, bool) or not isinstance(found, int | float):
            self.refuse(key, expected)
        if not 0 <= found <= most or math.isinf(found):
            self.refuse(key, expected)
        return float(found)

    def whole(self, key: str, default: int | None, expected: str, least: int) -> int | None:
        found = self.value.get(key, default)
        if key in self.value and (type(found) is not int or found < least):
            self.refuse(key, expected)
        return found

    def text(self, key: str, expected: str) -> str:
        found = self.value.get(key)
        if not isinstance(found, str) or not found.strip():
            self.refuse(key, expected)
        return found


class _RuleReader:
    def __init__(
        self,
        path: Path,
        number: int,
        value: Any,
        label_map: Mapping[int, str],
        thresholds: Mapping[int, float],
    ) -> None:
        keys = _Keys(value, f"{path}: rule {number}", _RULE_KEYS)
        self._name = keys.text("name", "a name")
        if not re.fullmatch(r"[\w][\w .-]*", self._name):  # it becomes part of file names
            keys.refuse("name", "letters, digits, spaces, dots, dashes and underscores")
        keys.place = f"{path}: rule {self._name!r}"
        self._keys = keys
        self._label_map = label_map
        self._thresholds = thresholds

    def read(self) -> Rule:
        keys = self._keys
        rule = Rule(
            name=self._name,
            when=self._read_expression(),
            do=self._read_deeds(),
            person_score=keys.number("person_score", 0.0, "a score 0..1", most=1.0),
            zone=self._read_zone(),
            count=keys.whole("count", None, "a number of persons, 1 or more", least=1),
            duration=keys.number("duration", 0.0, "seconds, 0 or more"),
            max_gap=keys.number("max_gap", 0.0, "seconds, 0 or more"),
            cooldown=keys.number("cooldown", 0.0, "seconds, 0 or more"),
        )
        if rule.when is None and rule.zone is None and rule.count is None:
            raise ValueError(f"{keys.place}: expected when, zone or count, found none of them")
        return rule

    def _read_expression(self) -> Expression | None:
        if "when" not in self._keys.value:
            return None
        text = self._keys.value["when"]
        if isinstance(text, bool) or not isinstance(text, str | int):
            self._keys.refuse("when", "an action or an expression over actions")
        try:
            return parse_expression(str(text), self._label_map, self._thresholds)
        except ValueError as error:
            raise ValueError(f"{self._keys.place}: when: {error}") from None

    def _read_zone(self) -> tuple[Point, ...] | None:
        zone = self._keys.value.get("zone")
        if "zone" not in self._keys.value:
            return None
        expected = "three or more corners [x, y] as fractions of the frame, 0..1"
        if not isinstance(zone, list) or len(zone) < 3:
            self._keys.refuse("zone", expected)
        for corner in zone:
            if not isinstance(corner, list) or len(corner) != 2:
                self._keys.refuse("zone", expected)
            for value in corner:
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                if not is_number or not 0 <= value <= 1:
                    self._keys.refuse("zone", expected)
        return tuple((float(x), float(y)) for x, y in zone)

    def _read_deeds(self) -> tuple[Deed, ...]:
        deeds = self._keys.value.get("do")
        kinds = ", ".join(_DEEDS)
        if not isinstance(deeds, list) or not deeds:
            self._keys.refuse("do", f"a list of {kinds}")
        return tuple(self._read_deed(deed, kinds) for deed in deeds)

    def _read_deed(self, value: Any, kinds: str) -> Deed:
        place = f"{self._keys.place}: do"
        if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in _DEEDS:
            raise ValueError(f"{place}: expected one of {kinds}, received {value!r:.80}")
        [(kind, settings)] = value.items()
        return _DEEDS[kind](settings, place)


def _read_json(value: Any, place: str) -> Deed:
    return JsonLine(Path(_Keys({"json": value}, place, ["json"]).text("json", "a file name")))


def _read_picture(value: Any, place: str) -> Deed:
    keys = _Keys({"picture": value}, place, ["picture"])
    return SavePicture(Path(keys.text("picture", "a folder")))


def _read_clip(value: Any, place: str) -> Deed:
    value = {"folder": value} if isinstance(value, str) else value
    keys = _Keys(value, f"{place}: clip", ["folder", "before", "after"])
    seconds = "seconds, 0 to 600"
    return SaveClip(
        Path(keys.text("folder", "a folder")),
        keys.number("before", 5.0, seconds, most=600.0),
        keys.number("after", 5.0, seconds, most=600.0),
    )


def _read_command(value: Any, place: str) -> Deed:
    value = {"arguments": value} if isinstance(value, list) else value
    keys = _Keys(value, f"{place}: command", ["arguments", "timeout"])
    expected = "a list of the program and its arguments, each a text"
    arguments = keys.value.get("arguments")
    if not isinstance(arguments, list) or not arguments:
        keys.refuse("arguments", expected)
    if not all(isinstance(one, str) for one in arguments) or not arguments[0]:
        keys.refuse("arguments", expected)
    for name in re.findall(r"{(\w+)}", " ".join(arguments)):
        if name not in PLACEHOLDERS:
            keys.refuse("arguments", f"placeholders of {', '.join(PLACEHOLDERS)}")
    return RunCommand(tuple(arguments), keys.number("timeout", 60.0, "seconds, 0 or more"))


def _read_webhook(value: Any, place: str) -> Deed:
    value = {"url": value} if isinstance(value, str) else value
    keys = _Keys(value, f"{place}: webhook", ["url", "timeout", "retries"])
    url = keys.text("url", "a URL of http or https")
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_url = is_url and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:
        is_url = False
    if not is_url:
        keys.refuse("url", "a URL of http or https")
    timeout = keys.number("timeout", 5.0, "seconds, more than 0 and at most 60", most=60.0)
    if not timeout:
        keys.refuse("timeout", "seconds, more than 0 and at most 60")
    retries = keys.whole("retries", 2, "a number of retries, 0 to 10", least=0)
    if retries is None or retries > 10:
        keys.refuse("retries", "a number of retries, 0 to 10")
    return PostWebhook(url, timeout, retries)


_DEEDS: dict[str, Callable[[Any, str], Deed]] = {
    "json": _read_json,
    "picture": _read_picture,
    "clip": _read_clip,
    "command": _read_command,
    "webhook": _read_webhook,
}
