"""Does what `ava-det convert` does: writes weights of any known format as safetensors."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from ava_det.checkpoint import resolve_weights, save_safetensors
from ava_det.checkpoint.zoo import choose_weights
from ava_det.config import ConfigError, config_to_dict, load_config
from ava_det.files import require_other_files
from ava_det.inference.stream_weights import load_streams
from ava_det.inference.unlike_input import describe_unlike_flow
from ava_det.models.build import build_model

logger = logging.getLogger("ava_det")


def run(args: argparse.Namespace) -> int:
    """Runs `ava-det convert` and returns its exit code."""
    args.weights = choose_weights(args.weights)
    read = {"--weights": resolve_weights(args.weights), "--config": args.config}
    if args.flow_weights is not None:
        read["--flow-weights"] = resolve_weights(args.flow_weights)
    require_other_files({"--output": args.output}, read)
    config = load_config(args.config, args.overrides)
    if args.flow_weights is not None and config.model.streams != "two_stream":
        raise ConfigError(
            "--flow-weights: expected a config of model.streams two_stream, found "
            f"{config.model.streams}"
        )
    config = replace(config, flow_weights=None)
    model = build_model(config)
    loaded = load_streams(model, args.weights, args.flow_weights)
    facts = {
        "config": config_to_dict(config),
        "converted_from": " and ".join(dict.fromkeys(Path(part.file).name for part in loaded)),
        "names_of": " and ".join(dict.fromkeys(part.report.source for part in loaded)),
    }
    for name in ("label_map", "thresholds"):
        if loaded[0].content.get(name):
            facts[name] = loaded[0].content[name]
    save_safetensors(args.output, model.state_dict(), facts)
    for part in loaded:
        if part.stream != "rgb":  # the new file says that it learned the config's flow
            for sentence in describe_unlike_flow(config, part.file, part.content):
                logger.warning(sentence)
        print(f"{args.output}: {part}" if part.stream else f"{args.output}: {part.report}")
    return 0
