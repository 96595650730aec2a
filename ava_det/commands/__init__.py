"""Lists the commands of `ava-det`: one module each, with `make_parser()` and `main(argv=None)`.

This table is all that `ava-det --help` reads; a command's own module is imported when it is run.
Such a module holds options and help and imports no large library: `main` first parses the command
line and only then imports what does the work, mostly the module of the same name in
ava_det/operations.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """Describes a word after `ava-det`.

    Attributes:
        module: The module with its `main`.
        summary: What it does, in one line.
        old_names: The names it was called by before 0.2: the installed script and others.
    """

    module: str
    summary: str
    old_names: tuple[str, ...] = ()


GROUPS: dict[str, dict[str, Command]] = {
    "begin": {
        "quickstart": Command(
            "ava_det.commands.quickstart", "render a small dataset, train on it, score and show it"
        ),
        "demo": Command(
            "ava_det.commands.demo",
            "show on videos, cameras or streams who does what",
            ("ava-demo",),
        ),
        "detect": Command(
            "ava_det.commands.detect",
            "find the persons in videos and write a box file",
            ("ava-detect-persons",),
        ),
        "label": Command(
            "ava_det.commands.label", "label an archive of videos, on one machine or many"
        ),
        "merge": Command("ava_det.commands.merge", "join the results of an archive into tables"),
    },
    "see": {
        "view": Command(
            "ava_det.commands.view", "make a page on which a video plays with what was found"
        ),
        "serve": Command(
            "ava_det.commands.serve", "serve a camera or a folder of videos to browsers"
        ),
        "segments": Command(
            "ava_det.commands.segments", "make a table of who did what from when to when"
        ),
    },
    "train and score": {
        "train": Command(
            "ava_det.commands.train", "train an action detector and evaluate it", ("ava-train",)
        ),
        "test": Command(
            "ava_det.commands.test", "score trained weights on a split of a dataset", ("ava-test",)
        ),
        "score": Command(
            "ava_det.commands.score", "compute mAP of a result CSV, or of tubes", ("ava-evaluate",)
        ),
        "fuse": Command(
            "ava_det.commands.fuse", "make an ensemble of result CSVs, with fitted weights or given"
        ),
        "link": Command("ava_det.commands.link", "link the boxes of frames to tubes"),
        "train-head": Command(
            "ava_det.commands.train_head",
            "train your own classes on a frozen network, in minutes",
            ("ava-train-head",),
        ),
        "train-detector": Command(
            "ava_det.commands.train_detector",
            "train a person detector on labeled boxes",
            ("ava-train-detector",),
        ),
        "train-kinetics": Command(
            "ava_det.commands.train_kinetics",
            "train a classifier of whole videos",
            ("ava-train-kinetics",),
        ),
        "reproduce": Command(
            "ava_det.commands.reproduce",
            "reproduce a published mAP from AVA's movies",
            ("ava-reproduce",),
        ),
    },
    "datasets": {
        "check": Command(
            "ava_det.commands.check", "find what is wrong with a dataset", ("ava-check-dataset",)
        ),
        "import": Command(
            "ava_det.commands.import_annotations",
            "turn labels of annotation tools and tables into AVA's format",
            ("ava-import-annotations",),
        ),
        "export-labels": Command(
            "ava_det.commands.export_labels",
            "write labels or detections for annotation tools, to be corrected",
        ),
        "review": Command(
            "ava_det.commands.review", "accept, reject or change what was found, as annotations"
        ),
        "suggest": Command("ava_det.commands.suggest", "suggest which keyframes to label next"),
        "prepare-tubes": Command(
            "ava_det.commands.prepare_tubes",
            "make annotations of UCF101-24's, JHMDB's or MultiSports' tubes",
        ),
        "prepare-ava": Command(
            "ava_det.commands.prepare_ava", "fetch AVA, check it and lay it out"
        ),
        "prepare-ava-kinetics": Command(
            "ava_det.commands.prepare_ava_kinetics",
            "make annotations of Kinetics' clips from AVA-Kinetics",
        ),
        "transcode": Command(
            "ava_det.commands.transcode", "make videos small and quick to read for training"
        ),
        "flow": Command(
            "ava_det.commands.flow", "write the optical flow of videos as pictures, as TSN reads it"
        ),
        "render": Command("ava_det.commands.render", "render the synthetic dataset"),
        "render-clips": Command(
            "ava_det.commands.render_clips", "render clips with one class each"
        ),
    },
    "weights and configs": {
        "config": Command(
            "ava_det.commands.config", "print a config in full, or what its keys mean"
        ),
        "info": Command(
            "ava_det.commands.info",
            "print what a network looks like and costs",
            ("ava-model-info",),
        ),
        "export": Command(
            "ava_det.commands.export", "write weights as ONNX or OpenVINO", ("ava-export",)
        ),
        "convert": Command(
            "ava_det.commands.convert",
            "turn published weights into safetensors",
            ("ava-convert-weights",),
        ),
        "push": Command(
            "ava_det.commands.push", "share the weights of a run through the Hugging Face Hub"
        ),
        "completion": Command(
            "ava_det.commands.completion", "print what makes a shell complete these commands"
        ),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
OLD_NAMES = {old: name for name, command in COMMANDS.items() for old in command.old_names}
