"""Pages hold what they are given, and text from data can neither break out nor be lost."""

from __future__ import annotations

import json
import re

import pytest
from jinja2 import UndefinedError

from ava_det.pages import encode_jpeg, read_page_file, render_page
from ava_det.pages import render as module

EVIL = "</script><script>alert('&')</script>"


def test_text_is_escaped_and_json_cannot_end_its_script() -> None:
    template = '<p title="{{ text }}">{{ text }}</p><script>{{ value | to_json | safe }}</script>'
    page = module._environment().from_string(template).render(text=EVIL, value={"a": EVIL})
    assert page.count("</script>") == 1
    assert "<script>alert" not in page
    inside = re.search(r"<script>(.*)</script>", page)
    assert inside is not None
    assert json.loads(inside[1]) == {"a": EVIL}


def test_a_missing_value_is_an_error_and_no_gap() -> None:
    with pytest.raises(UndefinedError, match="title"):
        render_page("base.html")


def test_styles_and_scripts_are_put_in_as_they_are() -> None:
    page = render_page("base.html", title="a & b", scripts=("page_data.js", "theme.js"))
    assert read_page_file("look.css") in page
    assert 0 < page.find(read_page_file("page_data.js")) < page.find(read_page_file("theme.js"))
    assert "<title>a &amp; b</title>" in page


def test_a_picture_becomes_a_jpeg() -> None:
    import base64

    import cv2
    import numpy as np

    picture = np.full((20, 30, 3), (200, 40, 90), np.uint8)
    head, _, data = encode_jpeg(picture).partition(",")
    assert head == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (20, 30, 3)
    assert np.abs(decoded[..., ::-1].astype(int) - picture).max() < 8
