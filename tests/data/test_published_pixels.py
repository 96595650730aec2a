"""The colors and box pixels that published weights saw, against what ffmpeg, OpenCV and
PySlowFast's steps give.
"""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ava_det.config import load_config
from ava_det.data.build import build_clip_reader
from ava_det.data.clip_pixels import ClipPixels
from ava_det.data.clip_reader import ClipReader
from ava_det.data.dataset import ClipDataset
from ava_det.data.transforms import (
    Augmentation,
    apply_augmentation,
    evaluation_augmentation,
    normalize_batch,
)
from ava_det.structures import ClipBatch, Keyframe
from ava_det.video.file import VideoReader
from ava_det.video.folder import FrameFolder
from ava_det.video.pictures import compute_resized_size

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="needs ffmpeg on the command line"
)
GREEN = (40, 200, 40)
WIDTH = 70
HEIGHT = 48  # short side 32 makes the long one 46.67, rounded down


def write_green(
    path: Path, tagged_709: bool, size: tuple[int, int] = (WIDTH, HEIGHT), fmt: str = "yuv420p"
) -> None:
    """A second of one color, whose planes are made with BT.709's matrix, and tagged so or not at
    all.
    """
    red, green, blue = (value / 255 for value in GREEN)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    planes = [
        16 + 219 * luma,
        128 + 224 * (blue - luma) / 1.8556,
        128 + 224 * (red - luma) / 1.5748,
    ]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, fmt
        if tagged_709:
            stream.codec_context.colorspace = av.video.reformatter.Colorspace.ITU709
        for number in range(30):
            frame = av.VideoFrame(*size, fmt)
            for plane, value in zip(frame.planes, planes, strict=True):
                plane.update(bytes([round(value)]) * plane.buffer_size)
            frame.pts = number
            frame.time_base = Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def middle(picture: np.ndarray) -> list[int]:
    return picture[picture.shape[0] // 2, picture.shape[1] // 2].tolist()


@pytest.mark.parametrize(
    ("tagged", "size", "fmt"),
    [(True, (70, 48), "yuv420p"), (False, (70, 48), "yuv420p"), (True, (71, 49), "yuv444p")],
)
def test_bt601_is_what_the_weights_saw_whatever_the_tag(
    tmp_path: Path, tagged: bool, size: tuple[int, int], fmt: str
) -> None:
    path = tmp_path / "green.mp4"
    write_green(path, tagged, size, fmt)
    with VideoReader(path) as reader:
        honest = reader.read([0.5])[0]
        seen = reader.read([0.5], color="bt601")[0]
        again = reader.read_at_or_after([Fraction(1, 2)], None, "bt601")[0]
    plain = fmt == "yuv420p"
    np.testing.assert_allclose(middle(seen), (53, 228, 46), atol=0 if plain else 2)
    np.testing.assert_array_equal(seen, again)
    # an untagged file of this size is BT.601 for everybody
    np.testing.assert_allclose(middle(honest), GREEN if tagged else (53, 228, 46), atol=1)


@needs_ffmpeg
@pytest.mark.parametrize("tagged", [True, False], ids=["BT.709 tagged", "untagged"])
def test_bt601_is_the_color_of_the_published_jpegs(tmp_path: Path, tagged: bool) -> None:
    path = tmp_path / "green.mp4"
    write_green(path, tagged)
    (tmp_path / "green").mkdir()
    for arguments in (
        ["-i", path, tmp_path / "cut.mp4"],
        ["-i", tmp_path / "cut.mp4", "-r", 30, "-q:v", 1],
    ):
        last = [tmp_path / "green" / "green_%06d.jpg"] if "-r" in arguments else []
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", *map(str, [*arguments, *last])], check=True, timeout=60
        )
    jpeg = FrameFolder(tmp_path / "green").read([0.5])[0]
    with VideoReader(path) as reader:
        np.testing.assert_allclose(
            middle(reader.read([0.5], color="bt601")[0]), middle(jpeg), atol=1
        )


def test_the_network_gets_bt601_and_the_person_detector_honest_color(tmp_path: Path) -> None:
    path = tmp_path / "green.mp4"
    write_green(path, tagged_709=True)
    clips = ClipReader(4, 2, 30.0, np.arange(4), None, frame_color="bt601")
    with VideoReader(path) as reader:
        assert middle(clips.read(reader, 0.5, 32).frames[0]) == [53, 228, 46]
        np.testing.assert_allclose(middle(reader.read([0.5])[0]), GREEN, atol=1)


def their_boxes(boxes: np.ndarray, width: int, height: int, side: int) -> np.ndarray:
    """The published steps, one by one: to pixels, clip, resize by the longer side, clip."""

    def clip(pixels: np.ndarray, right: int, bottom: int) -> np.ndarray:
        return np.minimum(np.maximum(pixels, 0), np.array([right, bottom, right, bottom]) - 1.0)

    pixels = clip(boxes.astype(np.float64) * [width, height, width, height], width, height)
    if min(width, height) != side:
        long = max(width, height)
        short = min(width, height)
        new_long = int(np.floor(long / short * side))
        pixels = pixels * (new_long / long)
        width, height = (new_long, side) if width > height else (side, new_long)
    return clip(pixels, width, height)


@given(
    width=st.integers(120, 1920),
    height=st.integers(120, 1920),
    corners=st.lists(st.integers(-100, 1100), min_size=8, max_size=8),
)
def test_box_pixels_are_pyslowfasts(width: int, height: int, corners: list[int]) -> None:
    side = 256
    boxes = np.sort(np.array(corners, np.float32).reshape(2, 2, 2) / 1000, axis=1).reshape(2, 4)
    reader = ClipReader(1, 1, 30.0, np.arange(1), None, box_arithmetic="pyslowfast")
    seen = reader.place_boxes(torch.from_numpy(boxes), width, height, side)
    new_width, new_height = compute_resized_size(width, height, side)
    frames = np.broadcast_to(np.zeros((1, 1, 1, 3), np.uint8), (1, new_height, new_width, 3))
    _, pixels = apply_augmentation(ClipPixels(frames), seen, Augmentation(side), torch.Generator())
    np.testing.assert_allclose(pixels.numpy(), their_boxes(boxes, width, height, side), atol=1e-3)


def test_a_dataset_places_boxes_as_its_config_says(tmp_path: Path) -> None:
    write_green(tmp_path / "green.mp4", tagged_709=True)
    boxes = torch.tensor([[0.1, 0.2, 1.0, 1.0]])
    keyframes = [Keyframe("green", 0.5, boxes, None, torch.ones(1))]
    pixels = {}
    for arithmetic in ("exact", "pyslowfast"):
        reader = ClipReader(4, 2, 30.0, np.arange(4), None, box_arithmetic=arithmetic)
        for side in (None, 40):
            dataset = ClipDataset(
                keyframes,
                {"green": tmp_path / "green.mp4"},
                0.0,
                reader,
                lambda generator: evaluation_augmentation(generator, 32),
                0,
                cache_side=side,
            )
            if side:
                dataset.fill_cache(lambda order: order)
            pixels[arithmetic, side] = dataset[0].boxes[0].tolist()
            # scores are written on the boxes as they came
            assert dataset[0].keyframe.boxes is boxes
    np.testing.assert_allclose(pixels["exact", None], [4.6, 6.4, 46, 32], atol=1e-4)
    ratio = 46 / 70
    expected = [7 * ratio, 9.6 * ratio, 45, min(47 * ratio, 31)]
    np.testing.assert_allclose(pixels["pyslowfast", None], expected, atol=1e-3)
    np.testing.assert_allclose(pixels["pyslowfast", 40], expected, atol=1e-3)


@pytest.mark.parametrize(
    "name", ["pyslowfast/SLOWFAST_32x2_R101_50_50", "mmaction2/slowfast_r50_8x8_v2.2"]
)
def test_the_published_configs_say_what_their_weights_saw(name: str) -> None:
    reader = build_clip_reader(load_config(f"configs/ava/{name}.yaml"))
    project = name.partition("/")[0]
    arithmetic = "pyslowfast" if project == "pyslowfast" else "exact"
    assert (reader.frame_grid, reader.frame_color, reader.box_arithmetic) == (
        project,
        "bt601",
        arithmetic,
    )


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_device_gets_the_same_pixels(tmp_path: Path, device: str) -> None:
    """Color and size are settled in uint8 before the device, which only normalizes: within 1 LSB,
    in truth 0.001.
    """
    write_green(tmp_path / "green.mp4", tagged_709=True)
    clips = ClipReader(4, 2, 30.0, np.arange(4), None, frame_color="bt601")
    with VideoReader(tmp_path / "green.mp4") as reader:
        pixels = clips.read(reader, 0.5, 32)
    clip = torch.from_numpy(pixels.frames).permute(3, 0, 1, 2)[None]
    keyframe = Keyframe("green", 0.5, torch.zeros(0, 4), None, torch.zeros(0))
    batch = ClipBatch(clip, None, torch.zeros(0, 5), None, [keyframe])
    ready = normalize_batch(
        batch, [0.45, 0.45, 0.45], [0.225, 0.225, 0.225], torch.device(device)
    ).slow
    assert ready is not None
    restored = (ready.cpu() * 0.225 + 0.45) * 255
    assert float((restored - clip.float()).abs().max()) < 1e-3


def test_frames_are_resized_before_rounding_the_long_side_down(tmp_path: Path) -> None:
    write_green(tmp_path / "green.mp4", tagged_709=True)
    with VideoReader(tmp_path / "green.mp4") as reader:
        full = reader.read([0.5], None, "bt601")[0]
        small = reader.read([0.5], 32, "bt601")[0]
    np.testing.assert_array_equal(small, cv2.resize(full, (46, 32), interpolation=cv2.INTER_LINEAR))
