"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from ava_det.messages.counts import format_count


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [
        (0, "video", "0 videos"),
        (1, "video", "1 video"),
        (2, "labeled box", "2 labeled boxes"),
        (1, "labeled box", "1 labeled box"),
        (12345, "keyframe", "12,345 keyframes"),
    ],
)
def test_a_noun_goes_with_its_number(number: int, noun: str, expected: str) -> None:
    assert format_count(number, noun) == expected
