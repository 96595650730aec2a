"""Parses what a person does, such as `fall down or (stand >= 0.7 and not talk to)`.

    expression = conjunction, { "or", conjunction }
    conjunction = factor, { "and", factor }
    factor = "not", factor | "(", expression, ")" | action, [ comparison, number ]
    comparison = ">=" | ">" | "<=" | "<"
    action = words, or a text in quotes

An action alone holds from its threshold on. The text is read by this grammar and never run.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from ava_det.formats.action_names import find_action, shorten_names

Scores = Mapping[int, float]  # action id -> score, 0 for ids that are not there

_TOKEN = re.compile(
    r"\s*(?:(?P<mark>>=|<=|>|<|\(|\))"
    r"""|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s()<>"']+))"""
)
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda score, bound: score >= bound,
    ">": lambda score, bound: score > bound,
    "<=": lambda score, bound: score <= bound,
    "<": lambda score, bound: score < bound,
}
_MAX_DEPTH = 50  # brackets within brackets


@dataclass(frozen=True)
class Expression:
    """Holds a parsed expression.

    Attributes:
        text: As it was written.
        actions: The 1-based ids of the actions in it.
        holds: Says whether it is true of a person's scores.
    """

    text: str
    actions: frozenset[int]
    holds: Callable[[Scores], bool]


def parse_expression(
    text: str, label_map: Mapping[int, str], thresholds: Mapping[int, float]
) -> Expression:
    """Parses an expression over actions.

    Args:
        text: The expression.
        label_map: Action id to name; actions are named by either, in full or without brackets.
        thresholds: Action id to the score from which an action alone holds.

    Raises:
        ValueError: The text is no expression, or names an unknown action.
    """
    parser = _Parser(text, label_map, thresholds)
    holds = parser.parse_whole()
    return Expression(text, frozenset(parser.actions), holds)


class _Parser:
    def __init__(
        self, text: str, label_map: Mapping[int, str], thresholds: Mapping[int, float]
    ) -> None:
        self._text = text
        self._label_map = label_map
        self._thresholds = thresholds
        self._tokens = self._split()
        self._at = 0
        self._depth = 0
        self.actions: set[int] = set()

    def _split(self) -> list[tuple[str, str]]:
        """Returns the kind (mark, word, quoted) and the text of each token."""
        tokens = []
        place = 0
        while self._text[place:].strip():
            found = _TOKEN.match(self._text, place)
            if found is None:
                self._refuse("a closing quote", self._text[place:].strip())
            kind = str(found.lastgroup)
            kind = kind if kind in ("mark", "word") else "quoted"
            tokens.append((kind, found[str(found.lastgroup)]))
            place = found.end()
        return tokens

    def _refuse(self, expected: str, found: str | None = None) -> NoReturn:
        shown = self._peek()[1] if found is None else found
        raise ValueError(
            f"expected {expected}, received {shown!r} in {self._text!r}"
            if shown
            else f"expected {expected} at the end of {self._text!r}"
        )

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _takes(self, *words: str) -> str | None:
        """Takes the next token if it is one of these words or marks."""
        kind, text = self._peek()
        if kind == "quoted" or text.lower() not in words:
            return None
        self._at += 1
        return text.lower()

    def parse_whole(self) -> Callable[[Scores], bool]:
        holds = self._parse_any()
        if self._at < len(self._tokens):
            self._refuse("and, or, or the end")
        return holds

    def _parse_any(self) -> Callable[[Scores], bool]:
        parts = [self._parse_all()]
        while self._takes("or"):
            parts.append(self._parse_all())
        return parts[0] if len(parts) == 1 else lambda scores: any(part(scores) for part in parts)

    def _parse_all(self) -> Callable[[Scores], bool]:
        parts = [self._parse_factor()]
        while self._takes("and"):
            parts.append(self._parse_factor())
        return parts[0] if len(parts) == 1 else lambda scores: all(part(scores) for part in parts)

    def _parse_factor(self) -> Callable[[Scores], bool]:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError(f"expected at most {_MAX_DEPTH} brackets within one another")
        try:
            if self._takes("not"):
                inner = self._parse_factor()
                return lambda scores: not inner(scores)
            if self._takes("("):
                whole = self._parse_any()
                if not self._takes(")"):
                    self._refuse("a closing bracket")
                return whole
            return self._parse_action()
        finally:
            self._depth -= 1

    def _parse_action(self) -> Callable[[Scores], bool]:
        action_id = self._find(self._take_name())
        self.actions.add(action_id)
        sign = self._takes(*_COMPARISONS)
        bound = self._thresholds.get(action_id, 0.5) if sign is None else self._take_score()
        compare = _COMPARISONS[sign or ">="]
        return lambda scores: compare(scores.get(action_id, 0.0), bound)

    def _take_name(self) -> str:
        kind, text = self._peek()
        if kind == "quoted":
            self._at += 1
            return text
        words = []
        while self._peek()[0] == "word" and self._peek()[1].lower() not in ("and", "or", "not"):
            words.append(self._peek()[1])
            self._at += 1
        if not words:
            self._refuse("an action")
        return " ".join(words)

    def _take_score(self) -> float:
        kind, text = self._peek()
        if kind != "word" or not re.fullmatch(r"\d*\.?\d+|\d+\.", text) or not float(text) <= 1:
            self._refuse("a score 0..1")
        self._at += 1
        return float(text)

    def _find(self, name: str) -> int:
        action_id = find_action(name, self._label_map)
        if action_id is None:
            names = [one.lower() for one in shorten_names(self._label_map).values()]
            near = difflib.get_close_matches(name.lower(), names, n=1)
            also = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"expected an action's id or name of the label map, received {name!r}{also}"
            )
        return action_id
