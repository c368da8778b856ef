"""Keys of a configuration that contradict each other."""

from keras_face.config.nearest import unknown
from keras_face.config.sections import Config

# Training datasets that have no section of their own.
DRAWN = ("synthetic", "synthetic_tracks")


def check_together(config: Config, source: str) -> None:
    """Raises ValueError where keys contradict each other."""
    for name in config.data.train:
        if name not in (*DRAWN, *config.datasets):
            raise ValueError(f"{source}: [data] train: {unknown('dataset section', name, [*config.datasets, *DRAWN])}")
    for name, dataset in config.datasets.items():
        if dataset.mxrec:
            raise ValueError(
                f"{source}: [{name}] mxrec: .rec files are not read in training; "
                "give records (written by tfrecords_tools) or photos instead"
            )
    if len(config.data.image_size) != 2:
        raise ValueError(f"{source}: [data] image_size: expected height, width, got {config.data.image_size}")
    if (crop_from := config.data.crop_from) and (
        len(crop_from) != 2 or any(whole < part for whole, part in zip(crop_from, config.data.image_size, strict=False))
    ):
        raise ValueError(
            f"{source}: [data] crop_from: expected a height, width of at least image_size {config.data.image_size}, "
            f"got {crop_from}"
        )
    training = config.training
    if training.steps and training.epochs:
        raise ValueError(
            f"{source}: [training] expected steps or epochs, got steps {training.steps} and epochs {training.epochs}"
        )
    _check_losses(config, source)
    schedule = config.schedule
    if schedule.kind == "piecewise" and (
        len(schedule.lr_steps) != len(schedule.lr_factors) or list(schedule.lr_steps) != sorted(schedule.lr_steps)
    ):
        raise ValueError(
            f"{source}: [schedule] expected rising lr_steps and as many lr_factors, "
            f"got {schedule.lr_steps} and {schedule.lr_factors}"
        )
    best = config.validation.best
    measured = {"lfw": config.lfw.enable, "ytf": config.ytf.enable, "held_out": config.data.hold_out > 0}
    if best != "last" and not (any(measured.values()) if best == "either" else measured[best]):
        needed = {"held_out": "[data] hold_out above 0", "either": "[lfw] or [ytf] enable, or [data] hold_out"}
        raise ValueError(
            f"{source}: [validation] best: {best} expects {needed.get(best, f'[{best}] enable')}, to be measured"
        )
    model, teacher = config.model, config.teacher
    if (model.keep_prototypes or model.frozen_stages) and not model.model_path:
        raise ValueError(f"{source}: [model] model_path: expected one for keep_prototypes or frozen_stages, got none")
    if model.keep_prototypes and config.loss.head == "none":
        raise ValueError(f"{source}: [model] keep_prototypes: expected a head, [loss] head is none")
    if teacher.mask != "none" and not teacher.model_path:
        raise ValueError(f"{source}: [teacher] model_path: expected one for the mask {teacher.mask}, got none")
    if config.latse.weight and config.latse.aim == "identity_mean" and config.run.strategy == "multi_worker":
        raise ValueError(
            f"{source}: [latse] aim: expected crop for multi_worker, as a mean image is on one machine's disk"
        )


def _check_losses(config: Config, source: str) -> None:
    weights = config.loss_weights
    if config.loss.head == "none":
        if "angular_centre" in weights:
            raise ValueError(
                f"{source}: [loss angular_centre] weight: expected 0 without a head, as the term is about the head's "
                f"prototypes, got {weights['angular_centre']}"
            )
        if not weights:
            raise ValueError(
                f"{source}: [loss] head none: expected a section [loss NAME] with a weight above 0, such as "
                "[loss batch_hard_triplet], found none"
            )
    if "batch_hard_triplet" in weights and config.data.images_per_identity < 2:
        raise ValueError(
            f"{source}: [data] images_per_identity: expected 2 or more for the triplet loss, "
            f"got {config.data.images_per_identity}"
        )
