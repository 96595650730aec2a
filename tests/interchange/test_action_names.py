"""Names of actions: numbers keep their ids, and what nobody may have meant is said with its
line.
"""

from __future__ import annotations

import pytest

from ava_det.interchange.action_names import (
    describe_new_names,
    describe_ticked_by_default,
    list_actions,
)
from ava_det.interchange.labeled import LabeledBox, number_actions

BOX = (0.1, 0.1, 0.5, 0.9)


def boxes(*names: str) -> list[LabeledBox]:
    return [
        LabeledBox("v", float(i), BOX, (name,), 0, f"t.csv, line {i}")
        for i, name in enumerate(names, 2)
    ]


def warn(*names: str) -> list[str]:
    used = [(name, box.where) for box in boxes(*names) for name in box.actions]
    return describe_new_names(used, number_actions(boxes(*names), [], None))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["10", "2", "1"], {1: "1", 2: "2", 10: "10"}),
        (["80", "12"], {12: "12", 80: "80"}),
        (["2.0", "10.0"], {2: "2.0", 10: "10.0"}),
        (["0", "10", "2"], {1: "0", 2: "2", 3: "10"}),
        (["10", "walk", "2"], {1: "2", 2: "10", 3: "walk"}),
        (["walk", "Run"], {1: "Run", 2: "walk"}),
    ],
)
def test_numbers_are_no_words(names: list[str], expected: dict[int, str]) -> None:
    assert number_actions(boxes(*names), [], None) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["walk", "talk", "listen (e.g., to music)", "text on/look at a cellphone"], []),
        (["walk,talk"], ["t.csv, line 2: 'walk,talk' became one action: write a row for each"]),
        (["walk", "sit; talk"], ["t.csv, line 3: 'sit; talk' became one action"]),
        (["none", "NaN"], ["line 2: 'none' became an action: leave", "line 3: 'NaN' became"]),
        (["Walk", "walk"], ["line 3: 'walk' and 'Walk' became two actions: write them alike"]),
        (["hand wave", "hand_wave"], ["'hand_wave' and 'hand wave' became two actions"]),
        (["1", "2", "10"], []),
        (["0", "1"], ["the action '0' has the id 1: ids count from 1"]),
    ],
)
def test_what_nobody_may_have_meant_is_said(names: list[str], expected: list[str]) -> None:
    said = warn(*names)
    assert len(said) == len(expected)
    for sentence, words in zip(said, expected, strict=True):
        assert words in sentence


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Walk", "; did you mean 'walk'?"),
        ("walk,talk", "; write a row for each action"),
        ("nan", "; leave the cell empty for a person without an action"),
        ("2", "; the name of 2 is 'talk'"),
        ("9", ""),
    ],
)
def test_a_given_map_knows_its_names(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match="line 2: expected an action of the label map") as refused:
        number_actions(boxes(name), [], {1: "walk", 2: "talk"})
    assert str(refused.value).endswith(f"found {name!r}{hint}")


def test_actions_are_counted() -> None:
    used = [("a", "x"), ("b", "x"), ("a", "x")]
    assert list_actions(used, {1: "a", 2: "b", 3: "c"}) == "1 a (2), 2 b (1), 3 c (0)"
    many = {i: f"n{i}" for i in range(1, 31)}
    assert list_actions([], many).endswith("20 n20 (0) and 10 more")


def test_what_a_tool_ticks_by_itself_is_doubted() -> None:
    def doubt(*actions: set[str]) -> str:
        return describe_ticked_by_default("walk.json", actions, ["stand"], ["stand", "sit"])

    found = doubt(*[{"stand"}] * 9, {"sit"}, set())
    assert found.startswith("walk.json: 9 of 10 boxes say only 'stand', which the tool")
    assert not doubt(*[{"stand"}] * 8, {"sit"}, {"stand", "sit"})
    assert not doubt(*[{"stand"}] * 9, set())
    assert not describe_ticked_by_default("walk.json", [{"stand"}] * 20, ["stand"], ["stand"])
