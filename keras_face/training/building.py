"""The model that a configuration asks for: network, losses, optimizer, and what goes with them."""

from collections.abc import Callable, Mapping

from keras_face import backbones, losses
from keras_face.backend import keras, tf
from keras_face.config import Config, LatseConfig, TeacherConfig
from keras_face.losses.distillation import CosineDistillation
from keras_face.records.streams import Mixture
from keras_face.training import fine_tuning, optimizers
from keras_face.training.build_backbone import build_backbone, precision
from keras_face.training.build_losses import build_losses, takes_teacher
from keras_face.training.latse import Reconstruction
from keras_face.training.model import FaceModel
from keras_face.training.teacher import Teacher


def build_mask(config: TeacherConfig) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None:
    """Returns the configured mask of `FaceModel`; None if there is none."""
    if config.mask == "none":
        return None
    settings = {"soft": True} if config.mask == "soft" else {"top_k": config.top_k}
    return lambda cosines, labels: losses.teacher_mask(cosines, labels, **settings)


def build_reconstruction(
    config: LatseConfig, embedding_size: int, image_size: tuple[int, ...], synchronized: bool = False
) -> tuple[Reconstruction, float | Callable[[tf.Tensor], tf.Tensor]]:
    """Returns LATSE's reconstruction term with its decoder, and its weight, which rises during its warm-up."""
    try:
        decoder = backbones.decoder(
            embedding_size, image_size, config.width, activation=config.activation, synchronized=synchronized
        )
    except ValueError as error:
        raise ValueError(f"[latse] the decoder of [data] image_size: {error}") from None
    layer = Reconstruction(decoder, config.distance, name="reconstruction")
    if not config.warmup_steps:
        return layer, config.weight

    def rising(step: tf.Tensor) -> tf.Tensor:
        return config.weight * tf.minimum(1.0, (tf.cast(step, tf.float32) + 1.0) / (config.warmup_steps + 1.0))

    return layer, rising


def build_model(
    config: Config, mixture: Mixture, schedule: optimizers.Schedule, teacher: Teacher | None = None
) -> FaceModel:
    """Returns the compiled model with all its variables; to be called within the strategy's scope.

    Args:
        config: All of it: the model takes from most sections.
        mixture: Training data; sizes the head.
        schedule: Learning rate of each step.
        teacher: What `[teacher]` asks for.

    Raises:
        ValueError: The network has no such stages, the teacher's embeddings have another size than the student's where
            they are compared, or nothing asks the teacher.
    """
    keras.utils.set_random_seed(config.run.seed)
    with precision(config.run.precision):
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        backbone = build_backbone(config.model, config.data.image_size, config.run.seed, replicas)
    try:
        if config.model.frozen_stages:
            fine_tuning.freeze(backbone, config.model.frozen_stages)
        decay = config.optimizer.stage_decay
        factors = fine_tuning.learning_rate_factors(backbone, decay) if decay != 1 else []
    except ValueError as error:
        raise ValueError(f"[model] frozen_stages, [optimizer] stage_decay: {error}") from None
    layers, weights = build_losses(
        config.loss,
        config.losses,
        mixture.num_identities,
        mixture.num_sequences,
        config.optimizer.accumulation_steps,
        config.run.seed,
        has_teacher=teacher is not None,
    )
    if teacher is not None:
        _check_teacher(config, teacher, layers)
    for layer in layers.values():
        layer.build((None, config.model.embedding_size))
    if config.latse.weight:
        with precision(config.run.precision):
            layers["reconstruction"], weights["reconstruction"] = build_reconstruction(
                config.latse,
                config.model.embedding_size,
                config.data.image_size,
                config.model.synchronized and replicas > 1,
            )
    trained = [*backbone.trainable_variables, *(v for layer in layers.values() for v in layer.trainable_variables)]
    optimizer, weight_decay = optimizers.optimizer(config.optimizer, schedule, trained)
    model = FaceModel(
        backbone,
        layers,
        weights,
        weight_decay=weight_decay,
        decay_scope=config.optimizer.decay_scope,
        clip_norm=config.optimizer.clip_norm,
        clip_scope=config.optimizer.clip_scope,
        clip_value=config.optimizer.clip_value,
        accumulation_steps=config.optimizer.accumulation_steps,
        average_decay=config.optimizer.ema,
        teacher=teacher,
        mask=build_mask(config.teacher),
        pixel_divisor=config.data.standardise,
        learning_rate_factors=factors,
    )
    model.build((None, *config.data.image_size, 3))
    if config.run.precision == "float16":
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer)
    optimizers.make_slots(optimizer, model.trainable_variables)
    return model


def _check_teacher(config: Config, teacher: Teacher, layers: Mapping[str, keras.layers.Layer]) -> None:
    """Raises ValueError if nothing asks the teacher, or its embeddings cannot be compared with the student's."""
    asking = [layer for layer in layers.values() if takes_teacher(layer)]
    if not asking and config.teacher.mask == "none":
        raise ValueError(
            "[teacher] model_path: expected something that asks the teacher: a mask, or a section [loss NAME] with the "
            "weight of a loss that takes a teacher; got neither"
        )
    if any(isinstance(layer, CosineDistillation) for layer in asking):
        own = config.model.embedding_size
        if teacher.embedding_size != own:
            raise ValueError(
                f"[loss cosine_distillation]: expected a teacher with embeddings of [model] embedding_size numbers, "
                f"{own}, got {teacher.embedding_size}; relational_distillation takes any"
            )
