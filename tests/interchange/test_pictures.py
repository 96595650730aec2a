"""What names of pictures say: the frame's number, and of which video it may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_det.interchange.pictures import split_picture_name, video_of_name

FILE = Path("exports/walk.json")


@pytest.mark.parametrize(
    ("name", "videos", "number"),
    [
        ("frame_000060.PNG", ("frame", "walk"), 60),
        ("frame_000060", ("frame", "walk"), 60),
        ("cam.front_000060", ("cam.front", "walk"), 60),
        ("1_000031.jpg", ("1", "walk"), 31),
        ("images/run-7.jpeg", ("run", "images", "walk"), 7),
        ("a\\run.mp4\\000060.jpg", ("run", "a", "walk"), 60),
        ("/data/./run/img00001.png", ("img", "run", "data", "walk"), 1),
        ("walk0009.jpg", ("walk",), 9),
        ("cover.jpg", ("walk",), None),
        ("", ("walk",), None),
    ],
)
def test_names_of_pictures(name: str, videos: tuple[str, ...], number: int | None) -> None:
    assert split_picture_name(name, FILE) == (videos, number)


@given(
    video=st.text("ab1. ", max_size=8).map(lambda text: f"v{text}v"),
    number=st.integers(0, 999_999),
    form=st.sampled_from(["{}_{:06d}.jpg", "{}/{:06d}.png", "{}/frame_{:d}.PNG", "x/{}-{:04d}"]),
)
def test_every_usual_form_names_the_video_and_the_frame(video: str, number: int, form: str) -> None:
    candidates, found = split_picture_name(form.format(video, number), FILE)
    assert found == number
    assert video_of_name(video) in candidates
