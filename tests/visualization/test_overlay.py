"""What is drawn, where it stands, and what it never covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_det.formats.action_names import shorten_names
from ava_det.structures import Detections, Keyframe
from ava_det.video.planes import BT601, BT709, planes_to_rgb, rgb_to_planes
from ava_det.visualization import Overlay, Surface, overlay
from ava_det.visualization.panel import (
    GROUP_COLORS,
    OTHER_COLOR,
    PERSON_COLORS,
    Panel,
    Row,
    compute_text_size,
    group_color,
    render_panel,
)

NAMES = {
    12: "stand",
    14: "walk",
    17: "carry/hold (an object)",
    59: "touch (an object)",
    80: "watch (a person)",
}
SIZES = [(240, 426), (360, 640), (2160, 3840), (1920, 1080)]


def make_detections(
    boxes: Sequence[Sequence[float]],
    scores: dict[int, float] | None = None,
    track_ids: list[int] | None = None,
) -> Detections:
    """The same `scores` (action id -> score) for everybody."""
    coordinates = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    action_scores = torch.zeros(len(boxes), 80)
    for action_id, score in (scores or {}).items():
        action_scores[:, action_id - 1] = score
    person_scores = torch.linspace(0.9, 0.5, len(boxes))
    ids = None if track_ids is None else torch.tensor(track_ids)
    return Detections(
        coordinates,
        action_scores,
        person_scores,
        ids,
        Keyframe("v", 0.0, coordinates, None, person_scores),
    )


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """xyxy pixels of every panel drawn from now on."""
    places: list[np.ndarray] = []
    real = Surface.blend

    def blend(surface: Surface, panel: Panel, corner: tuple[int, int]) -> None:
        places.append(np.array([*corner, corner[0] + panel.size[0], corner[1] + panel.size[1]]))
        real(surface, panel, corner)

    monkeypatch.setattr(Surface, "blend", blend)
    return places


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, float]]]:
    """(name, score) rows of every panel rendered from now on."""
    rows: list[list[tuple[str, float]]] = []
    real = render_panel

    def render(header: tuple[str, str], shown: tuple[Row, ...], *rest: object) -> Panel:
        rows.append([(row.name, round(row.score, 3)) for row in shown])
        return real(header, shown, *rest)

    monkeypatch.setattr(overlay, "render_panel", render)
    return rows


def shared_area(first: np.ndarray, second: np.ndarray) -> float:
    size = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    return float(np.prod(size.clip(min=0)))


def test_the_frame_itself_is_left_alone() -> None:
    frame = np.full((120, 160, 3), 90, np.uint8)
    drawn = Overlay(NAMES).draw(frame, make_detections([[0.1, 0.1, 0.4, 0.9]], {12: 0.9}))
    assert drawn.shape == frame.shape
    assert drawn.dtype == np.uint8
    assert (frame == 90).all()
    assert (drawn != 90).any()


@pytest.mark.parametrize(("height", "width"), [(360, 640), (241, 427), (1280, 720)])
@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_planes_show_what_a_picture_shows(height: int, width: int, matrix: str) -> None:
    """Drawing on the planes, and drawing on RGB: the same but for colors that are half as sharp."""
    boxes = [[0.1, 0.2, 0.35, 0.9], [0.3, 0.25, 0.6, 0.95], [0.8, 0.4, 1.0, 1.0]]
    found = make_detections(boxes, {12: 0.9, 17: 0.7, 80: 0.55}, [3, 4, 9])
    frame = np.full((height, width, 3), (90, 120, 100), np.uint8)
    expected = Overlay(NAMES).draw(frame, found)
    planes = rgb_to_planes(frame, matrix)
    Overlay(NAMES).draw_on(Surface.of_planes(planes, width, height, matrix), found)
    drawn = planes_to_rgb(planes, matrix)[:height, :width]
    difference = np.abs(drawn.astype(int) - expected).max(axis=2)
    touched = (expected != frame).any(axis=2)
    assert touched.mean() > 0.05
    assert (difference > 24).sum() < 0.2 * touched.sum()  # colored edges
    assert difference[touched].mean() < 20
    untouched = ~cv2.dilate(touched.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert difference[untouched].max() <= 4


def test_nobody_leaves_the_picture_as_it_was() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    assert np.array_equal(Overlay(NAMES).draw(frame, make_detections([])), frame)


def test_the_box_is_drawn_on_its_edge_in_the_color_of_the_person() -> None:
    frame = np.zeros((400, 600, 3), np.uint8)
    drawn = Overlay(NAMES).draw(frame, make_detections([[0.5, 0.25, 0.75, 0.75]], track_ids=[3]))
    # crosses the left edge at x = 300 and the right one at x = 450
    column = drawn[200, 290:460].astype(int)
    near = np.flatnonzero(np.abs(column - PERSON_COLORS[2]).max(axis=1) < 60) + 290
    assert np.abs(near[near < 375] - 300).max() <= 2
    assert np.abs(near[near > 375] - 449).max() <= 2


def test_a_tiny_box_is_a_thin_outline() -> None:
    """A person of 13 x 22 pixels stays visible within his box."""
    frame = np.full((360, 640, 3), 128, np.uint8)
    surface = Surface.of_rgb(frame)
    surface.draw_box(np.array([100.0, 100.0, 113.0, 122.0]), (255, 0, 0), 11)
    assert (frame[104:118, 105:109] == 128).all()  # his middle is free
    assert (frame[100:121, 99:102] != 128).any(axis=2).all()


def test_a_person_keeps_the_color_of_the_track_id() -> None:
    frame = np.zeros((400, 600, 3), np.uint8)
    one = Overlay(NAMES).draw(frame, make_detections([[0.5, 0.25, 0.75, 0.75]], track_ids=[2]))
    two = [[0.05, 0.2, 0.2, 0.9], [0.5, 0.25, 0.75, 0.75]]
    both = Overlay(NAMES).draw(frame, make_detections(two, track_ids=[7, 2]))
    assert np.array_equal(one[280, 440:455], both[280, 440:455])


def test_rows_are_sorted_named_and_cut(written: list[list[tuple[str, float]]]) -> None:
    # 3 has no name, 80 is under the threshold
    scores = {14: 0.6, 12: 0.9, 17: 0.7, 80: 0.4, 3: 0.95, 59: 0.55}
    Overlay(NAMES, threshold=0.5, topk=3).draw(
        np.zeros((480, 640, 3), np.uint8), make_detections([[0.1, 0.1, 0.3, 0.9]], scores)
    )
    assert written[0] == [("stand", 0.9), ("carry/hold", 0.7), ("walk", 0.6)]


def test_rows_change_with_the_scores_and_not_with_the_boxes(
    written: list[list[tuple[str, float]]],
) -> None:
    drawing = Overlay(NAMES)
    frame = np.zeros((480, 640, 3), np.uint8)
    first = make_detections([[0.1, 0.1, 0.3, 0.9]], {12: 0.9}, [4])
    moved = replace(first, boxes=first.boxes + 0.05)
    other = make_detections([[0.1, 0.1, 0.3, 0.9]], {14: 0.7}, [4])
    for found in (first, moved, other, first):
        drawing.draw(frame, found)
    assert written == [[("stand", 0.9)], [("stand", 0.9)], [("walk", 0.7)], [("stand", 0.9)]]


def test_brackets_stay_where_names_would_be_confused() -> None:
    names = {
        1: "push (an object)",
        2: "push (a person)",
        3: "read",
        4: "(odd)",
        5: "touch (an object)",
    }
    assert shorten_names(names) == {
        1: "push (an object)",
        2: "push (a person)",
        3: "read",
        4: "(odd)",
        5: "touch",
    }


def test_groups_follow_avas_label_types() -> None:
    colors = [color for _, _, color in GROUP_COLORS]
    ids = {1: 0, 14: 0, 15: 1, 63: 1, 64: 2, 80: 2}
    assert all(group_color(action_id) == colors[group] for action_id, group in ids.items())
    assert group_color(81) == OTHER_COLOR


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_panels_stand_clear_of_heads_bodies_and_each_other(
    height: int, width: int, panels: list[np.ndarray]
) -> None:
    boxes = [[0.05, 0.3, 0.17, 0.95], [0.4, 0.32, 0.52, 0.9], [0.78, 0.3, 0.9, 0.97]]
    Overlay(NAMES).draw(
        np.zeros((height, width, 3), np.uint8), make_detections(boxes, {12: 0.9, 17: 0.7})
    )
    assert len(panels) == 3
    pixels = np.array(boxes) * [width, height, width, height]
    wide, tall = (pixels[:, 2:] - pixels[:, :2]).T
    x1, y1, x2, _ = pixels.T
    heads = np.stack((x1 + 0.15 * wide, y1, x2 - 0.15 * wide, y1 + 0.25 * tall), axis=1)
    for index, place in enumerate(panels):
        assert (place[:2] >= 0).all()
        assert (place[2:] <= [width, height]).all()
        assert all(shared_area(place, head) == 0 for head in heads)
        assert all(shared_area(place, other) == 0 for other in panels[:index])


def test_a_crowd_gets_smaller_panels_rather_than_panels_on_panels(panels: list[np.ndarray]) -> None:
    boxes = [[0.02 + 0.097 * i, 0.3, 0.09 + 0.097 * i, 0.8] for i in range(10)]
    scores = {12: 0.9, 17: 0.8, 59: 0.7, 80: 0.6, 14: 0.55}
    Overlay(NAMES).draw(np.zeros((720, 1280, 3), np.uint8), make_detections(boxes, scores))
    assert len(panels) == 10
    assert sum(shared_area(a, b) for i, a in enumerate(panels) for b in panels[:i]) == 0


def test_a_panel_does_not_hop_while_its_person_moves(panels: list[np.ndarray]) -> None:
    drawing = Overlay(NAMES)
    for step in range(60):
        x = 0.30 + 0.005 * step
        boxes = [[x, 0.2, x + 0.12, 0.9], [0.75, 0.25, 0.88, 0.9]]
        drawing.draw(np.zeros((360, 640, 3), np.uint8), make_detections(boxes, {12: 0.9}, [1, 2]))
    first = np.array(panels[::2])
    hops = np.abs(np.diff(first[:, 0])) > 20
    assert hops.sum() <= 1  # at most once, where the other person is reached


def test_text_grows_with_the_resolution_and_stays_readable() -> None:
    assert [compute_text_size(width, height) for height, width in SIZES] == [11, 11, 56, 28]


@settings(max_examples=60, deadline=None)
@given(
    corners=st.lists(st.lists(st.floats(-0.5, 1.5, width=32), min_size=4, max_size=4), max_size=6),
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    score=st.floats(0, 1),
)
def test_any_boxes_on_any_frame(
    corners: list[list[float]], height: int, width: int, score: float
) -> None:
    frame = np.zeros((height, width, 3), np.uint8)
    drawn = Overlay(NAMES).draw(frame, make_detections(corners, {12: score, 80: 1 - score}))
    assert drawn.shape == frame.shape
