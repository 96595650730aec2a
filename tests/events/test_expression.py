"""What a person does, as people write it: known answers, precedence, and sentences for mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_det.events.expression import parse_expression

NAMES = {
    1: "bend/bow (at the waist)",
    5: "fall down",
    12: "stand",
    14: "walk",
    64: "fight/hit (a person)",
    71: "hug (a person)",
    80: "watch (a person)",
    81: "and",
}
THRESHOLDS = dict.fromkeys(NAMES, 0.5) | {14: 0.3}


def holds(text: str, scores: dict[int, float]) -> bool:
    return parse_expression(text, NAMES, THRESHOLDS).holds(scores)


@pytest.mark.parametrize(
    ("text", "scores", "expected"),
    [
        ("stand", {12: 0.5}, True),
        ("stand", {12: 0.49}, False),
        ("stand", {}, False),
        ("walk", {14: 0.3}, True),
        ("  FALL   down ", {5: 0.9}, True),
        ("5", {5: 0.9}, True),
        ("fight/hit (a person)", {64: 0.9}, None),  # brackets group unless they are in quotes
        ('"fight/hit (a person)"', {64: 0.9}, True),
        ("fight/hit or hug", {71: 0.9}, True),
        ("fight/hit or hug", {12: 0.9}, False),
        ("not stand", {}, True),
        ("not not stand", {12: 1.0}, True),
        ("stand and not walk", {12: 0.9, 14: 0.4}, False),
        ("stand >= 0.8", {12: 0.8}, True),
        ("stand > 0.8", {12: 0.8}, False),
        ("stand < .8", {12: 0.79}, True),
        ("stand<=0.8", {12: 0.8}, True),
        # and binds more than or, not more than both
        ("stand or walk and hug", {12: 0.9}, True),
        ("(stand or walk) and hug", {12: 0.9}, False),
        ("not stand or walk", {12: 0.9, 14: 0.9}, True),
        ("not (stand or walk)", {14: 0.9}, False),
        ("'and' and stand", {81: 0.9, 12: 0.9}, True),
    ],
)
def test_known_answers(text: str, scores: dict[int, float], expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="the end"):
            holds(text, scores)
        return
    assert holds(text, scores) is expected


def test_it_knows_its_actions() -> None:
    assert parse_expression("stand or not (14 and hug > 0.1)", NAMES, {}).actions == {12, 14, 71}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected an action at the end of ''"),
        ("stand and", "expected an action at the end"),
        ("(stand", "closing bracket at the end"),
        ("stand)", r"and, or, or the end, received '\)'"),
        ("stand >= 2", "score 0..1, received '2'"),
        ("stand >= -1", "score 0..1"),
        ("stand > nan", "score 0..1"),
        ("'stand", "closing quote"),
        ("runn", "received 'runn'"),
        ("wallk", "did you mean 'walk'"),
        ("99", "received '99'"),
        ("__import__('os').system('true')", "received"),
        ("(" * 60 + "stand" + ")" * 60, "at most 50"),
    ],
)
def test_mistakes(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_expression(text, NAMES, THRESHOLDS)


trees = st.recursive(
    st.sampled_from([(12, "stand"), (14, "walk"), (71, "hug")]),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=8,
)


def write(tree: tuple[Any, ...]) -> str:
    if isinstance(tree[0], int):
        return tree[1]
    if tree[0] == "not":
        return f"not ({write(tree[1])})"
    return f"({write(tree[1])}) {tree[0]} ({write(tree[2])})"


def compute(tree: tuple[Any, ...], on: set[int]) -> bool:
    if isinstance(tree[0], int):
        return tree[0] in on
    if tree[0] == "not":
        return not compute(tree[1], on)
    answers = [compute(one, on) for one in tree[1:]]
    return all(answers) if tree[0] == "and" else any(answers)


@given(trees, st.sets(st.sampled_from([12, 14, 71])))
def test_any_tree_means_what_it_says(tree: tuple[Any, ...], on: set[int]) -> None:
    assert holds(write(tree), dict.fromkeys(on, 0.9)) is compute(tree, on)


@given(st.text(st.sampled_from("stand walkhug()<>=0.5'\"notrd "), max_size=30))
def test_any_text_is_an_expression_or_a_sentence(text: str) -> None:
    try:
        answer: object = holds(text, {12: 0.9})
    except ValueError as error:
        answer = str(error)
    assert answer in (True, False) or "expected" in str(answer)
