"""The network that a configuration asks for."""

import contextlib
from collections.abc import Iterator

from keras_face import backbones
from keras_face.backend import keras
from keras_face.config import ModelConfig

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Within it, Keras layers are made to compute in float32, bfloat16 or float16."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(_POLICIES[name])
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def check_backbone_name(config: ModelConfig) -> None:
    """Raises ValueError, which names section and key, if there is no such network; builds nothing."""
    try:
        backbones.check(config.backbone)
    except ValueError as error:
        raise ValueError(f"[model] backbone: {error}") from None


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
