"""The page in a real browser, from disk: it plays, seeks, filters, and draws as Python does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ava_det.commands.view import main
from ava_det.formats.keyframe_records import ActionRecord, KeyframeRecord, PersonRecord
from ava_det.segments import SegmentRules, find_segments
from ava_det.tracking.linker import Timeline
from ava_det.viewer import VideoFacts, make_content, write_view
from tests.support.browser import Browser
from tests.support.numbered_video import read_number, write_numbered_video
from tests.support.view_cases import EVERY, START, make_detections, write_jsonl, write_video


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    video = write_video(folder / "walk.mp4")
    detections = write_jsonl(folder / "walk.jsonl", make_detections())
    lines = [
        f"walk,{START + EVERY * i},0.1,0.2,0.4,0.8,{1 + i % 2},0\n"
        f"walk,{START + i},0.7,0.3,0.9,0.9,3,1"
        for i in range(4)
    ]
    (folder / "gt.csv").write_text("\n".join(lines) + "\n")
    for name, more in (("walk", []), ("truth", ["--annotations", str(folder / "gt.csv")])):
        output = ["--output", str(folder / f"{name}.html"), *more]
        assert main([str(detections), "--video", str(video), *output]) == 0
    return folder / "walk.html"


@pytest.fixture
def browser(page: Path) -> Iterator[Browser]:
    with Browser() as browser:
        yield browser
        assert browser.errors == []


def open_page(browser: Browser, page: Path, state: str = "") -> None:
    browser.open("about:blank")
    browser.open(page.resolve().as_uri() + state)
    browser.wait("window.viewer && byId('video').readyState >= 2 && !byId('video').seeking")


def shown_frame(browser: Browser) -> int:
    """The number that is drawn into the frame on the screen."""
    browser.wait("!byId('video').seeking && viewer.time === viewer.player.time")
    browser.run("byId('show-boxes').checked = false; viewer.drawBoxes(); 1")
    time.sleep(0.15)  # for the picture to reach the screen
    x, y, width, height = rectangle(browser, "#video")
    picture = browser.screenshot()
    browser.run("byId('show-boxes').checked = true; viewer.drawBoxes(); 1")
    part = picture[int(y) + 4 : int(y + height) - 4, int(x) : int(x + width)]
    return read_number(part[:, : part.shape[1] // 8 * 8])


def assert_shown(browser: Browser, number: int) -> None:
    """A busy machine needs time to bring a frame to the screen."""
    until = time.monotonic() + 10
    while (shown := shown_frame(browser)) != number:
        assert time.monotonic() < until, (shown, number)


def rectangle(browser: Browser, selector: str) -> list[float]:
    found: list[float] = browser.run(
        f"(() => {{ const r = document.querySelector({selector!r}).getBoundingClientRect();"
        "return [r.x, r.y, r.width, r.height]; })()"
    )
    return found


def expected_boxes(seconds: float) -> dict[int, list[float]]:
    found = Timeline(iter(make_detections())).at(START + seconds)
    return dict(zip(found.track_ids.tolist(), found.boxes.tolist(), strict=True))


def test_the_page_opens_from_disk_and_interpolates_as_tracking_does(
    browser: Browser, page: Path
) -> None:
    open_page(browser, page, "#t=2.3")
    assert shown_frame(browser) == 23
    moments = [*np.random.default_rng(0).uniform(-0.4, 7.5, 60).round(4).tolist(), 0, 0.25, 5.5]
    script = f"{moments}.map((t) => viewer.detections.personsAt(t).map((p) => [p.track, ...p.box]))"
    for seconds, persons in zip(moments, browser.run(script), strict=True):
        expected = expected_boxes(seconds)
        assert [track for track, *_ in persons] == list(expected), seconds
        for track, *box in persons:
            assert box == pytest.approx(expected[track], abs=6e-5)


@pytest.mark.slow
def test_it_seeks_by_clicks_and_keys_to_the_right_frame(browser: Browser, page: Path) -> None:
    open_page(browser, page)
    assert shown_frame(browser) == 0
    for key, frame in ((".", 1), (".", 2), (",", 1), ("ArrowRight", 11), ("ArrowLeft", 1)):
        browser.press(key)
        browser.wait(f"Math.abs(viewer.time - {frame / 10}) < 0.01")
        assert shown_frame(browser) == frame, key
    x, y, width, _ = rectangle(browser, "#timeline canvas")
    seconds = 3.7
    duration = browser.run("viewer.content.duration")
    left = browser.run("LABELS")
    browser.click(x + left + (width - left) * (seconds + 0.02) / duration, y + 10)
    browser.wait(f"Math.abs(viewer.time - {seconds}) < 0.01")
    assert shown_frame(browser) == 37
    assert browser.run("location.hash").startswith("#t=3.7")
    row = browser.run("viewer.list.items.findIndex((one) => one.start === 3)")
    browser.run(f"byId('list').children[{row}].firstElementChild.click(); 1")
    browser.wait("viewer.time === 3")
    assert shown_frame(browser) == 30
    browser.press("Home")
    browser.wait("viewer.time === 0")
    browser.press("ArrowDown")
    browser.wait("viewer.time > 0")
    later = min(one for one in browser.run("viewer.list.items.map((o) => o.start)") if one > 0)
    assert shown_frame(browser) == round(later * 10)
    x, y, width, height = rectangle(browser, "#strip button:nth-child(3)")
    browser.click(x + width / 2, y + height / 2)
    browser.wait("Math.abs(viewer.time - viewer.content.thumbnails[2][0]) < 0.1")


MOMENTS = [0, 10, 15, 40, 43, 100, 150, 152, 154, 300]  # of frames, hundredths of a second


def open_varying(browser: Browser, folder: Path, options: dict[str, str]) -> None:
    video = folder / "walk.mp4"
    write_numbered_video(video, [Fraction(moment, 100) for moment in MOMENTS], options=options)
    detections = write_jsonl(folder / "walk.jsonl", make_detections())
    output = folder / "walk.html"
    assert main([str(detections), "--video", str(video), "--output", str(output)]) == 0
    open_page(browser, output)


@pytest.mark.slow
def test_keys_step_from_frame_to_frame_where_the_rate_varies(
    browser: Browser, tmp_path: Path
) -> None:
    open_varying(browser, tmp_path, {"bf": "0"})
    last = len(MOMENTS) - 1
    for key, numbers in ((".", [*range(1, last + 1), last]), (",", [*range(last)][::-1])):
        for number in numbers:
            browser.press(key)
            browser.wait(f"Math.abs(viewer.time - {MOMENTS[number] / 100}) < 0.001")
            assert_shown(browser, number)


@pytest.mark.slow
def test_keys_step_through_files_whose_frames_have_wrong_durations(
    browser: Browser, tmp_path: Path
) -> None:
    open_varying(browser, tmp_path, {})  # with B-frames
    for _ in range(5):  # the fourth, 30 ms long, is not shown
        browser.press(".")
        browser.wait("!byId('video').seeking")
    browser.wait("viewer.time === 1")
    assert_shown(browser, 5)


@pytest.mark.slow
def test_it_plays(browser: Browser, page: Path) -> None:
    open_page(browser, page)
    browser.press(" ")
    browser.wait("viewer.time > 0.5")
    assert browser.run("byId('play').textContent") == "Pause"
    drawn = browser.run("[viewer.time, viewer.boxes.shown.length]")
    assert drawn[1] == len(expected_boxes(drawn[0]))
    browser.press(" ")
    browser.wait("byId('video').paused")
    stopped = browser.run("viewer.player.time")
    assert shown_frame(browser) == round(stopped * 10)


@pytest.mark.slow
def test_boxes_are_within_a_pixel_of_those_of_python(browser: Browser, page: Path) -> None:
    for seconds in (0.0, 1.2, 3.3):
        open_page(browser, page, f"#t={seconds}")
        browser.wait(f"Math.abs(viewer.time - {seconds}) < 0.01")
        x, y, width, height = rectangle(browser, "#boxes")
        persons = browser.run("viewer.boxes.shown")
        expected = expected_boxes(seconds)
        assert [one["name"] for one in persons] == [f"#{track}" for track in expected]
        scale = np.array([width, height] * 2)
        for one, box in zip(persons, expected.values(), strict=True):
            assert np.abs(np.array(one["box"]) - np.array(box) * scale).max() < 1
        # and on the screen: the line of person 1, 2 pixels of its color
        browser.run("byId('video').style.visibility = 'hidden'; 1")
        time.sleep(0.2)
        picture = browser.screenshot().astype(int)
        color = np.array([86, 180, 233])
        middle = int(y + (expected[1][3] - 0.1) * height)
        line = np.abs(picture[middle, int(x) : int(x + width)] - color).max(axis=1) < 12
        columns = np.flatnonzero(line) + 0.5 - x % 1  # middles of pixels, from the canvas' corner
        left, right = (expected[1][corner] * width for corner in (0, 2))
        for edge in (left, right):
            seen = columns[np.abs(columns - edge) < 6]
            assert abs(seen.mean() - edge) < 1


@pytest.mark.slow
def test_filters_search_and_the_address(browser: Browser, page: Path) -> None:
    open_page(browser, page)
    total = browser.run("viewer.list.items.length")
    assert (
        total
        == browser.run("viewer.timeline.items.length")
        == len(browser.run("viewer.content.segments"))
    )
    browser.run("byId('classes').querySelector('input[value=\"1\"]').click(); 1")
    assert "walk" not in browser.run("viewer.list.items.map((one) => one.title)")
    assert browser.run("viewer.list.items.length") < total
    assert not browser.run("viewer.persons(0).some((p) => p.actions.some((a) => a.id === 1))")
    assert browser.run("location.hash") == "#hide=1"
    browser.run("byId('all').click(); 1")
    script = (
        "byId('threshold').value = 0.75; byId('threshold').dispatchEvent(new Event('input')); 1"
    )
    browser.run(script)
    assert set(browser.run("viewer.list.items.map((one) => one.title)")) == {
        "walk",
        "sit </script>",
    }
    browser.press("/")
    assert browser.run("document.activeElement.id") == "search"
    browser.call("Input.insertText", text="#2")
    assert set(browser.run("viewer.list.items.map((one) => one.name)")) == {"#2"}
    state = browser.run("location.hash")
    open_page(browser, page, state)
    assert browser.run("[byId('search').value, byId('threshold').value]") == ["#2", "0.75"]
    assert set(browser.run("viewer.list.items.map((one) => one.name)")) == {"#2"}


@pytest.mark.slow
def test_ground_truth_is_listed_by_what_became_of_it(browser: Browser, page: Path) -> None:
    open_page(browser, page.with_name("truth.html"))
    browser.run("byId('kind').value = 'missed'; byId('kind').dispatchEvent(new Event('change')); 1")
    counts = browser.run("viewer.content.truth.counts")
    assert browser.run("viewer.list.items.every((one) => one.note === 'missed')")
    assert 0 < browser.run("viewer.list.items.length") <= counts["missed"]
    assert browser.run("viewer.timeline.rows.some((row) => row.isTruth)")
    browser.run("byId('truth').click(); 1")
    assert not browser.run("viewer.timeline.rows.some((row) => row.isTruth)")


@pytest.mark.slow
def test_a_moved_video_is_asked_for(browser: Browser, page: Path, tmp_path: Path) -> None:
    moved = tmp_path / "walk.html"
    moved.write_bytes(page.read_bytes())
    browser.open(moved.resolve().as_uri() + "#t=2")
    browser.wait("window.viewer && !byId('notice').hidden")
    assert "walk.mp4 is not where it was" in browser.run("byId('notice-text').textContent")
    assert len(browser.run("viewer.boxes.shown")) == len(expected_boxes(2.0))
    browser.press(" ")  # a clock takes the place of the video
    browser.wait("viewer.time > 2.3")
    browser.press(" ")
    node = browser.call("DOM.getDocument")["root"]["nodeId"]
    picker = browser.call("DOM.querySelector", nodeId=node, selector="#file")["nodeId"]
    file = str(page.with_name("walk.mp4"))
    browser.call("DOM.setFileInputFiles", nodeId=picker, files=[file])
    browser.wait("byId('notice').hidden && byId('video').readyState >= 2")
    browser.run("viewer.seek(4.2); 1")
    browser.wait("Math.abs(viewer.time - 4.2) < 0.01")
    assert shown_frame(browser) == 42


@pytest.mark.slow
def test_a_keyboard_reaches_everything_and_a_reader_hears_who_does_what(
    browser: Browser, page: Path
) -> None:
    open_page(browser, page, "#t=2")
    browser.wait("viewer.time === 2")
    heard = browser.run("byId('timeline').getAttribute('aria-valuetext')")
    assert heard.startswith("0:02. #1: walk 0.90")
    reached = set()
    for _ in range(60):
        browser.press("Tab")
        reached.add(
            browser.run("document.activeElement.id || document.activeElement.parentElement.id")
        )
    assert {"play", "back", "forward", "timeline", "threshold", "search", "strip"} <= reached
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "checkbox", "searchbox", "combobox"}
    nameless = [
        node
        for node in tree
        if node.get("role", {}).get("value") in roles and not node.get("name", {}).get("value")
    ]
    assert not nameless
    for size in ((390, 844), (1440, 900)):
        browser.resize(*size)
        time.sleep(0.3)
        assert browser.run("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.slow
@pytest.mark.parametrize(("hours", "most"), [(1, 1.0), (10, 3.0)])
def test_long_videos_open_quickly(tmp_path: Path, hours: int, most: float) -> None:
    """Three persons at 1 Hz. The time is from the page's start until it can be used."""
    count = 3600 * hours
    records = make_long_records(count)
    segments = find_segments(records, SegmentRules(dict.fromkeys(range(1, 9), 0.5), {}))
    video = VideoFacts("nowhere.mp4", "nowhere.mp4", 640, 360, float(count), 25.0, 0.0)
    path = tmp_path / "long.html"
    write_view(path, "long", make_content(records, segments, video))
    with Browser() as browser:
        times = []
        for _ in range(3):  # another test may have the processor
            browser.open("about:blank")
            browser.open(path)
            script = "performance.getEntriesByName('ready')[0]?.startTime"
            times.append(browser.wait(script) / 1000)
        print(f"{hours} h: {path.stat().st_size / 1e6:.1f} MB, {sorted(times)} s")
        assert min(times) < most
        assert browser.run("viewer.detections.times.length") == count
        browser.run(f"viewer.seek({count} - 10); 1")  # of the rows those of this time are seen
        row = "viewer.timeline.rows.find((one) => one.name === viewer.persons(viewer.time)[0].name)"
        browser.wait("byId('timeline').scrollTop > 0")
        place = browser.run(f"{row}.top - byId('timeline').scrollTop")
        assert browser.run("RULER") <= place < browser.run("byId('timeline').clientHeight - LANE")
        began = time.monotonic()
        browser.run("for (let i = 0; i < 20; i++) viewer.timeline.zoom(i % 2 ? 0.1 : 10); 1")
        assert time.monotonic() - began < 5
        assert browser.errors == []


def make_long_records(count: int) -> list[KeyframeRecord]:
    """Persons who stay for about five minutes each, three at a time."""
    random = np.random.default_rng(0)
    corners = random.uniform(0, 0.5, (count, 3, 2)).round(4).tolist()
    scores = random.uniform(0.2, 1, (count, 3, 2)).round(4).tolist()
    records = []
    for second in range(count):
        persons = []
        for place, (x, y) in enumerate(corners[second]):
            actions = tuple(
                ActionRecord(1 + (second // 20 + place + i) % 8, f"action {i}", score)
                for i, score in enumerate(scores[second][place])
            )
            track = 3 * (second // 300) + place + 1
            persons.append(PersonRecord(track, (x, y, x + 0.3, y + 0.4), 0.9, actions))
        time_ = float(second)
        records.append(KeyframeRecord("long", time_, time_, 640, 360, tuple(persons)))
    return records
