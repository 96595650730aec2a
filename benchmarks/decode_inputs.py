"""Writes the inputs of `python -m benchmarks decode`: a video, its JPEGs and its prepared form."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from ava_det.video.file import VideoReader
from benchmarks.child import ROOT

GRAIN = 1.5
CONTRAST = 22
CRF = "20"  # a frame then has about the bytes it has in films of this size


def write_source(
    path: Path, seconds: int, width: int = 640, height: int = 360, fps: int = 30
) -> None:
    """Writes a film of a textured scene in H.264, with keyframes 250 frames apart.

    The camera pans, patches of a person's size move, and there is film grain.
    """
    random = np.random.default_rng(0)
    tall = 2 * height // 5
    wide = width // 10
    scene = _texture(random, 2 * height, 2 * width)
    patches = [_texture(random, tall, wide) for _ in range(4)]
    grain = random.normal(0, GRAIN, (8, height, width, 1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"g": "250", "crf": CRF, "threads": "1"}
        )
        stream.width = width
        stream.height = height
        stream.pix_fmt = "yuv420p"
        for index in range(seconds * fps):
            t = index / fps
            left = int(width * (0.5 + 0.45 * np.sin(t / 9)))
            top = int(height * (0.5 + 0.4 * np.sin(t / 7)))
            picture = scene[top : top + height, left : left + width].copy()
            for number, patch in enumerate(patches):
                x = int((width - wide) * (0.5 + 0.5 * np.sin(t * (0.3 + 0.2 * number) + number)))
                y = int((height - tall) * (0.5 + 0.5 * np.cos(t * 0.5 + 2 * number)))
                picture[y : y + tall, x : x + wide] = patch
            picture = (picture + grain[index % len(grain)]).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _texture(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draws float32 [H, W, 3] around 0..255 with detail at every scale, as photographs have."""
    picture = np.zeros((height, width, 3), np.float32)
    for scale in (4, 8, 16, 32, 64, 128):
        coarse = random.normal(0, scale**0.7, (height // scale + 2, width // scale + 2, 3)).astype(
            np.float32
        )
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    centered: np.ndarray = 128 + picture * (CONTRAST / picture.std())
    return centered


def write_jpegs(video: Path, folder: Path) -> Path:
    """Writes the pictures of PySlowFast's recipe.

    These are 30 a second, in full size, in ffmpeg's best JPEG quality (-q:v 1).
    """
    folder.mkdir(parents=True)
    encoder = av.CodecContext.create("mjpeg", "w")
    with VideoReader(video) as reader:
        encoder.width = reader.width
        encoder.height = reader.height
        encoder.pix_fmt = "yuvj420p"
        encoder.time_base = Fraction(1, 30)
        encoder.qmin = 1
        encoder.qmax = 1
        encoder.options = {"qmin": "1", "qmax": "1", "color_range": "pc"}
        for index in range(int(reader.find_end() * 30)):
            picture = av.VideoFrame.from_ndarray(reader.read([index / 30])[0], format="rgb24")
            picture = picture.reformat(format="yuvj420p", dst_color_range="JPEG")
            content = b"".join(bytes(packet) for packet in encoder.encode(picture))
            (folder / f"{folder.name}_{index + 1:06d}.jpg").write_bytes(content)
    return folder


def prepare(video: Path, folder: Path) -> Path:
    """Makes the prepared form of a video by the command that a user runs."""
    videos = folder / "videos"
    videos.mkdir()
    (videos / video.name).symlink_to(video.resolve())
    output = folder / "prepared"
    command = [
        sys.executable,
        ROOT / "data/ava/transcode.py",
        "--videos",
        videos,
        "--output",
        output,
        "--jobs",
        "1",
    ]
    finished = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise ValueError(finished.stderr.strip().splitlines()[-1])
    return next(path for path in output.iterdir() if path.stem == video.stem)
