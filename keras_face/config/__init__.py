"""Configuration: an INI file for the user, frozen and typed dataclasses for the code.

Every key has a type, a range and a comment, given once, by `setting`. `[loss NAME]` holds settings of one loss, which
that loss checks. A section that is none of these is a training dataset and takes the keys of `DatasetConfig`;
`[data] train` names those that are used.
"""

from keras_face.config.ini import FAMILIAR_FLAGS, QUICK_START, familiar, load, write_config
from keras_face.config.sections import (
    SECTIONS,
    AugmentationConfig,
    Config,
    DataConfig,
    DatasetConfig,
    LatseConfig,
    LfwConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    ScheduleConfig,
    SyntheticConfig,
    TeacherConfig,
    TrainingConfig,
    ValidationConfig,
    YtfConfig,
)

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
    "OptimizerConfig",
    "RunConfig",
    "ScheduleConfig",
    "SyntheticConfig",
    "TeacherConfig",
    "TrainingConfig",
    "ValidationConfig",
    "YtfConfig",
    "familiar",
    "load",
    "write_config",
]
