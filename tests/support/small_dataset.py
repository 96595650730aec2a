"""A small data set without a fault, and faults to plant in it or in a copy of a real one.

A copy has `train.csv val.csv train_excluded.csv val_excluded.csv labelmap.pbtxt videos/`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.support.numbered_video import write_numbered_video

ROOT = Path(__file__).resolve().parents[2]
START = 900
SECONDS = 12
FPS = 5
CLASSES = {1: "stand", 2: "walk", 5: "wave"}

Plant = Callable[[Path], list[str]]


def write_small_dataset(folder: Path) -> Path:
    """Two persons on each of 10 keyframes of three videos, two of which are in train; rates of 5
    frames a second.
    """
    (folder / "videos").mkdir(parents=True)
    moments = [Fraction(number, FPS) for number in range(SECONDS * FPS)]
    for name in ("a.mkv", "b.mp4", "c.mp4"):
        write_numbered_video(folder / "videos" / name, moments, rate=FPS, options={"g": "10"})
    for split, names in (("train", "ab"), ("val", "c")):
        rows = []
        for name in names:
            for second in range(START + 1, START + 11):
                left = 0.01 * (second - START)
                rows += [
                    f"{name},{second:04d},{left:.3f},0.200,{left + 0.3:.3f},0.900,{i},0"
                    for i in (1, 5)
                ]
                rows += [f"{name},{second:04d},{left + 0.5:.3f},0.100,{left + 0.8:.3f},0.700,2,1"]
        write_lines(folder / f"{split}.csv", rows)
        write_lines(folder / f"{split}_excluded.csv", [f"{names[0]},{START + 3:04d}"])
    entries = (
        f'item {{\n  name: "{name}"\n  id: {action_id}\n}}' for action_id, name in CLASSES.items()
    )
    write_lines(folder / "labelmap.pbtxt", list(entries))
    return folder


def overrides(folder: Path, start_second: float) -> list[str]:
    """`--config FILE` and key=value arguments for a data set laid out as above."""
    arguments = ["--config", str(ROOT / "configs/mini_ava/slowfast.yaml")]
    arguments += [f"data.video_dir={folder}/videos", f"data.label_map={folder}/labelmap.pbtxt"]
    for split in ("train", "val"):
        arguments.append(f"data.{split}.annotations={folder}/{split}.csv")
        arguments.append(f"data.{split}.excluded={folder}/{split}_excluded.csv")
    return [*arguments, f"data.start_second={start_second:g}"]


def read_lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join([*lines, ""]))


def edit_rows(path: Path, edit: Callable[[list[str]], list[str]], only: int | None = None) -> None:
    """Rewrites every row of a CSV, or only that of one line (1-based)."""
    rows = [line.split(",") for line in read_lines(path)]
    write_lines(
        path,
        [",".join(edit(row) if only in (None, line) else row) for line, row in enumerate(rows, 1)],
    )


def change_boxes(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[list[str]], list[str]]:
    """An edit of a row's box [4] alone."""

    def edit(row: list[str]) -> list[str]:
        return [
            *row[:2],
            *(f"{value:g}" for value in change(np.array(row[2:6], dtype=float))),
            *row[6:],
        ]

    return edit


def in_train(edit: Callable[[list[str]], list[str]], only: int | None = None) -> Plant:
    def plant(folder: Path) -> list[str]:
        edit_rows(folder / "train.csv", edit, only)
        return []

    return plant


def add_row(split: str, change: Callable[[list[str]], list[str]], source: str = "train") -> Plant:
    """Appends the 5th row of `source`, changed, to a split."""

    def plant(folder: Path) -> list[str]:
        row = read_lines(folder / f"{source}.csv")[4].split(",")
        write_lines(
            folder / f"{split}.csv", [*read_lines(folder / f"{split}.csv"), ",".join(change(row))]
        )
        return []

    return plant


def write_boxes(change: Callable[[list[str]], list[str] | None]) -> Plant:
    """Val takes its persons from a box file: its own boxes with a score of 0.9, changed; None
    leaves one out.
    """

    def plant(folder: Path) -> list[str]:
        rows = [line.split(",") for line in read_lines(folder / "val.csv")]
        changed = [change([*row[:6], "", "0.9"]) for row in rows]
        write_lines(folder / "boxes.csv", [",".join(row) for row in changed if row is not None])
        return [f"data.val.boxes={folder}/boxes.csv"]

    return plant


def first_video(folder: Path) -> Path:
    """The file of the first row of train."""
    video_id = read_lines(folder / "train.csv")[0].split(",")[0]
    return next(path for path in (folder / "videos").iterdir() if path.stem == video_id)


def truncate_video(folder: Path) -> list[str]:
    path = first_video(folder)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return []


def keep_sound_only(folder: Path) -> list[str]:
    path = first_video(folder)
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.int16), format="s16", layout="mono"
        )
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return []


def break_video(folder: Path) -> list[str]:
    first_video(folder).write_bytes(b"not a video" * 1000)
    return []


def remove_video(folder: Path) -> list[str]:
    first_video(folder).unlink()
    return []


def count_from_elsewhere(folder: Path) -> list[str]:
    first = float(read_lines(folder / "train.csv")[0].split(",")[1])
    return [f"data.start_second={0 if first > 450 else 900}"]


def exclude_everything(folder: Path) -> list[str]:
    rows = [line.split(",")[:2] for line in read_lines(folder / "train.csv")]
    write_lines(folder / "train_excluded.csv", [",".join(row) for row in rows])
    return []


def remove(name: str) -> Plant:
    def plant(folder: Path) -> list[str]:
        (folder / name).unlink()
        return []

    return plant


def override(text: str) -> Plant:
    return lambda folder: [text]


def spoil_rows(folder: Path) -> list[str]:
    lines = read_lines(folder / "train.csv")
    lines[3], lines[6] = lines[3].replace(".", "x", 1), lines[6].rsplit(",", 4)[0]
    write_lines(
        folder / "train.csv", ["video_id,timestamp,x1,y1,x2,y2,action_id,person_id", *lines]
    )
    return []


def spoil_exclusion(folder: Path) -> list[str]:
    write_lines(folder / "train_excluded.csv", ["a 902"])
    return []


def replace_cell(column: int, text: str) -> Callable[[list[str]], list[str]]:
    return lambda row: [*row[:column], text, *row[column + 1 :]]


def shift_ids(by: int) -> Callable[[list[str]], list[str]]:
    return lambda row: [*row[:6], str(int(row[6]) + by), row[7]]


def scale_time(factor: float) -> Callable[[list[str]], list[str]]:
    """Timestamps from the first frame, in another unit."""
    return lambda row: [row[0], f"{(float(row[1]) % 900) * factor:g}", *row[2:]]


def number_persons(row: list[str]) -> list[str]:
    return [*row[:7], "3"]


def swap_corners(box: np.ndarray) -> np.ndarray:
    return box[[2, 1, 0, 3]]


def to_xywh(box: np.ndarray) -> np.ndarray:
    return np.hstack((box[:2], box[2:] - box[:2]))


PIXELS = np.array([768, 432, 768, 432])

# name -> (plant, words of the finding (a regular expression), where it says it is, None for
# anywhere)
FAULTS: dict[str, tuple[Plant, str, str | None]] = {
    "boxes in pixels": (
        in_train(change_boxes(lambda box: box * PIXELS)),
        "in pixels",
        "train.csv:1",
    ),
    "one box in pixels": (
        in_train(change_boxes(lambda box: box * PIXELS), 5),
        "in pixels",
        "train.csv:5",
    ),
    "corners swapped": (in_train(change_boxes(swap_corners), 5), "corners swapped", "train.csv:5"),
    "x,y,width,height": (in_train(change_boxes(to_xywh)), "x,y,width,height", None),
    "no area": (
        in_train(change_boxes(lambda box: box[[0, 1, 0, 3]]), 5),
        "without area",
        "train.csv:5",
    ),
    "outside": (
        in_train(change_boxes(lambda box: box + 0.8), 5),
        "outside the frame",
        "train.csv:5",
    ),
    "whole frames": (
        in_train(change_boxes(lambda box: np.array([0, 0, 1, 1]))),
        "whole frame",
        "train.csv:1",
    ),
    "a box of nan": (in_train(replace_cell(3, "nan"), 5), "not finite", "train.csv:5"),
    "ids one too small": (in_train(shift_ids(-1)), "off by one", "train.csv:1"),
    "ids one too large": (in_train(shift_ids(1)), "off by one", None),
    "id 0": (in_train(replace_cell(6, "0"), 5), "id 0", "train.csv:5"),
    "id not in the map": (in_train(replace_cell(6, "70"), 5), "does not name: 70", "train.csv:5"),
    "id beyond the columns": (in_train(replace_cell(6, "200"), 5), "200", "train.csv:5"),
    "too few columns": (
        override("model.num_classes=4"),
        "model.num_classes is 4",
        "model.num_classes",
    ),
    "a row twice": (add_row("train", lambda row: row), "repeat an earlier row", None),
    "another person id": (
        add_row("train", replace_cell(7, "99")),
        "same box under another person id",
        None,
    ),
    "a person twice": (
        add_row("train", change_boxes(lambda box: box - 0.01)),
        "one person id with two",
        None,
    ),
    "scores for person ids": (
        in_train(replace_cell(7, "0.73"), 5),
        "look like scores: 0.73",
        "train.csv:5",
    ),
    "a keyframe in both": (add_row("val", lambda row: row), "also in train", None),
    "one file for both": (
        lambda folder: [f"data.val.annotations={folder}/train.csv"],
        "also in train",
        "train.csv:1",
    ),
    "a video is missing": (remove_video, "without a file", "train"),
    "a video id with suffix": (
        in_train(lambda row: [row[0] + ".mp4", *row[1:]]),
        "without a file",
        "train",
    ),
    "a video cut short": (truncate_video, "frames end after|cannot be opened", None),
    "sound alone": (keep_sound_only, "no video stream", None),
    "no video": (break_video, "cannot be opened", None),
    "no folder of videos": (override("data.video_dir=nowhere"), "no such folder", "data.video_dir"),
    "900 seconds off": (count_from_elsewhere, "outside their video", "train.csv:1"),
    "a second too late": (in_train(replace_cell(1, "1790"), 5), "1790", "train.csv:5"),
    "milliseconds": (in_train(scale_time(1000)), "outside their video", None),
    "frame numbers": (in_train(scale_time(30)), "outside their video", None),
    "malformed rows": (spoil_rows, "expected", "train.csv:1"),
    "no annotations": (remove("val.csv"), "no such file", "val.csv"),
    "no label map": (remove("labelmap.pbtxt"), "no such file", "labelmap.pbtxt"),
    "no exclusion list": (remove("val_excluded.csv"), "no such file", "val_excluded.csv"),
    "a malformed exclusion": (spoil_exclusion, "expected video_id,timestamp", "train_excluded.csv"),
    "everything excluded": (exclude_everything, "every keyframe of train is excluded", None),
    "no box file": (override("data.val.boxes=nowhere.csv"), "no such file", "nowhere.csv"),
    "box file in pixels": (
        write_boxes(change_boxes(lambda box: box * PIXELS)),
        "in pixels",
        "boxes.csv:1",
    ),
    "person ids for scores": (
        write_boxes(number_persons),
        "person ids, where a box file has scores",
        "boxes.csv:1",
    ),
    "scores in percent": (
        write_boxes(replace_cell(7, "93.5")),
        "scores outside 0..1",
        "boxes.csv:1",
    ),
    "boxes of another set": (
        write_boxes(lambda row: ["x", *row[1:]]),
        "no keyframe of val",
        "boxes.csv",
    ),
    "boxes elsewhere": (
        write_boxes(change_boxes(lambda box: np.array([0.9, 0.9, 0.99, 0.99]))),
        "recall of the labeled",
        "boxes.csv",
    ),
}
