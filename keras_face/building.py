"""Builds the parts of a training from its configuration: strategy, network, losses, model."""

import contextlib
import os
from collections.abc import Iterator

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
    config: LossConfig, num_identities: int, num_sequences: int
) -> tuple[dict[str, keras.layers.Layer], dict[str, float]]:
    """Returns the configured losses by the names they are reported under, and their weights."""
    layers: dict[str, keras.layers.Layer] = {}
    weights: dict[str, float] = {}
    if config.head != "none":
        settings: dict = {"num_identities": num_identities, "num_sequences": num_sequences}
        if config.head != "softmax":
            settings.update(scale=config.scale)
        if config.head in ("arcface", "cosface"):
            settings.update(margin=config.margin)
        if config.head == "arcface":
            settings.update(beyond_pi=config.beyond_pi, easy=config.easy_margin, gradient=config.gradient)
        layers[config.head] = losses.get(config.head, **settings)
        weights[config.head] = 1.0
        if config.centre_weight:
            layers["centre"] = losses.get("angular_centre", head=layers[config.head], scale=config.scale)
            weights["centre"] = config.centre_weight
    if config.triplet_weight:
        layers["triplet"] = losses.get("batch_hard_triplet", margin=config.triplet_margin)
        weights["triplet"] = config.triplet_weight
    return layers, weights


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
    layers, weights = build_losses(config.loss, mixture.num_identities, mixture.num_sequences)
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
