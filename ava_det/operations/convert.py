"""Does what `ava-det convert` does: writes weights of any known format as safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path

from ava_det.checkpoint import (
    load_checkpoint,
    load_weights,
    resolve_weights,
    save_safetensors,
)
from ava_det.checkpoint.zoo import choose_weights
from ava_det.config import config_to_dict, load_config
from ava_det.files import require_other_files
from ava_det.models.build import build_model


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det convert` and returns its exit code."""
    args.weights = choose_weights(args.weights)
    read = {"--weights": resolve_weights(args.weights), "--config": args.config}
    require_other_files({"--output": args.output}, read)
    config = load_config(args.config, args.overrides)
    model = build_model(config)
    report = load_weights(model, args.weights)
    facts = {
        "config": config_to_dict(config),
        "converted_from": Path(args.weights).name,
        "names_of": report.source,
    }
    label_map = load_checkpoint(args.weights).get("label_map")
    if label_map:
        facts["label_map"] = label_map
    save_safetensors(args.output, model.state_dict(), facts)
    print(f"{args.output}: {report}")
    return 0
