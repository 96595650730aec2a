"""The experiment: a YAML file, after the base it may name; `key=value` overrides come last.

Only tasks, inference and commands see a whole `Config`: every other class takes plain values.
"""

from ava_det.config.load import (
    config_from_dict,
    config_to_dict,
    config_to_yaml,
    find_shipped,
    load_config,
    schema_keys,
)
from ava_det.config.networks import BLOCKS_PER_STAGE
from ava_det.config.schema import (
    Config,
    ConfigError,
    DataConfig,
    DetectorConfig,
    EvalConfig,
    ModelConfig,
    SplitConfig,
    TrainConfig,
)

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
