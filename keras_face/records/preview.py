"""A sheet of what the network will see: plain crops, and beside each what augmentation makes of it."""

import os
from collections.abc import Sequence

import numpy as np

from keras_face.augmentation.augmentation import Augmentation
from keras_face.backend import tf
from keras_face.config import AugmentationConfig, DataConfig, TrainingConfig
from keras_face.photos import images
from keras_face.photos.sheet import grid, write, written
from keras_face.records.batches import Batches
from keras_face.records.mixture import Mixture

_TEXT_WIDTH = 240  # pixels


def write_preview(
    path: str | os.PathLike,
    mixture: Mixture,
    augmentation: Augmentation,
    image_size: Sequence[int],
    *,
    crop_from: Sequence[int] | None = None,
    rows: int = 8,
    columns: int = 8,
    seed: int = 0,
) -> None:
    """Writes a PNG: a row for each photo, the plain crop first, then augmented ones, then who it shows.

    Args:
        path: The PNG to write, whole or not at all.
        mixture: Whose photos; the first of the stream with this seed.
        augmentation: What is done to them.
        image_size: (height, width) of the network's input, pixels.
        crop_from: See `train_stream`; the plain crop is then the window in the middle.
        rows: Photos, >= 1.
        columns: Crops of each, the plain one among them, >= 2.
        seed: Of the choice of photos and of the augmentations, >= 0.

    Raises:
        ValueError: An argument is out of range, or a photo or a record is damaged.
        OSError: The PNG cannot be written.
    """
    if rows < 1 or columns < 2:
        raise ValueError(f"expected rows >= 1 and columns >= 2, got {rows} and {columns}")
    size, buffer = crop_from or image_size, max(64, 4 * rows)
    data = DataConfig(image_size=tuple(size), shuffle_buffer=buffer)
    training, plain_photos = TrainingConfig(batch_size=rows, steps=1), AugmentationConfig(flip=0.0)
    batches = Batches(mixture, training, data, plain_photos, seed=seed, num_replicas=1)
    batch = batches.next_of(batches.stream(0).take(1).as_numpy_iterator(), 0)
    whole = np.repeat(batch["images"], columns - 1, axis=0)
    seeds = np.stack(np.broadcast_arrays(seed, np.arange(len(whole))), axis=1).astype(np.int64)
    augmented = tf.function(augmentation.each, autograph=False)(tf.constant(whole), tf.constant(seeds))
    height, width = image_size
    if crop_from:
        augmented = images.random_windows(augmented, image_size, tf.constant(seeds)[:, ::-1])
    augmented = augmented.numpy().reshape(rows, columns - 1, height, width, 3)
    plain = tf.image.resize_with_crop_or_pad(batch["images"], height, width).numpy()
    crops = [crop for row in range(rows) for crop in (plain[row], *augmented[row])]
    texts = [
        written([f"{label}: {_who(mixture, label)}", name.decode(errors="replace")], _TEXT_WIDTH, height)
        for label, name in zip(batch["labels"].tolist(), batch["names"], strict=True)
    ]
    write(path, np.hstack([grid(crops, columns), grid(texts, columns=1)]))


def _who(mixture: Mixture, label: int) -> str:
    """Returns the name of the identity that a label of the mixture stands for."""
    if label < 0:
        return "unknown person"
    number = int(np.searchsorted(mixture.identity_offsets, label, side="right")) - 1
    return mixture.datasets[number].identities[label - mixture.identity_offsets[number]]
