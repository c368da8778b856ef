"""All sections of a configuration together."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_face.config.data import (
    AugmentationConfig,
    DataConfig,
    DatasetConfig,
    LfwConfig,
    SyntheticConfig,
    YtfConfig,
)
from keras_face.config.model import DEFAULT_LOSSES, LatseConfig, LossConfig, ModelConfig, TeacherConfig
from keras_face.config.training import OptimizerConfig, RunConfig, ScheduleConfig, TrainingConfig, ValidationConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """All that a run is told. Sections are fields.

    Attributes:
        losses: The sections `[loss NAME]` by that name: the settings of the head, and those of further losses, each of
            which its `weight` adds.
        datasets: The sections that are none of the others.
    """

    run: RunConfig = dataclasses.field(default_factory=RunConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    augmentation: AugmentationConfig = dataclasses.field(default_factory=AugmentationConfig)
    synthetic: SyntheticConfig = dataclasses.field(default_factory=SyntheticConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    teacher: TeacherConfig = dataclasses.field(default_factory=TeacherConfig)
    latse: LatseConfig = dataclasses.field(default_factory=LatseConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    validation: ValidationConfig = dataclasses.field(default_factory=ValidationConfig)
    lfw: LfwConfig = dataclasses.field(default_factory=LfwConfig)
    ytf: YtfConfig = dataclasses.field(default_factory=YtfConfig)
    losses: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=lambda: dict(DEFAULT_LOSSES))
    datasets: Mapping[str, DatasetConfig] = dataclasses.field(default_factory=dict)

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weights above 0 of the losses beside the head, by their names."""
        weights = {name: values.get("weight", 0.0) for name, values in self.losses.items() if name != self.loss.head}
        return {name: weight for name, weight in weights.items() if weight}


SECTIONS: dict[str, Any] = {
    field.name: field.type for field in dataclasses.fields(Config) if field.name not in ("losses", "datasets")
}
