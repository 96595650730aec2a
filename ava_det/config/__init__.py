"""Describes an experiment: a YAML file, the base it may name, and `key=value` overrides.

Only tasks, inference and commands see a whole `Config`: every other class takes plain values.
"""

from ava_det.config.checks import ConfigError
from ava_det.config.data import DataConfig, SplitConfig
from ava_det.config.detector import DetectorConfig
from ava_det.config.load import (
    config_from_dict,
    config_to_dict,
    config_to_yaml,
    find_shipped,
    load_config,
    schema_keys,
)
from ava_det.config.model import ModelConfig
from ava_det.config.networks import BLOCKS_PER_STAGE
from ava_det.config.schema import Config, EvalConfig
from ava_det.config.train import TrainConfig

__all__ = [
    "BLOCKS_PER_STAGE",
    "Config",
    "ConfigError",
    "DataConfig",
    "DetectorConfig",
    "EvalConfig",
    "ModelConfig",
    "SplitConfig",
    "TrainConfig",
    "config_from_dict",
    "config_to_dict",
    "config_to_yaml",
    "find_shipped",
    "load_config",
    "schema_keys",
]
