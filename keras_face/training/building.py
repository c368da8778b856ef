"""Builds the parts of a training from its configuration: strategy, network, losses, model."""

import contextlib
import difflib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_face import backbones, losses
from keras_face.backend import keras, tf
from keras_face.config import Config, LatseConfig, LossConfig, ModelConfig, RunConfig, TeacherConfig, load
from keras_face.export import Embedder, ServedModel, find_version, load_embedder, load_weights
from keras_face.losses.distillation import CosineDistillation
from keras_face.records.streams import Mixture
from keras_face.training import fine_tuning, optimizers
from keras_face.training.latse import Reconstruction
from keras_face.training.model import FaceModel
from keras_face.training.teacher import Teacher

# Of a loss's settings those that the training gives, not the configuration.
_NOT_SETTINGS = ("num_identities", "num_sequences", "accumulation_steps", "head")
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def build_strategy(config: RunConfig) -> tf.distribute.Strategy:
    """Returns the distribution strategy; to be called before TensorFlow touches a device.

    Raises:
        ValueError: The logical CPUs come too late, or TF_CONFIG is missing for multi_worker.
    """
    if config.logical_cpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        try:
            tf.config.set_logical_device_configuration(
                cpu, [tf.config.LogicalDeviceConfiguration()] * config.logical_cpus
            )
        except RuntimeError:
            found = len(tf.config.list_logical_devices("CPU"))
            if found != config.logical_cpus:
                raise ValueError(
                    f"[run] logical_cpus: expected to be set before TensorFlow starts; it runs with {found}, "
                    f"not {config.logical_cpus}"
                ) from None
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # already running: its memory is as it is
            tf.config.experimental.set_memory_growth(gpu, True)
    if config.strategy == "multi_worker":
        if not os.environ.get("TF_CONFIG"):
            raise ValueError("[run] strategy multi_worker: expected the environment variable TF_CONFIG, it is not set")
        return tf.distribute.MultiWorkerMirroredStrategy()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    if config.strategy == "one_device":
        return tf.distribute.OneDeviceStrategy(devices[0])
    # Without GPUs there is no NCCL; and TensorFlow's collectives number those of each strategy in a process anew.
    reduce = tf.distribute.ReductionToOneDevice() if kind == "CPU" else None
    return tf.distribute.MirroredStrategy(devices, reduce)


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Within it, Keras layers are made to compute in float32, bfloat16 or float16."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(_POLICIES[name])
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def build_backbone(config: ModelConfig, image_size: tuple[int, ...], seed: int = 0, replicas: int = 1) -> keras.Model:
    """Returns the configured network for RGB crops of `image_size`, (height, width)."""
    return backbones.build(
        config.backbone,
        input_shape=(*image_size, 3),
        embedding_size=config.embedding_size,
        width=config.width,
        dropout=None if config.dropout < 0 else config.dropout,
        dropout_seed=seed,
        synchronized=config.synchronized and replicas > 1,
    )


def build_embedder(model_path: str | os.PathLike) -> Embedder | ServedModel:
    """Returns the embedder of a trained model: of its export, or where it has none of its newest checkpoint.

    Args:
        model_path: SavedModel folder, folder of numbered ones, run folder, or a checkpoint in one, whose network is
            then the one that the run's config.ini describes.

    Raises: ValueError if there is neither.
    """
    try:
        find_version(model_path)
    except ValueError:
        folders = (Path(model_path), *Path(model_path).parents[:2])
        run = next((folder for folder in folders if (folder / "config.ini").is_file()), None)
        if run is None:
            raise ValueError(
                f"{model_path}: expected an exported model, or a run's folder or checkpoint, found none"
            ) from None
        config = load(run / "config.ini")
        with precision("float32"):
            backbone = build_backbone(config.model, config.data.image_size)
        return ServedModel(backbone, name=load_weights(backbone, model_path))
    return load_embedder(model_path)


def build_losses(
    config: LossConfig,
    settings: Mapping[str, Mapping[str, Any]],
    num_identities: int,
    num_sequences: int,
    accumulation_steps: int = 1,
    seed: int = 0,
    has_teacher: bool = False,
) -> tuple[dict[str, keras.layers.Layer], dict[str, Any]]:
    """Returns the configured losses, the head first, and their weights, by their names.

    Args:
        config: The section [loss].
        settings: The sections [loss NAME]: settings of the head, and of further losses, each of which is added by a
            `weight` above 0.
        num_identities: Identities of the training data.
        num_sequences: Their sequences of unknown people.
        accumulation_steps: Training calls that make one optimizer step.
        seed: Of the losses that draw random numbers and are given no other.
        has_teacher: Whether there is a teacher for those that need one.

    Raises:
        ValueError: A loss lacks its teacher, or a name, a setting or a value is not known to the losses; the message
            names section and key.
    """
    layers: dict[str, keras.layers.Layer] = {}
    weights: dict[str, Any] = {}
    given = {
        "num_identities": num_identities,
        "num_sequences": num_sequences,
        "accumulation_steps": accumulation_steps,
        "seed": seed,
    }
    remaining = {name: dict(values) for name, values in settings.items()}

    def add(name: str, weight: float, values: Mapping[str, Any]) -> None:
        try:
            values = _check_settings(name, values)
            known = losses.settings(name)
            head = {"head": layers[config.head]} if config.head in layers else {}
            facts = {key: value for key, value in (given | head).items() if key in known}
            layers[name] = losses.get(name, **(facts | values))
        except ValueError as error:
            raise ValueError(f"[loss {name}]: {error}") from None
        weights[name] = weight

    if config.head != "none":
        if config.head not in losses.names():
            near = difflib.get_close_matches(config.head, losses.names(), 1, 0.0)[0]
            raise ValueError(f"[loss] head: expected a loss or none, got {config.head!r}; the nearest is {near!r}")
        values = remaining.pop(config.head, {})
        add(config.head, values.pop("weight", 1.0), values)
        if not isinstance(layers[config.head], losses.PrototypeHead):
            raise ValueError(f"[loss] head: expected a classification loss, got {config.head!r}")
    for name, values in remaining.items():
        weight = values.pop("weight", 0.0)
        if not weight:  # a loss that is not in use, see `unused_losses`; mistakes are mistakes there too
            try:
                _check_settings(name, values)
            except ValueError as error:
                raise ValueError(f"[loss {name}]: {error}") from None
            continue
        add(name, weight, values)
        if not has_teacher and _takes_teacher(layers[name]):
            raise ValueError(f"[loss {name}]: it needs a teacher, but [teacher] model_path is not set")
    return layers, weights


def _takes_teacher(layer: keras.layers.Layer) -> bool:
    return "teacher" in inspect.signature(layer.call).parameters


def unused_losses(config: LossConfig, settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the names of the sections [loss NAME] whose loss is not in use: neither the head, nor with a weight."""
    return [name for name, values in settings.items() if name != config.head and "weight" not in values]


def _check_settings(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a section [loss NAME], each of its kind.

    Raises: ValueError if there is no such loss, or a setting is none of a configuration's, or of another kind.
    """
    known = {key: default for key, default in losses.settings(name).items() if key not in _NOT_SETTINGS}
    for key in values:
        if key not in known:
            choices = ["weight", *known]
            near = difflib.get_close_matches(key, choices, 1, 0.0)[0]
            raise ValueError(f"{key}: expected one of {', '.join(choices)}; the nearest is {near!r}")
    return {key: _of_kind(key, value, known[key]) for key, value in values.items()}


def _of_kind(key: str, value: Any, default: Any) -> Any:
    """Returns a setting as the kind that its default is of.

    Raises: ValueError if it is of another kind.
    """
    for kind, allowed, expected in (
        (bool, (bool,), "True or False"),
        (int, (int,), "a whole number"),
        (float, (int, float), "a number"),
        (str, (str,), "a word"),
    ):
        if isinstance(default, kind):
            if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
                raise ValueError(f"{key}: expected {expected}, got {value!r}")
            return kind(value)
    return value


def needs_teachers_prototypes(config: Config) -> bool:
    """Returns whether the teacher must know the identities, beyond giving embeddings."""
    return config.teacher.mask != "none" or "logit_distillation" in config.loss_weights


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
        decoder = backbones.decoder(embedding_size, image_size, config.width, synchronized=synchronized)
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
        clip_norm=config.optimizer.clip_norm,
        accumulation_steps=config.optimizer.accumulation_steps,
        average_decay=config.optimizer.ema,
        teacher=teacher,
        mask=build_mask(config.teacher),
        learning_rate_factors=factors,
    )
    model.build((None, *config.data.image_size, 3))
    if config.run.precision == "float16":
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer)
    if hasattr(optimizer, "build"):  # Keras's own; the addons' make their slots at the first update or restore
        optimizer.build(model.trainable_variables)
    return model


def _check_teacher(config: Config, teacher: Teacher, layers: Mapping[str, keras.layers.Layer]) -> None:
    """Raises ValueError if nothing asks the teacher, or its embeddings cannot be compared with the student's."""
    asking = [layer for layer in layers.values() if _takes_teacher(layer)]
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
