"""Measures how long the import of annotation tools' files takes, without decoding a video."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ava_det.cli import Commands
from ava_det.formats.tubes import Tube, TubeTruth
from ava_det.formats.tubes.ground_truth import load_tube_truth
from ava_det.formats.tubes.truth_writer import write_truth
from ava_det.interchange.clock import FrameClock, VideoClocks
from ava_det.interchange.coco import load_coco
from ava_det.interchange.coco_writer import write_coco
from ava_det.interchange.cvat import load_cvat
from ava_det.interchange.cvat_actions import boxes_from_task
from ava_det.interchange.cvat_writer import write_cvat
from ava_det.interchange.datumaro import load_datumaro
from ava_det.interchange.datumaro_writer import write_datumaro
from ava_det.interchange.label_studio import load_label_studio
from ava_det.interchange.label_studio_actions import boxes_from_studio
from ava_det.interchange.label_studio_writer import write_label_studio
from ava_det.interchange.labeled import LabeledBox, rows_from_labeled
from ava_det.interchange.picture_actions import boxes_from_pictures
from ava_det.interchange.picture_keyframes import choose_picture_keyframes
from ava_det.interchange.pictures import PictureLabels
from ava_det.interchange.tube_labels import boxes_from_tubes
from ava_det.interchange.via import load_via
from ava_det.interchange.via_actions import boxes_from_via
from ava_det.interchange.via_writer import write_via

ACTIONS = ["stand", "walk", "read", "sit", "wave"]
NUM_PERSONS = 10
FPS = 30


class OneClock(VideoClocks):
    """Knows one video, which is not there."""

    def __init__(self, clock: FrameClock) -> None:
        super().__init__(None, None, 0.0)
        self._clock = clock

    def choose(self, candidates: Sequence[str], where: str) -> str:
        """Returns the last one; all are the one video."""
        return candidates[-1]

    def find(self, video_id: str, where: str, last_frame: int = 0) -> FrameClock:
        """Returns the only clock."""
        return self._clock


def add_labels(commands: Commands) -> None:
    """Adds the parser of `python -m benchmarks labels`."""
    parser = commands.add_parser("labels", help="the import of annotation tools' files")
    parser.add_argument("--boxes", type=int, default=10_000, help="default: %(default)s")
    parser.set_defaults(run=benchmark_labels)


def benchmark_labels(args: argparse.Namespace) -> int:
    """Prints seconds of the processor for each format, and for reading its text alone."""
    clock, boxes = make_labels(args.boxes)
    label_map = dict(enumerate(ACTIONS, 1))
    clocks = OneClock(clock)

    def read_pictures(labels: PictureLabels) -> list[LabeledBox]:
        keyframes = choose_picture_keyframes(labels, clocks, 1.0, 0, None)
        return boxes_from_pictures(labels, keyframes, "person", ())

    with tempfile.TemporaryDirectory() as folder:
        names = ("a.xml", "via.json", "studio.json", "coco.json", "datumaro.zip", "GT.pkl")
        xml, via, studio, coco, datumaro, tubes = (Path(folder) / name for name in names)
        write_cvat(xml, "walk.mp4", clock, boxes, ACTIONS)
        write_via(via, "walk.mp4", clock, boxes, ACTIONS)
        write_label_studio(studio, "walk.mp4", clock, boxes, ACTIONS)
        write_coco(coco, "walk.mp4", clock, boxes, ACTIONS)
        write_datumaro(datumaro, "walk.mp4", clock, boxes, ACTIONS)
        write_truth(tubes, make_tubes(args.boxes, clock))
        imports: dict[str, Callable[[], list[LabeledBox]]] = {
            "cvat": lambda: boxes_from_task(load_cvat(xml)[0], clock, 1.0, "person", ()),
            "via": lambda: boxes_from_via(load_via(via), clocks, "person", (), FPS, 0.0),
            "label-studio": lambda: boxes_from_studio(
                load_label_studio(studio)[0], clock, 1.0, "person", ()
            ),
            "coco": lambda: read_pictures(load_coco(coco)),
            "datumaro": lambda: read_pictures(load_datumaro(datumaro)),
            "gttubes": lambda: boxes_from_tubes(load_tube_truth(tubes), clocks, 1.0, Counter(), []),
        }
        for name, read in imports.items():
            begin = time.process_time()
            found = read()
            rows_from_labeled(found, label_map)
            print(f"{name:14} {len(found)} boxes {time.process_time() - begin:6.2f} s")
        begin = time.process_time()
        json.loads(via.read_text(encoding="utf-8"))
        print(f"floor: the JSON of via alone {time.process_time() - begin:6.2f} s")
    return 0


def make_tubes(count: int, clock: FrameClock) -> TubeTruth:
    """Makes persons who do two things all the time, with a box in every frame of that time."""
    frames = np.arange(1, FPS * (count // NUM_PERSONS))
    tubes = []
    for person in range(NUM_PERSONS):
        box = (53 * person, 36, 53 * person + 45, 216)
        boxes = np.tile(np.array(box, dtype=np.float32), (len(frames), 1))
        tubes += [Tube("walk", label, frames, boxes) for label in (person % 2, 2 + person % 3)]
    tubes.sort(key=lambda tube: tube.label)
    names = (("walk",),)
    length = {"walk": len(clock.seconds)}
    return TubeTruth(tuple(ACTIONS), names, names, length, {"walk": (360, 640)}, {"walk": tubes})


def make_labels(count: int) -> tuple[FrameClock, list[LabeledBox]]:
    """Makes persons who do two things at a time and change them every few seconds."""
    boxes = []
    for number in range(count):
        second, person = divmod(number, NUM_PERSONS)
        first, step = second // 7 + person, 1 + second // 5 % 4
        actions = (ACTIONS[first % 5], ACTIONS[(first + step) % 5])
        corners = (person / 12, 0.1, person / 12 + 0.07, 0.6)
        boxes.append(LabeledBox("walk", float(second), corners, actions, person, "benchmark"))
    num_frames = FPS * (count // NUM_PERSONS + 1) + 1
    return FrameClock("walk.mp4", np.arange(num_frames) / FPS, (640, 360)), boxes
