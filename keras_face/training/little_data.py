"""Warnings of training data that are too little for what is asked of them."""

import logging

from keras_face.records.mixture import ONE_PHOTO, Mixture

logger = logging.getLogger("keras_face")


def warn_of_little(mixture: Mixture, batch_size: int) -> None:
    """Warns where nobody has a second photo, and where a batch has more photos than the data.

    Args:
        mixture: The training data.
        batch_size: Photos of a step.
    """
    if mixture.num_images < batch_size:
        logger.warning(
            "[training] batch_size %d is more than the %d photos of the training data: every step sees photos several "
            "times, and an epoch is less than a step; a smaller batch has more steps of it",
            batch_size,
            mixture.num_images,
        )
    if mixture.num_images <= mixture.num_identities and not mixture.num_sequences:
        logger.warning("each of the %d people of the training data has one photo: %s", mixture.num_images, ONE_PHOTO)
