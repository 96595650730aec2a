"""Makes annotations of every frame from the ground truth of tubes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from ava_det.files import write_text
from ava_det.files.safe_pickle import describe_unpickling, load_arrays
from ava_det.formats.annotations import write_annotations
from ava_det.formats.ava_csv import AvaRows
from ava_det.formats.tubes import Tube, TubeTruth
from ava_det.formats.tubes.frame_table import VideoFrames, write_frame_table
from ava_det.video.reader import VideoError


def name_ids(truth: TubeTruth) -> dict[str, str]:
    """Returns the video id of each video: its name without the folder of its class.

    Raises:
        ValueError: Two videos get the same id.
    """
    ids: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in truth.num_frames:
        ids[name] = name.rsplit("/", 1)[-1]
        other = taken.setdefault(ids[name], name)
        if other != name:
            raise ValueError(f"{truth.path}: {other} and {name} have the same video id {ids[name]}")
    return ids


def describe_frames(
    truth: TubeTruth, rates: Mapping[str, Fraction], fps: Fraction
) -> dict[str, VideoFrames]:
    """Makes the frame table of a ground truth, by name.

    Args:
        truth: The ground truth.
        rates: Frames a second of the videos that are there, by video id.
        fps: Of the others.
    """
    return {
        name: VideoFrames(
            video_id,
            name,
            rates.get(video_id, fps),
            truth.num_frames[name],
            truth.resolution[name][1],
            truth.resolution[name][0],
        )
        for name, video_id in name_ids(truth).items()
    }


def rows_from_tubes(
    tubes: Iterable[Tube], frames: Mapping[str, VideoFrames], path: str = "the tubes"
) -> AvaRows:
    """Makes annotation rows of labeled tubes: one for each box, action id = label + 1.

    Args:
        tubes: In the order of their videos; the n-th tube of a video is person n, from 0.
        frames: By the tubes' name of a video.
        path: For messages.

    Returns:
        Rows with times in seconds since the first frame, and boxes in fractions of the frame to
        four decimals, cut at its edges.
    """
    videos: dict[str, int] = {}
    counts: dict[str, int] = {}
    columns: list[tuple[np.ndarray, ...]] = [
        (np.zeros(0), np.zeros(0), np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    ]
    for tube in tubes:
        video = frames[tube.video]
        person = counts.setdefault(video.video_id, 0)
        counts[video.video_id] += 1
        number = videos.setdefault(video.video_id, len(videos))
        size = np.array([video.width, video.height] * 2, dtype=np.float64)
        boxes = (tube.boxes.astype(np.float64) / size).clip(0, 1).round(4)
        times = np.array([video.find_seconds(frame) for frame in tube.frames.tolist()])
        same = np.ones(len(tube))
        columns.append((same * number, times, boxes, same * (tube.label + 1), same * person))
    index, times, boxes, actions, persons = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    return AvaRows(
        list(videos),
        index.astype(np.int32),
        times,
        boxes,
        actions.astype(np.int64),
        persons,
        path=path,
    )


def write_dataset(
    output: Path, truth: TubeTruth, frames: Mapping[str, VideoFrames]
) -> dict[str, int]:
    """Writes labelmap.pbtxt, frames.csv and, of each split, trainN.csv and valN.csv.

    A ground truth of one split has train.csv and val.csv.

    Args:
        output: The folder.
        truth: The ground truth.
        frames: Its frame table, by name.

    Returns:
        The number of rows of each CSV.
    """
    items = (
        f'item {{\n  name: "{name}"\n  id: {label + 1}\n}}\n'
        for label, name in enumerate(truth.labels)
    )
    write_text(output / "labelmap.pbtxt", "".join(items))
    write_frame_table(output / "frames.csv", frames.values())
    counts: dict[str, int] = {}
    several = len(truth.test_videos) > 1
    for kind, splits in (("train", truth.train_videos), ("val", truth.test_videos)):
        for number, names in enumerate(splits, 1):
            file = f"{kind}{number if several else ''}.csv"
            rows = rows_from_tubes(list_tubes(truth, names), frames, truth.path)
            write_annotations(output / file, rows)
            counts[file] = len(rows)
    return counts


def list_tubes(truth: TubeTruth, names: Sequence[str]) -> Iterator[Tube]:
    """Yields the tubes of some videos, in their order."""
    for name in names:
        yield from truth.tubes.get(name, ())


def convert_person_boxes(
    source: Path, frames: Mapping[str, VideoFrames], names: Sequence[str]
) -> tuple[list[str], int]:
    """Converts MultiSports' person boxes, a pickle {"video,frame": [n, 5]}, to lines of a box CSV.

    Boxes are fractions of the frame. A video may be named with its folder or extension.

    Args:
        source: The pickle.
        frames: By name.
        names: The videos of the split.

    Returns:
        The lines, and the number of frames of videos that the split does not have.

    Raises:
        ValueError: The pickle or a key of it has another form, or it has no video of the split.
    """
    try:
        content = load_arrays(source)
    except OSError:
        raise
    except Exception as error:  # whatever an unpickler raises on damaged bytes
        raise ValueError(f"{source}: {describe_unpickling(error)}") from None
    if not isinstance(content, dict):
        raise ValueError(f'{source}: expected a pickle of {{"video,frame": boxes [n, 5]}}')
    videos = {frames[name].video_id: frames[name] for name in names}
    lines: list[str] = []
    left_out = 0
    for key, value in content.items():
        text, _, number = str(key).rpartition(",")
        boxes = _read_boxes(value)
        if not number.strip().isdecimal() or boxes is None:
            found = list(value.shape) if isinstance(value, np.ndarray) else type(value).__name__
            raise ValueError(
                f"{source}: expected a key video,frame with boxes [n, 5], "
                f"found {key!r} with {found}"
            )
        video = videos.get(text.rsplit("/", 1)[-1].removesuffix(".mp4"))
        if video is None:
            left_out += 1
            continue
        seconds = repr(video.find_seconds(int(number)))
        for *box, score in boxes.tolist():
            corners = ",".join(f"{min(max(value, 0.0), 1.0):.4f}" for value in box)
            lines.append(f"{video.video_id},{seconds},{corners},,{score:.6f}\n")
    if left_out == len(content) and videos:
        raise ValueError(
            f"{source}: expected boxes of the split's videos, such as {next(iter(videos))}, found "
            "none of them: is it the file of another split?"
        )
    return lines, left_out


def _read_boxes(value: object) -> np.ndarray | None:
    """Returns boxes [n, 5] of finite numbers, or None where a value is none."""
    try:
        boxes = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if boxes.ndim != 2 or boxes.shape[1] != 5 or not np.isfinite(boxes).all():
        return None
    return boxes


def require_videos(output: Path, found: Iterable[str], expected: Iterable[str]) -> list[str]:
    """Returns the ids that have no video; raises VideoError where none has."""
    present = set(found)
    wanted = list(expected)
    missing = [video_id for video_id in wanted if video_id not in present]
    if len(missing) == len(wanted):
        raise VideoError(f"{output}: expected videos such as {wanted[0]}, found none of them")
    return missing
