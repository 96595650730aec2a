"""Compares the ways of linking the boxes of frames to tubes, by video mAP on the synthetic set.

    python -m studies.tube_linking [--output outputs/tube_linking] [key=value ...]

Renders the set with its tubes and six videos more, trains configs/synthetic/tubes.yaml, scores its
persons with labeled boxes and with those of the motion detector, and links them with every linker,
as they come and trimmed in time. What a tube must score is chosen on the six videos, and the
validation videos are then scored once. Writes table.md. What is already there is not repeated, and
a training that was stopped goes on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ava_det.cli import ToolParser, reports_mistakes
from ava_det.commands.link import main as link
from ava_det.commands.link import make_parser
from ava_det.commands.render import main as render
from ava_det.commands.test import main as test
from ava_det.commands.train import main as train
from ava_det.config import load_config
from ava_det.datasets.synthetic.scene import FPS, START_SECOND
from ava_det.evaluation.tubes import TubeResult, evaluate_tubes
from ava_det.files import write_text
from ava_det.formats.tubes import Tube, load_tube_truth, read_tubes
from ava_det.linking.greedy import MIN_FRAMES
from ava_det.linking.trimming import trim_by_hysteresis
from studies.synthetic_table import ROOT

CONFIG = str(ROOT / "configs/synthetic/tubes.yaml")
HIGHS = (0.1, 0.2, 0.3, 0.5, 0.7)  # that a tube must reach; it begins and ends at half of it
BOXES = {"gt": "labeled boxes", "motion": "boxes of the motion detector"}
THRESHOLDS = (0.2, 0.5)
RANGES = ("0.10:0.90", "0.50:0.95")


class Linking(NamedTuple):
    """Names a linker and whether its tubes are trimmed in time."""

    method: str
    trimmed: bool


# no trimming of mmaction2's tubes: all of their boxes have one score
LINKINGS = (
    Linking("tracks", True),
    Linking("tracks", False),
    Linking("act", False),
    Linking("act", True),
    Linking("mmaction2", False),
    Linking("yowo", False),
    Linking("yowo", True),
)


class Part(NamedTuple):
    """Names a rendered set and where its validation videos are scored."""

    rendered: Path
    scored: Path


class Row(NamedTuple):
    """Holds what one linking reached.

    Attributes:
        linking: The linking.
        held_out: What a tube must score -> video mAP at 0.5 on the held-out videos; empty where
            nothing was chosen there.
        high: What a tube must score, None for a linking that is not trimmed.
        result: On the validation videos.
        num_tubes: There.
    """

    linking: Linking
    held_out: dict[float, float]
    high: float | None
    result: TubeResult
    num_tubes: int


class Sizes(NamedTuple):
    """Holds the options of `ava-det render` for the set and for the held-out videos."""

    whole: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ("--seed", "1", "--num-train", "1", "--num-val", "6")


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the study and returns its exit code."""
    parser = ToolParser("python -m studies.tube_linking", __doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/tube_linking"), metavar="DIR")
    parser.add_overrides()
    args = parser.parse_intermixed_args(argv)
    table = measure(args.output, Sizes(), args.overrides)
    write_text(args.output / "table.md", table)
    print(table)
    return 0


def measure(output: Path, sizes: Sizes, overrides: Sequence[str]) -> str:
    """Renders, trains, scores and links what is not there yet, and returns the table."""
    whole, held_out = output / "set", output / "held_out"
    for folder, options in ((whole, sizes.whole), (held_out, sizes.held_out)):
        _do(render, ["--tubes", "--output", str(folder), *options])
    run = output / "run"
    weights = train_once(run, [*overrides, *_name_files(whole)])
    sections = []
    for boxes, title in BOXES.items():
        held, val = (Part(data, output / f"{boxes}_{data.name}") for data in (held_out, whole))
        if boxes == "gt":
            val = Part(whole, run)  # a training ends with these scores
        for part in (held, val):
            if part.scored != run:
                score_once(part, weights, overrides, boxes)
        rows = [score_default(val), *(compare(linking, held, val) for linking in LINKINGS)]
        sections.append(format_section(title, val.scored, rows))
    return "\n".join(sections)


def _name_files(data: Path) -> list[str]:
    """Returns overrides for the files of a rendered set."""
    return [
        f"data.video_dir={data}/videos",
        f"data.label_map={data}/labelmap.pbtxt",
        f"data.train.annotations={data}/train_dense.csv",
        f"data.val.annotations={data}/val_dense.csv",
    ]


def train_once(folder: Path, overrides: Sequence[str]) -> Path:
    """Trains, or goes on with a training of the same config; returns the weights."""
    wanted = [*overrides, f"output_dir={folder}"]
    weights = folder / "checkpoints" / "last.pt"
    begun = weights.is_file() and load_config(folder / "config.yaml") == load_config(CONFIG, wanted)
    if not begun or not (folder / "metrics.json").is_file():
        _do(train, ["--config", CONFIG, *wanted, *(["--resume"] if begun else [])])
    return weights


def score_once(part: Part, weights: Path, overrides: Sequence[str], boxes: str) -> None:
    """Scores the persons of the validation videos of a set, unless these weights did so."""
    finished = part.scored / "metrics.json"
    if finished.is_file() and finished.stat().st_mtime > weights.stat().st_mtime:
        return
    own = [*_name_files(part.rendered), f"data.val.boxes={boxes}", f"output_dir={part.scored}"]
    _do(test, ["--config", CONFIG, "--weights", str(weights), *overrides, *own])


def _do(command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> None:
    """Runs a command of ava-det; ends the study where it fails, which it has explained itself."""
    code = command(arguments)
    if code:
        sys.exit(code)


def score_default(validation: Part) -> Row:
    """Scores the tubes of `ava-det link` without options."""
    high: float = make_parser().get_default("high")
    tubes = find_tubes(LINKINGS[0], validation, high)
    return Row(LINKINGS[0], {}, high, evaluate(validation, tubes), len(tubes))


def compare(linking: Linking, held_out: Part, validation: Part) -> Row:
    """Chooses what a tube must score on the held-out videos, and scores the validation videos."""
    by_high: dict[float, float] = {}
    if linking.trimmed:
        for high in HIGHS:
            result = evaluate(held_out, find_tubes(linking, held_out, high))
            by_high[high] = result.by_threshold[0.5].mean_ap or 0.0
    best = max(by_high, key=lambda high: by_high[high]) if by_high else None
    tubes = find_tubes(linking, validation, best)
    return Row(linking, by_high, best, evaluate(validation, tubes), len(tubes))


def find_tubes(linking: Linking, part: Part, high: float | None) -> list[Tube]:
    """Links the persons of a part; `high` is None for tubes that are not trimmed."""
    output = part.scored / f"{linking.method}.jsonl"
    files = {
        "--detections": part.scored / "detections.csv",
        "--frames": part.rendered / "frames.csv",
        "--label-map": part.rendered / "labelmap.pbtxt",
        "--output": output,
    }
    options = [str(word) for pair in files.items() for word in pair]
    options += ["--start-second", str(START_SECOND), "--method", linking.method]
    _do(link, [*options, "--high", f"{high or 0:g}"])
    tubes = read_tubes(output)
    if linking.method == "tracks" or high is None:
        return tubes
    return list(chain.from_iterable(trim(tube, high) for tube in tubes))


def trim(tube: Tube, high: float) -> Iterator[Tube]:
    """Cuts a tube to the stretches that reach `high`, as tubes of tracks are; see `TrackRule`."""
    assert tube.box_scores is not None
    for span in trim_by_hysteresis(tube.box_scores, high, high / 2, MIN_FRAMES, FPS):
        chosen = slice(*span)
        scores = tube.box_scores[chosen]
        yield Tube(
            tube.video,
            tube.label,
            tube.frames[chosen],
            tube.boxes[chosen],
            float(scores.mean()),
            scores,
        )


def evaluate(part: Part, tubes: Sequence[Tube]) -> TubeResult:
    """Scores tubes by the protocol `multisports`."""
    truth = load_tube_truth(part.rendered / "tubes_GT.pkl")
    return evaluate_tubes(truth, tubes, "multisports", THRESHOLDS, RANGES)


def format_section(title: str, scored: Path, rows: Sequence[Row]) -> str:
    """Formats the table of one kind of boxes, and the values that were chosen from."""
    metrics = json.loads((scored / "metrics.json").read_text(encoding="utf-8"))
    found = f", recall {metrics['person_recall']:.3f}" if metrics["person_recall"] else ""
    heads = [*(f"{threshold:g}" for threshold in THRESHOLDS), *RANGES]
    lines = [
        f"## {title}: frame mAP {metrics['mAP']:.3f}{found}\n",
        f"| linking | trimmed at | video mAP {' | '.join(heads)} | tubes |",
        "|" + "---|" * (len(heads) + 3),
    ]
    for row in rows:
        high = "" if row.high is None else f"{row.high:g} and {row.high / 2:g}"
        high += "" if row.high is None or row.held_out else ", the default"
        values = [row.result.by_threshold[threshold].mean_ap for threshold in THRESHOLDS]
        values += [row.result.ranges[name] for name in RANGES]
        cells = " | ".join(f"{value or 0.0:.3f}" for value in values)
        lines.append(f"| `{row.linking.method}` | {high} | {cells} | {row.num_tubes} |")
    lines += [
        "\nHeld-out videos, video mAP at 0.5 by what a tube must reach:\n",
        f"| linking | {' | '.join(f'{high:g}' for high in HIGHS)} |",
        "|" + "---|" * (len(HIGHS) + 1),
    ]
    for row in rows:
        if row.held_out:
            cells = " | ".join(f"{value:.3f}" for value in row.held_out.values())
            lines.append(f"| `{row.linking.method}` | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
