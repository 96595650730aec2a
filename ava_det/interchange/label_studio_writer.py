"""Writes labeled boxes as a task of Label Studio with a prediction, to be corrected there.

Choices hold for a whole track, so a person is a new track wherever the actions change; the text
`person` says who it is. The labeling configuration that this needs is written beside the tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from ava_det.files import write_json, write_text
from ava_det.interchange.clock import FrameClock
from ava_det.interchange.drafts import frames_of, pair_keyframes
from ava_det.interchange.labeled import LabeledBox

PERSON = "person"


def write_label_studio(
    path: Path,
    source: str,
    clock: FrameClock,
    boxes: Sequence[LabeledBox],
    actions: Sequence[str],
) -> None:
    """Writes a file (.json) of one video, see `WriteDraft`.

    Label Studio has the names of actions from its labeling configuration.
    """
    frames = frames_of(clock, boxes)
    num_frames = len(clock.seconds)
    length = float(clock.seconds[-1] - clock.seconds[0])
    # Label Studio counts frames at a constant rate, whatever the video's own times are
    rate = (num_frames - 1) / length if length else 1.0
    results: list[dict[str, Any]] = []
    for number, track in enumerate(_cut_tracks(boxes, pair_keyframes(frames))):
        sequence = []
        for box in track:
            assert box.corners is not None
            x1, y1, x2, y2 = box.corners
            seconds = float(clock.seconds[frames[box.timestamp]] - clock.seconds[0])
            percent = (100 * x1, 100 * y1, 100 * (x2 - x1), 100 * (y2 - y1))
            sides = zip(("x", "y", "width", "height"), percent, strict=True)
            frame = round(seconds * rate) + 1
            sequence.append(
                {
                    "frame": frame,
                    "time": round(frame / rate, 6),
                    "enabled": box is not track[-1],
                    "rotation": 0,
                    **{name: round(side, 8) for name, side in sides},
                }
            )
        value = {
            "framesCount": num_frames,
            "duration": num_frames / rate,
            "labels": [PERSON],
            "sequence": sequence,
        }
        about = {"id": f"track{number}", "to_name": "video"}
        results.append({**about, "type": "videorectangle", "from_name": "box", "value": value})
        if track[0].actions:
            chosen = {"choices": list(track[0].actions)}
            results.append({**about, "type": "choices", "from_name": "actions", "value": chosen})
        if track[0].person_id is not None:
            name = {"text": [str(track[0].person_id)]}
            results.append({**about, "type": "textarea", "from_name": PERSON, "value": name})
    write_json(path, [{"data": {"video": source}, "predictions": [{"result": results}]}])


def write_labeling_config(path: str | Path, actions: Iterable[str]) -> None:
    """Writes the labeling configuration of a project for such tasks."""
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in actions)
    write_text(
        path,
        f"""<View>
  <Video name="video" value="$video"/>
  <VideoRectangle name="box" toName="video"/>
  <Labels name="label" toName="video"><Label value="{PERSON}"/></Labels>
  <Choices name="actions" toName="video" perRegion="true" choice="multiple">
{choices}
  </Choices>
  <TextArea name="{PERSON}" toName="video" perRegion="true"/>
</View>
""",
    )


def _cut_tracks(
    boxes: Sequence[LabeledBox], following: dict[float, float]
) -> list[list[LabeledBox]]:
    """Sorts boxes into tracks of one person with equal actions on keyframes in a row."""
    tracks: list[list[LabeledBox]] = []
    latest: dict[tuple[int, frozenset[str]], list[LabeledBox]] = {}
    for box in sorted(boxes, key=lambda box: box.timestamp):
        who = None if box.person_id is None else (box.person_id, frozenset(box.actions))
        track = None if who is None else latest.get(who)
        if track is not None and following.get(track[-1].timestamp) == box.timestamp:
            track.append(box)
            continue
        tracks.append([box])
        if who is not None:
            latest[who] = tracks[-1]
    return tracks
