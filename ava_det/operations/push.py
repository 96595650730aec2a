"""Does what `ava-det push` does: shares the weights of a run through the Hugging Face Hub."""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from ava_det.checkpoint import WeightsError, load_checkpoint, save_safetensors
from ava_det.checkpoint.hub import (
    PREFIX,
    WEIGHTS_FILE,
    check_repository,
    import_hub,
    is_shared,
    upload_shared,
)
from ava_det.checkpoint.zoo import ZOO
from ava_det.config import Config, ConfigError, config_from_dict, config_to_dict, config_to_yaml
from ava_det.files import write_json, write_text
from ava_det.formats.label_map import write_label_map
from ava_det.inference.pretrained import DEFAULT_THRESHOLD, check_thresholds
from ava_det.operations.model_card import CardFacts, find_score, format_card

logger = logging.getLogger("ava_det")

_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^/\s]+/)+")  # of an absolute path; no part of a URL


@dataclass(frozen=True)
class SharedRun:
    """Holds what is shared of a run.

    Attributes:
        model: The state dict.
        facts: What the card says.
    """

    model: Mapping[str, Tensor]
    facts: CardFacts


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det push` and returns its exit code."""
    check_repository(args.repo)
    import_hub(f"{PREFIX}{args.repo}")  # what is not installed is said before anything is read
    shared = read_run(args.run, args.repo, args.license)
    with TemporaryDirectory(prefix="ava_det_") as folder:
        write_shared(shared, Path(folder))
        address = upload_shared(Path(folder), args.repo, args.private, args.revision)
    name = f"{PREFIX}{args.repo}" + (f"@{args.revision}" if args.revision else "")
    print(f"{address}: weights {name}")
    return 0


def read_run(folder: Path, repository: str, license: str) -> SharedRun:
    """Reads what is shared of a run: its last weights, and their numbers.

    Args:
        folder: `output_dir` of a training.
        repository: user/name.
        license: Of the weights, as the hub names it.

    Raises:
        WeightsError: There are no weights, or not those of a training.
        ConfigError: The network needs a file that nobody else has.
    """
    path = folder / "checkpoints" / "last.pt"
    if not path.is_file():
        raise WeightsError(f"{path}: no such file, expected the output_dir of a training")
    content = load_checkpoint(path)
    if not isinstance(content.get("config"), dict) or not content.get("label_map"):
        raise WeightsError(
            f"{path}: expected the config and the label map that `ava-det train`, train-head and "
            "train-kinetics save"
        )
    label_map = content["label_map"]
    stored = check_thresholds(content.get("thresholds"), path)
    metrics = read_metrics(folder / "metrics.json", content)
    environment = read_json(folder / "environment.json") or {}
    config = config_from_dict(drop_folders(content["config"]), f"the config in {path}")
    check_bank(config)
    facts = CardFacts(
        repository,
        license,
        config,
        label_map,
        {action_id: stored.get(action_id, DEFAULT_THRESHOLD) for action_id in label_map},
        metrics,
        environment,
        is_head="epoch" not in content,
    )
    return SharedRun(content["model"], facts)


def read_metrics(path: Path, state: Mapping[str, Any]) -> dict[str, Any] | None:
    """Reads metrics.json, or warns that it is of other weights than the checkpoint and leaves it.

    A run that stopped within an epoch, or that scored other weights into the same folder, has such
    a file.
    """
    metrics = read_json(path)
    if metrics is None:
        return None
    if "epoch" in state:  # of a training, which remembers its scores
        score = None if state["batch"] else state["mean_aps"].get(state["epoch"])
        if find_score(metrics)[1] != score:
            logger.warning(f"{path}: is left out, because it is not of checkpoints/last.pt")
            return None
    warnings = [_FOLDERS.sub("", sentence) for sentence in metrics.get("warnings", ())]
    return {**drop_folders(metrics), "warnings": warnings}


def read_json(path: Path) -> dict[str, Any] | None:
    """Reads a JSON file of the run; None where there is none.

    Raises:
        ValueError: It is no JSON.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON ({error})") from None
    return dict(content)


def drop_folders(value: Any) -> Any:
    """Shortens absolute paths to their last part: what this machine is called is not shared."""
    if isinstance(value, dict):
        return {key: drop_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [drop_folders(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def check_bank(config: Config) -> None:
    """Checks that others can fill the bank of a network that reads one.

    Raises:
        ConfigError: The network that fills it is a file.
    """
    bank = config.model.long_term
    name = str(bank.bank_weights)
    if bank.is_used and name not in ZOO and not is_shared(name):
        raise ConfigError(
            "model.long_term.bank_weights: expected weights that others have too, a name of the "
            f"model zoo or hf:user/name, received {name!r}"
        )


def write_shared(shared: SharedRun, folder: Path) -> None:
    """Writes the files that are uploaded: weights, config, names, thresholds, numbers and card."""
    facts = shared.facts
    thresholds = {str(action_id): score for action_id, score in facts.thresholds.items()}
    header = {
        "config": config_to_dict(facts.config),
        "label_map": dict(facts.label_map),
        "thresholds": thresholds,
    }
    save_safetensors(folder / WEIGHTS_FILE, shared.model, header)
    write_text(folder / "config.yaml", config_to_yaml(facts.config))
    write_label_map(folder / "labelmap.pbtxt", facts.label_map)
    write_json(folder / "thresholds.json", thresholds)
    if facts.metrics is not None:
        write_json(folder / "metrics.json", facts.metrics)
    write_text(folder / "README.md", format_card(facts))
