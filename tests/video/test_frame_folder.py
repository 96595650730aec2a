"""Folders of pictures, read as PySlowFast reads them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ava_det.data.clip_reader import ClipReader
from ava_det.data.dataset import ClipDataset
from ava_det.data.transforms import Augmentation
from ava_det.structures import Keyframe
from ava_det.video.folder import FrameFolder, open_video
from ava_det.video.pictures import resize_short_side
from ava_det.video.reader import VideoError
from ava_det.video.sources import find_videos
from tests.support.numbered_video import read_number, write_pictures

COUNT = 200


def pyslowfast_numbers(second: float, count: int) -> list[int]:
    """The JPEG numbers of a 32x2 clip: around number 30 * (second - 900) + 1, kept inside the
    movie.
    """
    center = int((second - 900) * 30)
    return [min(max(index, 0), count - 1) + 1 for index in range(center - 32, center + 32, 2)]


@pytest.mark.parametrize("grid", ["seconds", "pyslowfast"])
@pytest.mark.parametrize("second", [900, 901, 902, 903, 905, 906])
def test_a_clip_is_what_pyslowfast_reads(tmp_path: Path, grid: str, second: int) -> None:
    folder = write_pictures(tmp_path / "frames" / "movie", COUNT)
    numbers = pyslowfast_numbers(second, COUNT)
    expected = []
    for number in numbers:
        picture = cv2.imread(str(folder / f"movie_{number:06d}.jpg"))
        assert picture is not None
        expected.append(cv2.resize(picture, (42, 32), interpolation=cv2.INTER_LINEAR)[:, :, ::-1])
    clips = ClipReader(32, 2, 30.0, None, np.arange(32), grid, 900.0)
    keyframe = Keyframe("movie", float(second), torch.rand(1, 4), None, torch.ones(1))
    dataset = ClipDataset(
        [keyframe], find_videos(tmp_path / "frames"), 900.0, clips, lambda _: Augmentation(32), 0
    )
    np.testing.assert_array_equal(dataset.read(0, 0).frames.numpy(), np.stack(expected))


def test_one_pass_decodes_every_picture_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []
    original = FrameFolder._load
    monkeypatch.setattr(
        FrameFolder, "_load", lambda self, index: (loaded.append(index), original(self, index))[1]
    )
    with FrameFolder(write_pictures(tmp_path / "movie", COUNT), 900.0) as reader:
        loaded.clear()
        for second in range(900, 906):
            reader.read(second + np.arange(-32, 32, 2) / 30, short_side=24)
            assert len(reader._held) <= 32
    assert sorted(loaded) == list(range(0, 182, 2))


def test_it_is_a_reader_like_any_other(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "movie", COUNT, "img_{number:05d}.png")
    with open_video(folder, 900.0) as reader:
        assert (reader.width, reader.height, reader.fps, reader.frame_rate) == (64, 48, 30.0, 30)
        assert reader.find_end() == pytest.approx(900 + COUNT / 30)
        assert [read_number(picture) for _, picture in reader.frames()] == list(range(COUNT))
        assert read_number(reader.read([902.0])[0]) == 60
        assert reader.find_at_or_after(Fraction(90201, 100)) == Fraction(902) + Fraction(1, 30)
        assert reader.find_at_or_after(Fraction(950)) is None
        assert len(reader.sample(7)) == 7
        np.testing.assert_array_equal(
            reader.read([901.0], short_side=24)[0], resize_short_side(reader.read([901.0])[0], 24)
        )
        reader.release_buffers()
        with pytest.raises(
            VideoError, match=r"movie: expected keyframes within 900\.\.906\.7 s, received 902000"
        ):
            reader.require(902000)


def test_a_missing_picture_is_said_when_the_folder_is_opened(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "movie", 20)
    (folder / "movie_000008.jpg").unlink()
    with pytest.raises(
        VideoError, match=r"movie: picture 8 is missing or there twice, found movie_9 in its place"
    ):
        FrameFolder(folder)
    (folder / "movie_000001.jpg").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="holds no numbered pictures"):
        FrameFolder(tmp_path / "empty")
    cut = write_pictures(tmp_path / "cut", 5)
    (cut / "cut_000001.jpg").unlink()
    with pytest.raises(VideoError, match="expected pictures from number 1, found the first at 2"):
        FrameFolder(cut)


@pytest.mark.parametrize("content", [b"", b"not a picture", None])
def test_a_broken_picture_is_named(tmp_path: Path, content: bytes | None) -> None:
    folder = write_pictures(tmp_path / "movie", 40)
    broken = folder / "movie_000031.jpg"
    broken.write_bytes(broken.read_bytes()[:-200] if content is None else content)
    with FrameFolder(folder) as reader:
        reader.read([0.5])
        with pytest.raises(
            VideoError, match=r"movie_000031\.jpg: expected a whole JPEG or PNG picture"
        ):
            reader.read([1.0])


def test_folders_and_files_stand_side_by_side(tmp_path: Path) -> None:
    write_pictures(tmp_path / "one", 2)
    (tmp_path / "two.mp4").write_bytes(b"")
    (tmp_path / "notes").mkdir()
    assert {key: path.name for key, path in find_videos(tmp_path).items()} == {
        "one": "one",
        "two": "two.mp4",
    }
    (tmp_path / "one.mkv").write_bytes(b"")
    with pytest.raises(VideoError, match="same video id"):
        find_videos(tmp_path)


def test_pictures_of_another_size_are_fitted_into_the_first(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "movie", 6)
    for number in (4, 5):
        wide = np.full((48, 128, 3), 200, np.uint8)
        assert cv2.imwrite(str(folder / f"movie_{number:06d}.jpg"), wide)
    (folder / "._movie_000001.jpg").write_bytes(b"what macOS leaves")
    with open_video(folder) as reader:
        assert reader.notes == []
        pictures = reader.read(np.arange(6) / 30)
        assert pictures.shape == (6, 48, 64, 3)
        assert pictures[3, 24].mean() == pytest.approx(200, abs=3)
        assert pictures[3, 2].max() < 10  # bars above and below
        assert read_number(pictures[5]) == 5
        assert reader.notes == [
            "its pictures change from 64x48 to 128x48 at 0.1 s: they are fitted into the first size"
        ]
