from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_det.data.clip_reader import ClipReader
from ava_det.data.labeled_videos import (
    LabeledVideoDataset,
    build_keyframes,
    compute_moment,
    find_labeled_videos,
    number_classes,
)
from ava_det.data.transforms import Augmentation


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    for name in ("walk/b.mp4", "walk/a.MP4", "run/c.webm", "run/notes.txt", ".hidden/d.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [(path.name, label) for path, label in find_labeled_videos(tmp_path, None)]
    assert found == [("c.webm", "run"), ("a.MP4", "walk"), ("b.mp4", "walk")]


@pytest.mark.parametrize(
    "text", ["a.mp4,3\nsub/b c.mp4,0\n", "a.mp4 3\n\nsub/b c.mp4 0\n", '"a.mp4",3\nsub/b c.mp4, 0']
)
def test_a_list_with_commas_or_spaces(tmp_path: Path, text: str) -> None:
    source = tmp_path / "train.csv"
    source.write_text(text)
    expected = [("a.mp4", "3"), ("sub/b c.mp4", "0")]
    assert find_labeled_videos(source, "videos") == [
        (Path("videos") / name, label) for name, label in expected
    ]
    assert find_labeled_videos(source, None)[0][0] == tmp_path / "a.mp4"


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty"), ("a.mp4\n", "line 1"), ("a.mp4,1\nb.mp4,\n", "line 2")]
)
def test_a_wrong_list_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        find_labeled_videos(tmp_path / "train.csv", None)
    with pytest.raises(ValueError, match="folder with videos for each class"):
        find_labeled_videos(tmp_path, None)
    with pytest.raises(ValueError, match="expected a list"):
        find_labeled_videos(tmp_path / "absent", None)


def test_classes_are_numbers_or_names() -> None:
    assert number_classes(["2", "0"], "list") == {1: "0", 2: "1", 3: "2"}
    names = number_classes(["walk", "run", "walk"], "list")
    assert names == {1: "run", 2: "walk"}
    assert number_classes(["run"], "list", names) == names
    assert number_classes(["1"], "list", names) == names
    with pytest.raises(ValueError, match=r"list: .* 'fly'"):
        number_classes(["fly"], "list", names)
    keyframes = build_keyframes([(Path("a.mp4"), "walk"), (Path("b.mp4"), "0")], names, 4, 3)
    assert [k.timestamp for k in keyframes] == [0, 0.5, 1] * 2
    assert [int(k.labels.argmax()) for k in keyframes if k.labels is not None] == [1, 1, 1, 0, 0, 0]


@given(st.floats(0, 1), st.floats(0.1, 100), st.floats(0.1, 10))
def test_a_clip_lies_within_its_video_or_in_its_middle(
    place: float, length: float, span: float
) -> None:
    moment = compute_moment(place, 5.0, 5.0 + length, span)
    if length <= span:
        assert moment == pytest.approx(5 + length / 2)
    else:
        assert moment - span / 2 >= 5 - 1e-9
        assert moment + span / 2 <= 5 + length + 1e-9


def test_the_place_is_drawn_anew_each_epoch_and_is_the_same_for_a_seed(synthetic: Path) -> None:
    video = sorted((synthetic / "videos").glob("*.mp4"))[0]
    reader = ClipReader(2, 8, 30, np.arange(2), None)
    keyframes = build_keyframes([(video, "walk")], {1: "walk"}, 1, 1)

    def read(epoch: int, random_place: bool) -> torch.Tensor:
        dataset = LabeledVideoDataset(
            keyframes, reader, lambda _: Augmentation(32), 0, random_place
        )
        return dataset.read(0, epoch).frames

    assert torch.equal(read(1, True), read(1, True))
    assert not torch.equal(read(1, True), read(2, True))
    assert torch.equal(read(1, False), read(2, False))
