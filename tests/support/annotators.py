"""What people do by hand in the labeling loop: correct drafts in CVAT or in VIA, decide segments on
the page of a review. They know the ground truth of a synthetic set.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ava_det.formats.label_map import load_label_map
from tests.support.cvat_form import attribute, dense_boxes, export, labels, task_meta, track
from tests.support.view_cases import read_script

FPS, NUM_FRAMES, SIZE = 15, 180, (192, 144)  # of 12 seconds of the synthetic set
START_SECOND = 900
Moments = Collection[tuple[str, int]]  # video id, second of the file


@dataclass(frozen=True)
class SeenPerson:
    """corners: x1, y1, x2, y2 in pixels. actions: of those that are to be labeled."""

    name: str
    second: int
    corners: tuple[float, float, float, float]
    actions: set[str]


def read_truth(
    data: Path, renamed: Mapping[str, str], actions: Sequence[str]
) -> dict[str, list[SeenPerson]]:
    """By video id; renamed: id in the set -> id of the reader's file."""
    names = load_label_map(data / "labelmap.pbtxt")
    seen: dict[tuple[str, str, int], SeenPerson] = {}
    for split in ("train", "val", "demo"):
        with open(data / f"{split}.csv", encoding="utf-8") as file:
            for video_id, timestamp, *sides, action_id, name in csv.reader(file):
                second = int(timestamp) - START_SECOND
                x1, y1, x2, y2 = (float(side) * SIZE[i % 2] for i, side in enumerate(sides))
                person = SeenPerson(name, second, (x1, y1, x2, y2), set())
                person = seen.setdefault((video_id, name, second), person)
                person.actions.update({names[int(action_id)]} & set(actions))
    truth = defaultdict(list)
    for (video_id, _, _), person in sorted(seen.items()):
        truth[renamed.get(video_id, video_id)].append(person)
    return dict(truth)


def choose(
    truth: Mapping[str, list[SeenPerson]], moments: Moments
) -> Iterator[tuple[str, list[SeenPerson]]]:
    for video_id, persons in truth.items():
        chosen = [person for person in persons if (video_id, person.second) in moments]
        if chosen:
            yield video_id, chosen


def export_from_cvat(
    truth: Mapping[str, list[SeenPerson]], moments: Moments, actions: Sequence[str], exports: Path
) -> None:
    """A zip for each task: tracks drawn on these moments, a checkbox for each action."""
    exports.mkdir(exist_ok=True)
    for video_id, persons in choose(truth, moments):
        tracks = []
        for number, name in enumerate(sorted({person.name for person in persons})):
            keyframes = [
                (
                    person.second * FPS,
                    person.corners,
                    {action: str(action in person.actions).lower() for action in actions},
                )
                for person in persons
                if person.name == name
            ]
            tracks.append(track(number, dense_boxes(keyframes, NUM_FRAMES)))
        declared = labels(*(attribute(name) for name in actions))
        content = export(task_meta(f"{video_id}.mp4", NUM_FRAMES, SIZE, declared), *tracks)
        path = exports / f"task_{video_id}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("annotations.xml", content)


def save_from_via(
    truth: Mapping[str, list[SeenPerson]], moments: Moments, drafts: Path, exports: Path
) -> None:
    """The projects of the drafts, with the boxes and ticks of these moments in place of theirs."""
    exports.mkdir(exist_ok=True)
    for video_id, persons in choose(truth, moments):
        project = json.loads((drafts / f"{video_id}.json").read_text(encoding="utf-8"))
        by_name = {one["aname"]: number for number, one in project["attribute"].items()}
        options = project["attribute"][by_name["action"]]["options"]
        metadata = {}
        for number, person in enumerate(persons):
            x1, y1, x2, y2 = person.corners
            ticked = [option for option, name in options.items() if name in person.actions]
            metadata[f"1_{number:06d}"] = {
                "vid": "1",
                "flg": 0,
                "z": [person.second],
                "xy": [2, x1, y1, x2 - x1, y2 - y1],
                "av": {by_name["action"]: ",".join(ticked), by_name["person"]: person.name},
            }
        project["metadata"] = metadata
        (exports / f"{video_id}.json").write_text(json.dumps(project), encoding="utf-8")


def decide_segments(url: str, video_id: str, persons: Sequence[SeenPerson]) -> list[int]:
    """Answers the page of a review: accepted is what somebody does at that time, the rest rejected.

    Returns the decisions, 0 for rejected.
    """
    import httpx

    with httpx.Client(base_url=url, timeout=60, follow_redirects=True) as client:
        page = client.get("/")
        assert page.url.path == f"/videos/{video_id}"  # one video needs no list
        content = read_script(page.text, "data")
        names = {action_id: name for action_id, name, *_ in content["classes"]}
        state = client.get(f"/videos/{video_id}/state").json()
        for number, (_, action_id, start, end, *_) in enumerate(content["segments"]):
            done = [one.actions for one in persons if start <= one.second <= end]
            step = {
                "do": "decide",
                "segment": number,
                "action_id": action_id if names[action_id] in set().union(*done) else 0,
            }
            answer = client.post("/steps", json={"version": state["version"], "step": step})
            assert answer.is_success, answer.text
            state = answer.json()
        assert (state["decided"], state["next"]) == (state["total"], None)
        decided: list[int] = state["actionIds"]
        return decided
