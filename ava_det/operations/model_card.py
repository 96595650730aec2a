"""Writes the model card of a run: README.md, with the front matter that the hub reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ava_det.checkpoint.zoo import ZOO
from ava_det.config import Config, config_to_dict

TASK = "video-classification"  # of the hub's tasks the nearest: it has none for who does what
UNKNOWN_LICENSE = "unknown"  # the hub's name for a license that nobody stated
# score in metrics.json -> the hub's type, and the name
SCORES = {"mAP": ("mAP", "frame mAP"), "top1": ("accuracy", "top-1 accuracy")}
RECIPE = (
    "weights",
    "flow_weights",
    "model.backbone",
    "model.streams",
    "model.depth",
    "model.num_slow_frames",
    "model.slow_stride",
    "data.clip_fps",
    "data.train_short_side",
    "data.crop_size",
    "data.test_short_side",
    "data.train.boxes",
    "train.epochs",
    "train.batch_size",
    "train.optimizer",
    "train.lr",
    "train.schedule",
    "train.weight_decay",
    "seed",
)


@dataclass(frozen=True)
class CardFacts:
    """Holds what a card is made of.

    Attributes:
        repository: user/name.
        license: Of the weights, as the hub names it.
        config: The experiment.
        label_map: Action id (1-based) to name.
        thresholds: Action id to the score from which the action is shown.
        metrics: The content of metrics.json, if it is of these weights.
        environment: The content of environment.json; empty where there is none.
        is_head: Whether the last layer alone was fitted.
    """

    repository: str
    license: str
    config: Config
    label_map: Mapping[int, str]
    thresholds: Mapping[int, float]
    metrics: Mapping[str, Any] | None
    environment: Mapping[str, Any]
    is_head: bool


def format_card(facts: CardFacts) -> str:
    """Formats the card: front matter, use, data, recipe, numbers, license."""
    front = yaml.safe_dump(describe_front(facts), sort_keys=False, allow_unicode=True)
    sections = {
        "Use": _describe_use(facts),
        "Data": _describe_data(facts),
        "Recipe": _describe_recipe(facts),
        "Numbers": _describe_numbers(facts),
        "License": _describe_license(facts),
    }
    found = "who does what, where and when" if _finds_persons(facts) else "what is done"
    head = f"# {facts.repository.rpartition('/')[2]}\n\nFinds {found} in videos: "
    head += f"{len(facts.label_map)} actions, by a network of the family {_backbone(facts)}."
    parts = [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join([f"---\n{front}---\n\n{head}", *parts]) + "\n"


def describe_front(facts: CardFacts) -> dict[str, Any]:
    """Returns the front matter, with the run's score as the hub's `model-index`."""
    front: dict[str, Any] = {
        "license": facts.license,
        "library_name": "ava_det",
        "pipeline_tag": TASK,
        "tags": ["ava_det", "action-detection", _backbone(facts)],
    }
    key, score = find_score(facts.metrics or {})
    if score is not None:
        kind, name = SCORES[key]
        front["model-index"] = [
            {
                "name": facts.repository.rpartition("/")[2],
                "results": [
                    {
                        "task": {"type": TASK, "name": "action detection"},
                        "dataset": {"type": "custom", "name": _list_data(facts, "val")},
                        "metrics": [{"type": kind, "name": name, "value": score}],
                    }
                ],
            }
        ]
    return front


def find_score(metrics: Mapping[str, Any]) -> tuple[str, float | None]:
    """Finds the score by which a run is judged in metrics.json: its key, and its value."""
    key = next((key for key in SCORES if key in metrics), "")
    return key, metrics.get(key)


def _finds_persons(facts: CardFacts) -> bool:
    return facts.config.model.head == "roi"


def _backbone(facts: CardFacts) -> str:
    return facts.config.model.backbone


def _list_data(facts: CardFacts, split: str) -> str:
    """Names the annotation files of a split, without their folders."""
    files = getattr(facts.config.data, split).annotation_files
    return ", ".join(Path(file).name for file in files) or "data that is not named"


def _describe_use(facts: CardFacts) -> str:
    name = f"hf:{facts.repository}"
    install = "With `pip install 'ava_det[hub]'`"
    if not _finds_persons(facts):
        return f"{install}, `weights={name}` begins a training with these weights."
    return (
        f"{install}:\n\n```python\nfrom ava_det import Predictor\n\n"
        f'predictor = Predictor.from_pretrained("{name}")\n'
        'for detections in predictor("video.mp4"):\n    print(detections)\n```'
    )


def _describe_data(facts: CardFacts) -> str:
    learned = f"Learned from {_list_data(facts, 'train')}"
    if facts.metrics is None:
        return f"{learned}."
    metrics = facts.metrics
    counts = [
        f"{metrics[key]} {noun}"
        for key, noun in (("num_keyframes", "keyframes"), ("num_videos", "videos"))
        if key in metrics
    ]
    return f"{learned}, scored on {_list_data(facts, 'val')} ({', '.join(counts)})."


def _describe_recipe(facts: CardFacts) -> str:
    values: list[tuple[str, Any]] = []
    for key in RECIPE:
        value: Any = config_to_dict(facts.config)
        for part in key.split("."):
            value = value[part]
        if value is not None:
            values.append((key, value))
    packages = facts.environment.get("packages", {})
    versions = [f"{name} {packages[name]}" for name in ("ava_det", "torch") if packages.get(name)]
    head = ["Only the last layer was fitted, on the frozen network of `weights`."] * facts.is_head
    made = [f"Made with {', '.join(versions)}."] if versions else []
    whole = "`config.yaml` has every setting."
    return f"{' '.join([*head, *made, whole])}\n\n{_format_table(('setting', 'value'), values)}"


def _describe_numbers(facts: CardFacts) -> str:
    metrics = facts.metrics
    if metrics is None:
        return "These weights were not scored."
    key, score = find_score(metrics)
    shown = "does not exist: there are no labels" if score is None else f"{score:.4f}"
    lines = [f"{SCORES[key][1]}: {shown}" if key else "No score is known"]
    for name, words in (
        ("iou_threshold", "IoU threshold"),
        ("protocol", "protocol"),
        ("boxes", "person boxes"),
        ("person_recall", "recall of the persons"),
        ("person_precision", "precision of the persons"),
        ("top5", "top-5 accuracy"),
        ("views", "views"),
    ):
        if metrics.get(name) is not None:
            lines.append(f"{words}: {_format_value(metrics[name])}")
    lines += [f"warning: {text}" for text in metrics.get("warnings", ())]
    listed = "\n".join(f"- {line}" for line in lines)
    per_class = metrics.get("per_class")
    return listed if per_class is None else f"{listed}\n\n{_list_classes(facts, per_class)}"


def _list_classes(facts: CardFacts, per_class: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for action_id, name in facts.label_map.items():
        result = per_class.get(str(action_id), {})
        shown_from = facts.thresholds.get(action_id)
        rows.append((action_id, name, result.get("AP"), result.get("num_gt"), shown_from))
    return _format_table(("id", "action", "AP", "labeled boxes", "shown from"), rows)


def _describe_license(facts: CardFacts) -> str:
    stated = (
        "Whoever shared these weights did not state their license."
        if facts.license == UNKNOWN_LICENSE
        else f"License of these weights, as stated by whoever shared them: {facts.license}."
    )
    begun = [
        f"They began with {name}, whose license is {ZOO[name].license}."
        for name in (facts.config.weights, facts.config.flow_weights)
        if name in ZOO
    ]
    return " ".join([stated, *begun])


def _format_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_format_value(value) for value in line)} |" for line in lines)


def _format_value(value: Any) -> str:
    """Formats a value so that it stays in its cell of a table."""
    if value is None:
        return "-"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", "\\|")
