"""Reads person boxes in the forms in which other projects publish them.

    MMAction2     {"VIDEO,0902": [[x1, y1, x2, y2, score], ...], ...}, arrays or lists; so do the
                  scripts for custom AVA data, with scores as text
    ACAR-Net      ([{"video": ..., "time": ..., "labels": [{"bounding_box": ...}]}, ...], {...})
    AlphAction    [{"image_id": 10902, "bbox": [x, y, width, height], "score": ...}, ...]

Boxes are fractions of the frame, except AlphAction's, which are pixels of pictures that its
annotations list: a COCO file with `images` of `id`, `movie`, `timestamp`, `width` and `height`. It
is looked for where that project keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ava_det.formats.ava_csv import AvaRows

# video id, annotation time in seconds, boxes and scores float64 [N, 5]
Keyframes = Iterable[tuple[str, float, np.ndarray]]
SIDES = 5  # x1, y1, x2, y2, score


def is_json(path: Path) -> bool:
    """Returns whether a box file is JSON; a CSV of boxes never begins with a brace or bracket."""
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"[")


def load_json_boxes(path: Path) -> AvaRows:
    """Reads a JSON file of boxes as one row for each box.

    Raises:
        ValueError: The content is no JSON or of another form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON ({error})") from None
    return rows_of_content(path, content)


def rows_of_content(path: str | Path, content: Any) -> AvaRows:
    """Makes one row for each box of a pickle's or a JSON file's content, in its order.

    Args:
        path: The file, for messages and for finding AlphAction's pictures.
        content: Any of the forms above.

    Returns:
        Rows without action ids; column 8 is the score.

    Raises:
        ValueError: The content is of another form; the sentence names the key.
    """
    if isinstance(content, Mapping) and "images" in content and "annotations" in content:
        keyframes = _of_pictures(path, content["annotations"], content["images"])
    elif isinstance(content, Mapping):
        keyframes = _of_keys(path, content)
    elif (
        isinstance(content, Sequence)
        and content
        and isinstance(content[0], Mapping)
        and "bbox" in content[0]
    ):
        keyframes = _of_pictures(
            path, content, _find_pictures(Path(path), content[0].get("image_id"))
        )
    elif isinstance(content, tuple) and content and isinstance(content[0], Sequence):
        keyframes = _of_labels(path, content[0])
    elif (
        isinstance(content, list)
        and content
        and isinstance(content[0], Mapping)
        and "labels" in content[0]
    ):
        keyframes = _of_labels(path, content)
    else:
        found = type(content).__name__
        raise ValueError(
            f'{path}: expected a dict from "video_id,timestamp" to boxes, found {found}'
        )
    return _rows(path, keyframes)


def _rows(path: str | Path, keyframes: Keyframes) -> AvaRows:
    """Makes one row for each box of keyframes."""
    videos: dict[str, int] = {}
    index: list[int] = []
    timestamps: list[float] = []
    boxes = [np.zeros((0, SIDES))]
    for video_id, timestamp, array in keyframes:
        index += [videos.setdefault(video_id, len(videos))] * len(array)
        timestamps += [timestamp] * len(array)
        boxes.append(array)
    columns = np.concatenate(boxes)
    return AvaRows(
        list(videos),
        np.array(index, dtype=np.int32),
        np.array(timestamps, dtype=np.float64),
        columns[:, :4],
        np.zeros(len(columns), np.int64),
        columns[:, 4],
        path=str(path),
        row_noun="box",
    )


def _of_keys(path: str | Path, content: Mapping[Any, Any]) -> Keyframes:
    """Yields the keyframes of MMAction2's form."""
    for key, value in content.items():
        yield *_parse_key(path, key), _parse_boxes(path, key, value)


def _parse_key(path: str | Path, key: Any) -> tuple[str, float]:
    """Splits `video_id,timestamp`, which may be a pair already."""
    pair = key.rpartition(",")[::2] if isinstance(key, str) else key
    video_id, second = pair if isinstance(pair, tuple) and len(pair) == 2 else ("", "")
    timestamp = _seconds(second)
    if isinstance(video_id, str) and video_id and timestamp is not None:
        return video_id, timestamp
    raise ValueError(f'{path}: expected keys such as "video_id,0902", found {key!r}')


def _seconds(value: Any) -> float | None:
    """Returns the number of a text, or None where it is none."""
    try:
        timestamp = float(value)
    except (TypeError, ValueError):
        return None
    return timestamp if np.isfinite(timestamp) else None


def _parse_boxes(path: str | Path, key: Any, value: Any) -> np.ndarray:
    """Returns boxes as float64 [N, 5]; an empty list means no person."""
    array = _as_array(value)
    if array is not None and array.size == 0:
        return np.zeros((0, SIDES))
    if (
        array is not None
        and array.ndim == 2
        and array.shape[1] in (4, SIDES)
        and array.dtype.kind in "fiu"
    ):
        columns = array.astype(np.float64)
        return (
            columns
            if columns.shape[1] == SIDES
            else np.column_stack((columns, np.ones(len(columns))))
        )
    if isinstance(value, np.ndarray):
        found = f"{list(value.shape)} {value.dtype}"
    else:
        found = type(value).__name__
    raise ValueError(f"{path}, key {key!r}: expected an array of boxes [N, 5], found {found}")


def _as_array(value: Any) -> np.ndarray | None:
    """Returns an array, or a list of lists as one; None for anything else.

    Numbers may be text: the scripts for custom AVA data write scores as YOLO's files have them.
    """
    try:
        array = np.array(value) if isinstance(value, list | tuple) else value
    except ValueError:  # rows of several lengths
        return None
    if not isinstance(array, np.ndarray):
        return None
    try:
        return array.astype(np.float64) if array.dtype.kind == "U" else array
    except ValueError:  # text that is no number
        return array


def _of_labels(path: str | Path, clips: Sequence[Any]) -> Keyframes:
    """Yields the keyframes of ACAR-Net's form: a dict for each clip, with boxes as `labels`."""
    for number, clip in enumerate(clips, 1):
        try:
            key = f"{clip['video']},{clip['time']}"
            boxes = [
                [*label["bounding_box"], float(label.get("score", 1.0))] for label in clip["labels"]
            ]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(
                f"{path}, clip {number}: expected video, time and labels with a bounding_box, as "
                "ACAR-Net has them"
            ) from None
        yield *_parse_key(path, key), _parse_boxes(path, key, boxes)


def _of_pictures(path: str | Path, boxes: Sequence[Any], pictures: Iterable[Any]) -> Keyframes:
    """Yields the keyframes of AlphAction's form.

    There `bbox` is x, y, width and height in pixels of the picture `image_id`.
    """
    try:
        keys = ("movie", "timestamp", "width", "height")
        known = {image["id"]: tuple(image[key] for key in keys) for image in pictures}
    except (KeyError, TypeError):
        raise ValueError(
            f"{path}: expected images with id, movie, timestamp, width and height, as AlphAction "
            "has them"
        ) from None
    for number, box in enumerate(boxes, 1):
        try:
            movie, timestamp, width, height = known[box["image_id"]]
            x, y, w, h = box["bbox"]
            row = [
                x / width,
                y / height,
                (x + w) / width,
                (y + h) / height,
                float(box.get("score", 1.0)),
            ]
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"{path}, box {number}: expected the image_id of a picture, bbox and score, as "
                "AlphAction has them"
            ) from None
        yield *_parse_key(path, f"{movie},{timestamp}"), np.array([row], dtype=np.float64)


def _find_pictures(path: Path, image_id: Any) -> list[Any]:
    """Reads the `images` of AlphAction's annotations.

    They are looked for beside the boxes, or in a folder `annotations` beside the boxes' folder.
    """
    for other in _candidates(path):
        try:
            content = json.loads(other.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError):
            continue
        images = content.get("images", []) if isinstance(content, dict) else []
        if any(isinstance(image, dict) and image.get("id") == image_id for image in images):
            return images
    raise ValueError(
        f"{path}: the boxes name pictures by number, such as {image_id!r}: put AlphAction's "
        "annotations with these pictures (ava_val_v2.2.json, of its csv2COCO.py) beside them"
    )


def _candidates(path: Path) -> Iterator[Path]:
    """Yields the JSON files in the folders where AlphAction's annotations may be."""
    for folder in (path.parent, path.parent.parent / "annotations"):
        yield from (other for other in sorted(folder.glob("*.json")) if other != path)
