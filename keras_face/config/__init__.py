"""Configuration: an INI file for the user, frozen and typed dataclasses for the code.

Every key has a type, a range and a comment, given once, by `setting`. `[loss]` names the head; `[loss NAME]` holds all
else of one loss: its weight, and its settings, which that loss checks. A section that is none of these is a training
dataset and takes the keys of `DatasetConfig`; `[data] train` names those that are used.
"""

from keras_face.config.data import (
    AugmentationConfig,
    DataConfig,
    DatasetConfig,
    LfwConfig,
    SyntheticConfig,
    YtfConfig,
)
from keras_face.config.familiar import FAMILIAR_FLAGS, check_flag, familiar
from keras_face.config.finding import find_config, recipes
from keras_face.config.ini import QUICK_START, config_text, given, load, section_text, write_config
from keras_face.config.model import LatseConfig, LossConfig, ModelConfig, NamedLossConfig, TeacherConfig
from keras_face.config.sections import SECTIONS, Config
from keras_face.config.starting import taken_from_run
from keras_face.config.training import OptimizerConfig, RunConfig, ScheduleConfig, TrainingConfig, ValidationConfig

__all__ = [
    "FAMILIAR_FLAGS",
    "QUICK_START",
    "SECTIONS",
    "AugmentationConfig",
    "Config",
    "DataConfig",
    "DatasetConfig",
    "LatseConfig",
    "LfwConfig",
    "LossConfig",
    "ModelConfig",
    "NamedLossConfig",
    "OptimizerConfig",
    "RunConfig",
    "ScheduleConfig",
    "SyntheticConfig",
    "TeacherConfig",
    "TrainingConfig",
    "ValidationConfig",
    "YtfConfig",
    "check_flag",
    "config_text",
    "familiar",
    "find_config",
    "given",
    "load",
    "recipes",
    "section_text",
    "taken_from_run",
    "write_config",
]
