"""Builds the parts of a training from its configuration: strategy, network, losses, model."""

import contextlib
import inspect
import os
from collections.abc import Iterator, Mapping
from typing import Any

from keras_face import backbones, losses, optimizers
from keras_face.backend import keras, tf
from keras_face.config import Config, LossConfig, ModelConfig, RunConfig
from keras_face.data.streams import Mixture
from keras_face.model import FaceModel

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


def build_losses(
    config: LossConfig,
    settings: Mapping[str, Mapping[str, Any]],
    num_identities: int,
    num_sequences: int,
    accumulation_steps: int = 1,
    seed: int = 0,
) -> tuple[dict[str, keras.layers.Layer], dict[str, float]]:
    """Returns the configured losses by the names they are reported under, and their weights.

    Args:
        config: The section [loss].
        settings: The sections [loss NAME]: settings of the head, of the angular centre term and of the batch-hard
            triplet loss where they are in use; one with a `weight` adds its loss.
        num_identities: Identities of the training data.
        num_sequences: Their sequences of unknown people.
        accumulation_steps: Training calls that make one optimizer step.
        seed: Of the losses that draw random numbers and are given no other.

    Raises:
        ValueError: A name, a setting or a value is not known to the losses; the message names section and key.
    """
    layers: dict[str, keras.layers.Layer] = {}
    weights: dict[str, float] = {}
    given = {
        "num_identities": num_identities,
        "num_sequences": num_sequences,
        "accumulation_steps": accumulation_steps,
        "seed": seed,
    }
    remaining = {name: dict(values) for name, values in settings.items()}

    def add(reported: str, name: str, weight: float, values: Mapping[str, Any], where: str) -> None:
        try:
            known = losses.settings(name)
            for key, value in values.items():
                _check_type(key, value, known.get(key))
            head = {"head": layers[config.head]} if config.head in layers else {}
            facts = {key: value for key, value in (given | head).items() if key in known}
            layers[reported] = losses.get(name, **(facts | dict(values)))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        weights[reported] = weight

    if config.head != "none":
        shortcuts = {key: value for key, value in (("margin", config.margin), ("scale", config.scale)) if value >= 0}
        values = shortcuts | remaining.pop(config.head, {})
        add(config.head, config.head, values.pop("weight", 1.0), values, f"[loss] head {config.head}")
        if not isinstance(layers[config.head], losses.PrototypeHead):
            raise ValueError(f"[loss] head: expected a classification loss, got {config.head!r}")
    if config.centre_weight:
        values = remaining.pop("angular_centre", {})
        add("centre", "angular_centre", config.centre_weight, values, "[loss angular_centre]")
    if config.triplet_weight:
        values = {"margin": config.triplet_margin} | remaining.pop("batch_hard_triplet", {})
        add("triplet", "batch_hard_triplet", config.triplet_weight, values, "[loss batch_hard_triplet]")
    for name, values in remaining.items():
        if "weight" not in values:  # a loss that is not in use, see `unused_losses`; mistakes are mistakes there too
            try:
                losses.check(name, values)
            except ValueError as error:
                raise ValueError(f"[loss {name}]: {error}") from None
            continue
        add(name, name, values.pop("weight"), values, f"[loss {name}]")
        if "teacher" in inspect.signature(layers[name].call).parameters:
            raise ValueError(f"[loss {name}]: it needs a teacher, which a training run cannot give it")
    return layers, weights


def unused_losses(config: LossConfig, settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the names of the sections [loss NAME] whose loss is not in use: neither chosen, nor with a weight."""
    used = {config.head}
    used |= {"angular_centre"} if config.centre_weight else set()
    used |= {"batch_hard_triplet"} if config.triplet_weight else set()
    return [name for name, values in settings.items() if name not in used and "weight" not in values]


def _check_type(key: str, value: Any, default: Any) -> None:
    """Raises ValueError if a setting is not of the kind that its default is of."""
    for kind, allowed, expected in (
        (bool, (bool,), "True or False"),
        (int, (int,), "a whole number"),
        (float, (int, float), "a number"),
        (str, (str,), "a word"),
    ):
        if isinstance(default, kind):
            if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
                raise ValueError(f"{key}: expected {expected}, got {value!r}")
            return


def build_model(config: Config, mixture: Mixture, schedule: optimizers.Schedule) -> FaceModel:
    """Returns the compiled model with all its variables; to be called within the strategy's scope.

    Args:
        config: All of it: the model takes from most sections.
        mixture: Training data; sizes the head.
        schedule: Learning rate of each step.
    """
    keras.utils.set_random_seed(config.run.seed)
    with precision(config.run.precision):
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        backbone = build_backbone(config.model, config.data.image_size, config.run.seed, replicas)
    layers, weights = build_losses(
        config.loss,
        config.losses,
        mixture.num_identities,
        mixture.num_sequences,
        config.optimizer.accumulation_steps,
        config.run.seed,
    )
    for layer in layers.values():
        layer.build((None, config.model.embedding_size))
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
    )
    model.build((None, *config.data.image_size, 3))
    if config.run.precision == "float16":
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer)
    if hasattr(optimizer, "build"):  # Keras's own; the addons' make their slots at the first update or restore
        optimizer.build(model.trainable_variables)
    return model
