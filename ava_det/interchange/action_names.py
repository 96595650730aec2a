"""Reads names of actions as people write them.

They may be numbers, several in one cell, words for none, or one name spelled in two ways.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

NO_ACTION = {
    "none",
    "nan",
    "null",
    "na",
    "n/a",
    "background",
    "bg",
    "no action",
    "nothing",
    "-",
    "?",
    "unlabeled",
}
SEVERAL = re.compile(
    r"\s*[,;|+&]\s*(?![^(]*\))"
)  # not within brackets, as in AVA's `listen (e.g., to music)`
NUMBER = re.compile(r"(\d+)(?:\.0+)?")
SHOWN = 20
# with fewer labeled boxes than this, one action in nearly all of them gives no warning
FEW_BOXES = 10
SHARE_OF_DEFAULTS = 0.9


def by_value_and_alphabet(name: str) -> tuple[float, str]:
    """Sorts numbers by their value, before the words, and words by alphabet."""
    number = _number(name)
    return (float("inf") if number is None else number, name)


def ids_of_numbers(names: Sequence[str]) -> dict[int, str] | None:
    """Takes names that are all whole numbers from 1 on for ids; None for any other names.

    Args:
        names: Distinct names.

    Returns:
        Names by id, in ascending order.
    """
    ids = {number: name for name in names if (number := _number(name)) is not None and number > 0}
    return dict(sorted(ids.items())) if len(ids) == len(names) else None


def hint_unknown_action(name: str, label_map: Mapping[int, str]) -> str:
    """Suggests names for one that a label map does not have, as the end of a sentence."""
    known = list(label_map.values())
    if is_no_action(name):
        return "; leave the cell empty for a person without an action"
    parts = SEVERAL.split(name)
    if len(parts) > 1 and set(parts) <= set(known):
        return "; write a row for each action"
    number = _number(name)
    if number is not None and number in label_map:
        return f"; the name of {number} is {label_map[number]!r}"
    by_case = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), by_case, n=1)
    return f"; did you mean {by_case[near[0]]!r}?" if near else ""


def describe_new_names(used: Iterable[tuple[str, str]], label_map: Mapping[int, str]) -> list[str]:
    """Lists new classes that may be mistakes.

    Args:
        used: (name, place in its file) of every action of every person.
        label_map: The ids that were made for these names.

    Returns:
        One sentence a doubtful name, with its first place and the remedy.
    """
    first: dict[str, str] = {}
    for name, where in used:
        first.setdefault(name, where)
    sentences = []
    alike: dict[str, str] = {}
    for name, where in first.items():
        known_as = alike.setdefault(re.sub(r"[\s_-]+", "", name.casefold()) or name, name)
        if is_no_action(name):
            sentences.append(
                f"{where}: {name!r} became an action: leave the cell empty for a person without one"
            )
        elif len(SEVERAL.split(name)) > 1:
            sentences.append(
                f"{where}: {name!r} became one action: write a row for each where it stands for "
                "several"
            )
        elif known_as != name:
            sentences.append(
                f"{where}: {name!r} and {known_as!r} became two actions: write them alike "
                f"({first[known_as]})"
            )
    shifted = [(i, name) for i, name in label_map.items() if _number(name) not in (None, i)]
    if shifted:
        action_id, name = shifted[0]
        sentences.append(
            f"the action {name!r} has the id {action_id}: ids count from 1 and stand for names, "
            "not numbers"
        )
    return sentences


def describe_ticked_by_default(
    path: str,
    ticked: Iterable[Collection[str]],
    by_default: Collection[str],
    options: Collection[str],
) -> str:
    """Describes that nearly all boxes say only what a tool ticks by itself; else empty.

    Args:
        path: The file, for the message.
        ticked: The actions of each box.
        by_default: What the tool may have ticked.
        options: All actions that could have been chosen.
    """
    labeled = [set(actions) for actions in ticked if actions]
    suspicious = sum(actions <= set(by_default) for actions in labeled)
    few = len(labeled) < FEW_BOXES or len(options) < 2
    if few or suspicious < SHARE_OF_DEFAULTS * len(labeled):
        return ""
    return (
        f"{path}: {suspicious} of {len(labeled)} boxes say only "
        f"{' and '.join(map(repr, by_default))}, which the tool or a draft may have ticked by "
        "default: check that somebody chose it"
    )


def name_values(chosen: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Names the action of each value of an attribute.

    It is called as its value, and `attribute/value` where two attributes have this value; words for
    no action stay as they are.

    Args:
        chosen: (attribute, value) of every choice, any number of times.
    """
    choices = dict.fromkeys(chosen)
    counts = Counter(value for _, value in choices)
    return {
        (attribute, value): (
            value if counts[value] == 1 or is_no_action(value) else f"{attribute}/{value}"
        )
        for attribute, value in choices
    }


def list_actions(used: Iterable[tuple[str, str]], label_map: Mapping[int, str]) -> str:
    """Lists the actions with their ids and how often they were found, in one line.

    Of many, only the first ones are listed.
    """
    counts = dict.fromkeys(label_map.values(), 0)
    for name, _ in used:
        counts[name] += 1
    shown = [f"{i} {name} ({counts[name]})" for i, name in list(label_map.items())[:SHOWN]]
    more = len(label_map) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def is_no_action(name: str) -> bool:
    """Returns whether a name means that no action was given, such as `none` or `n/a`."""
    return name.casefold().strip() in NO_ACTION


def _number(name: str) -> int | None:
    match = NUMBER.fullmatch(name)
    return int(match[1]) if match else None
