"""Fine-tuning: what is taken over from a trained model, stages that stay as they are, slower learning rates."""

import logging
import re
from collections.abc import Sequence

from keras_face.backend import keras, tf
from keras_face.config import ModelConfig
from keras_face.export import load_weights
from keras_face.losses.prototypes import PrototypeHead
from keras_face.training.model import FaceModel
from keras_face.training.named_prototypes import read_prototypes

logger = logging.getLogger("keras_face")

_STAGE = re.compile(r"(?:stage|block|bottleneck)(\d+)_")


def stages(backbone: keras.Model) -> list[tuple[keras.layers.Layer, int]]:
    """Returns the layers of a network, each with its stage, from 1 to last stage + 1.

    A layer is of the stage that it is named after, `stage2_...`. Networks without stages have blocks, `block2_...`
    (vision transformers) or `bottleneck2_...` (GhostFaceNets), which count as stages. What comes before the first
    stage (the stem) belongs to stage 1, and what comes after the last (the layers of the embedding) to last stage + 1.

    Raises: ValueError if no layer is named so.
    """
    named = {layer.name: int(match.group(1)) for layer in backbone.layers if (match := _STAGE.match(layer.name))}
    if not named:
        raise ValueError(f"the backbone {backbone.name} has no stages")
    last = max(named.values())
    found, ended = [], False
    remaining = len(named)
    for layer in backbone.layers:  # in the order in which they compute
        remaining -= layer.name in named
        found.append((layer, named.get(layer.name, last + 1 if ended else 1)))
        ended = remaining == 0
    return found


def freeze(backbone: keras.Model, frozen_stages: int) -> int:
    """Freezes the first stages of a network, the statistics of their batch normalisation too.

    Args:
        backbone: Network with stages, see `stages`; before an optimizer is made for it.
        frozen_stages: How many, the stem among the first.

    Returns: How many layers are frozen.
    Raises: ValueError if the network does not have that many stages.
    """
    with_stages = stages(backbone)
    last = max(stage for _, stage in with_stages) - 1
    if frozen_stages > last:
        raise ValueError(f"expected at most the {last} stages of {backbone.name}, got {frozen_stages}")
    frozen = [layer for layer, stage in with_stages if stage <= frozen_stages]
    for layer in frozen:
        layer.trainable = False
    return len(frozen)


def learning_rate_factors(backbone: keras.Model, stage_decay: float) -> list[tuple[tf.Variable, float]]:
    """Returns the trained variables of a network whose learning rate is not the whole one, and its share for each.

    The layers of the embedding have the whole learning rate, the last stage `stage_decay` of it, the stage before
    `stage_decay` of that, and so on; the stem learns as stage 1 does.

    Args:
        backbone: Network with stages, see `stages`.
        stage_decay: In (0, 1].

    Reference: Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, section 3.2, whose factor is 1 / 2.6 a layer.
    """
    with_stages = stages(backbone)
    top = max(stage for _, stage in with_stages)
    return [
        (variable, stage_decay ** (top - stage))
        for layer, stage in with_stages
        for variable in layer.trainable_variables
        if stage < top
    ]


def start_from(config: ModelConfig, model: FaceModel, names: Sequence[str]) -> None:
    """Gives a model the weights of a trained one, and where asked for the prototypes of the people of both.

    Args:
        config: The section [model], with a `model_path`.
        model: Takes them.
        names: Its identities, in the order of their labels.

    Raises: ValueError as `load_weights`, `read_prototypes` and `NamedPrototypes.assign_to`.
    """
    read = load_weights(model.backbone, config.model_path)
    if model.average is not None:
        model.average.restart()
    logger.info("starting from the weights of %s", read)
    if config.frozen_stages:
        frozen = sum(not layer.trainable for layer in model.backbone.layers)
        logger.info("%d layers, the first %d stages, stay as they are", frozen, config.frozen_stages)
    if config.keep_prototypes:
        known = read_prototypes(config.model_path)
        head = next(layer for layer in model.loss_layers.values() if isinstance(layer, PrototypeHead))
        kept = known.assign_to(head.prototypes, names)
        logger.info(
            "kept the prototypes of %d people of %s; %d are new, %d are left out",
            kept,
            known.source,
            len(names) - kept,
            len(known.names) - kept,
        )
