"""What a network's input is aligned to, and the masks that are drawn on it."""

import logging

from keras_face.alignment import templates
from keras_face.config import DataConfig
from keras_face.records.mixture import Mixture

logger = logging.getLogger("keras_face")

_OF_MASKS = "arcface"  # where `masks.online` has the face in a crop of any size


def input_template(data: DataConfig, mixture: Mixture) -> str:
    """Returns what the network's input is aligned to: with `crop_from` the middle of the crops."""
    name = mixture.template
    return templates.of_window(name, data.crop_from, data.image_size) if data.crop_from else name


def warn_of_masks(data: DataConfig, mixture: Mixture) -> None:
    """Warns where masks would be drawn beside the faces: the crops are not aligned as `masks.online` has it."""
    if templates.differ(mixture.template, _OF_MASKS, data.crop_from or data.image_size):
        logger.warning(
            "[augmentation] mask draws on crops aligned to %s, those here are to %s", _OF_MASKS, mixture.template
        )
