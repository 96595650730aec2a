"""The page of a review in a real browser: keys decide, the CSV follows, two windows agree."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'ava_det[web]'")
pytest.importorskip("starlette", reason="needs starlette: pip install 'ava_det[web]'")

from ava_det.formats.annotations import load_annotations
from tests.support.browser import Browser
from tests.support.review_cases import read_journal, write_inputs
from tests.support.review_server import ReviewServer

pytestmark = pytest.mark.slow

VERDICTS = "reviewer.segments.map((one) => one.verdict)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_inputs(tmp_path, ("walk", "other"))


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser(1440, 900) as browser:
        yield browser
        assert browser.errors == []


def open_page(browser: Browser, url: str, place: str = "/videos/walk") -> None:
    browser.open("about:blank")
    browser.open(url + place)
    browser.wait("window.reviewer && reviewer.isReady && byId('video').readyState >= 2")


def press(browser: Browser, *keys: str) -> None:
    for key in keys:
        browser.press(key)
    browser.run("reviewer.steps.queue")


def test_keys_decide_undo_and_go_on_after_a_restart(browser: Browser, folder: Path) -> None:
    output = folder / "reviewed.csv"
    with ReviewServer(folder, ("walk", "other")) as server:
        port = server.port
        open_page(browser, server.url)
        assert browser.run("reviewer.place") == 0
        press(browser, "a", "r", "5")  # one after the other, without waiting
        assert browser.run(VERDICTS)[:4] == ["accepted", "rejected", "changed", "undecided"]
        assert browser.run("reviewer.place") == 3
        assert browser.run("byId('what').textContent") == "sit </script>"
        decided = [one["action_id"] for one in read_journal(output)]
        assert decided == [1, 0, 7]
        ids = load_annotations(output).action_ids.tolist()
        assert (ids.count(1), ids.count(7)) == (4, 3)
        press(browser, "u")
        assert browser.run("reviewer.place") == 2
        press(browser, "y", "n", "c")
        browser.wait("reviewer.picker.isOpen")
        browser.call("Input.insertText", text="ru")
        browser.press("Enter")
        browser.wait("reviewer.segments[3].title === 'sit </script> → run'")
        assert not browser.run("reviewer.picker.isOpen")
        press(browser, "a")
        assert browser.run("byId('progress').textContent") == (
            "5 of 13 decided · 5 of 26 in all videos"
        )
        browser.run("byId('kind').value = 'undecided'; reviewer.showLists(); 1")
        assert browser.run("reviewer.list.items.length") == 8
    before = output.read_bytes()
    press(browser, "a")
    assert "nothing was saved" in browser.run("byId('trouble').textContent")
    with ReviewServer(folder, ("walk", "other"), port):
        press(browser, "u")  # the page goes on where it was, and so does undo
        browser.wait("byId('trouble').textContent === ''")
        assert browser.run(VERDICTS)[3:5] == ["changed", "undecided"]
        assert output.read_bytes() != before
        press(browser, "y")
        assert output.read_bytes() == before


def test_it_plays_around_the_segment_again_and_again(browser: Browser, folder: Path) -> None:
    with ReviewServer(folder) as server:
        open_page(browser, server.url, "/videos/walk#segment=4")  # from 2 to 3 s
        browser.wait("Math.abs(reviewer.time - 2) < 0.01")
        assert [one["name"] for one in browser.run("reviewer.boxes.shown")] == ["#1", "#2"]
        browser.run("window.seen = []; setInterval(() => seen.push(reviewer.time), 20); 1")
        browser.run("byId('speed').value = 4; byId('video').playbackRate = 4; 1")
        browser.press(" ")
        browser.wait("seen.some((time, i) => i && seen[i - 1] > 3.5 && time < 2)")
        browser.press(" ")
        browser.wait("byId('video').paused")
        assert max(browser.run("seen")) < 4.7  # at four times the speed frames come late


def test_a_stale_window_is_told_and_shown_what_was_decided(browser: Browser, folder: Path) -> None:
    with ReviewServer(folder) as server, Browser(1440, 900) as other:
        for window in (browser, other):
            open_page(window, server.url)
        press(browser, "r")
        before = (folder / "reviewed.csv").read_bytes()
        press(other, "a", "a")
        assert "in another window" in other.run("byId('trouble').textContent")
        assert other.run(VERDICTS)[:2] == ["rejected", "undecided"]
        assert (folder / "reviewed.csv").read_bytes() == before
        press(other, "n", "a")
        assert other.run("byId('trouble').textContent") == ""
        assert other.run(VERDICTS)[:2] == ["rejected", "accepted"]
        assert other.errors == []


def test_undo_goes_to_the_video_it_was_decided_in(browser: Browser, folder: Path) -> None:
    with ReviewServer(folder, ("walk", "other")) as server:
        open_page(browser, server.url)
        press(browser, *"a" * 13)
        assert "All segments" in browser.run("byId('all-done').textContent")
        browser.run("byId('all-done').querySelector('a').click(); 1")
        browser.wait("location.pathname === '/videos/other' && window.reviewer?.isReady")
        browser.press("u")
        browser.wait("location.pathname === '/videos/walk' && window.reviewer?.isReady")
        assert browser.run("location.hash") == "#segment=13"
        assert browser.run(VERDICTS)[12] == "undecided"


def test_everything_has_a_name_and_fits(browser: Browser, folder: Path) -> None:
    with ReviewServer(folder) as server:
        open_page(browser, server.url)
        tree = browser.call("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "slider", "searchbox", "combobox", "progressbar"}
        named = [node for node in tree if node.get("role", {}).get("value") in roles]
        assert len(named) > 15
        assert all(node["name"]["value"] for node in named)
        for size in ((390, 844), (1440, 900)):
            browser.resize(*size)
            time.sleep(0.3)
            assert browser.run("document.documentElement.scrollWidth") <= size[0]
