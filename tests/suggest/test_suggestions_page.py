"""The page of suggestions, in a real browser: what it shows, and in which order."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from ava_det.structures import Keyframe
from ava_det.suggest import Labeled, Pool, choose_keyframes, write_page
from tests.support.browser import Browser
from tests.support.numbered_video import write_numbered_video

LABEL_MAP = {1: "walk", 3: "<b>wave</b>", 4: "fall down"}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Four keyframes of two videos, of which one video has a name that HTML must not read."""
    videos = {"a": tmp_path / "a.mp4", "b<i>": tmp_path / "b.mp4"}
    for path in videos.values():
        write_numbered_video(path, [Fraction(number, 5) for number in range(20)], rate=5)
    box = torch.tensor([[0.1, 0.2, 0.4, 0.9]])
    keyframes = [
        Keyframe(video, 10.0 + second, box, None, torch.ones(1))
        for video in videos
        for second in (1, 2)
    ]
    scores = torch.tensor([[0.9, 0.0, 0.0], [0.5, 0.4, 0.0], [0.0, 0.0, 0.6], [0.0, 0.7, 0.1]])
    pool = Pool(keyframes, torch.tensor([[1.0], [3.0], [2.0], [9.0]]), scores)
    labeled = Labeled(torch.zeros(1, 1), torch.tensor([50.0, 20.0, 1.0]))
    chosen = choose_keyframes(pool, labeled, 4)
    write_page(tmp_path / "page.html", pool, chosen, labeled, LABEL_MAP, videos, 10.0)
    return tmp_path / "page.html"


@pytest.mark.slow
def test_each_keyframe_has_its_picture_its_boxes_and_why(page: Path) -> None:
    with Browser() as browser:
        browser.open(page.resolve().as_uri())
        browser.wait("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
        text = browser.run("document.body.innerText")
        heads = browser.run("[...document.querySelectorAll('h2')].map((one) => one.innerText)")
        widths = browser.run("[...document.querySelectorAll('.box')].map((one) => one.style.width)")
        orders = []
        for name in ("rarity", "video", "rank"):
            browser.run(f"document.querySelector('[data-order={name}]').click()")
            tiles = "[...document.getElementById('tiles').children]"
            orders.append(browser.run(f"{tiles}.map((one) => one.dataset.{name})"))
        assert browser.errors == []
    assert "4 of 4 keyframes, in 2 videos" in text
    assert "fall down: 1 example" in text
    assert "<b>wave</b> 0.70" in text
    assert heads[0] == "1. b<i> 0012 s"
    assert widths == ["30%"] * 4
    by_rarity, by_video, by_rank = orders
    assert [float(one) for one in by_rarity] == sorted(map(float, by_rarity), reverse=True)
    assert by_video == ["a", "a", "b<i>", "b<i>"]
    assert by_rank == ["1", "2", "3", "4"]
