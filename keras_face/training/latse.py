"""LATSE's decoder: an embedding that the photo can be drawn from again holds more than a label says."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_face import files
from keras_face.backend import keras, tf

_SIGMA = 3.0  # where the smooth L1 distance turns from a parabola into lines: at 1 / sigma^2
_SNAPSHOT = re.compile(r"mean_images-(\d+)\.npy")


def smooth_l1(drawn: tf.Tensor, aims: tf.Tensor) -> tf.Tensor:
    """Returns the smooth L1 distances of sigma 3, means over each image, float32 [batch].

    4.5 x^2 where |x| < 1/9, |x| - 1/18 beyond, of the difference x of two images float32 [batch, height, width, 3] in
    [0, 1]. Reference: HuyaInc/huya_face, l1_gan_loss; Girshick 2015, Fast R-CNN, equation 3.
    """
    apart = tf.abs(drawn - aims)
    bend = 1.0 / _SIGMA**2
    distance = tf.where(apart < bend, 0.5 * tf.square(_SIGMA * apart), apart - 0.5 * bend)
    return tf.reduce_mean(distance, axis=[1, 2, 3])


def dissimilarity(drawn: tf.Tensor, aims: tf.Tensor) -> tf.Tensor:
    """Returns (1 - SSIM) / 2 of two images with the whole image as the only window, float32 [batch] in [0, 1].

    The channels are taken together. Images are float32 [batch, height, width, 3] in [0, 1]. Reference:
    HuyaInc/huya_face, dssim_loss, c1 = 0.01^2 and c2 = 0.03^2; Wang et al. 2004, Image Quality Assessment, equation 13.
    """
    axes = [1, 2, 3]
    mean_drawn, mean_aims = (tf.reduce_mean(images, axes, keepdims=True) for images in (drawn, aims))
    # Differences from the means first: a difference of squares would cancel where an image is nearly flat.
    apart_drawn, apart_aims = drawn - mean_drawn, aims - mean_aims
    variances = tf.reduce_mean(tf.square(apart_drawn) + tf.square(apart_aims), axes)
    covariance = tf.reduce_mean(apart_drawn * apart_aims, axes)
    mean_drawn, mean_aims = tf.reshape(mean_drawn, [-1]), tf.reshape(mean_aims, [-1])
    light = (2.0 * mean_drawn * mean_aims + 0.01**2) / (tf.square(mean_drawn) + tf.square(mean_aims) + 0.01**2)
    return (1.0 - light * (2.0 * covariance + 0.03**2) / (variances + 0.03**2)) / 2.0


DISTANCES: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {"smooth_l1": smooth_l1, "ssim": dissimilarity}


class Reconstruction(keras.layers.Layer):
    """Draws each photo again from its embedding, and returns how far that is from what it should be.

    Args:
        decoder: Model from embeddings, [batch, embedding_size], to images float32 [batch, height, width, 3] in [0, 1].
        distance: `smooth_l1` or `ssim`.

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size].
        labels: Not used: the photos of unknown people count too.
        aims: uint8 [batch, height, width, 3], what is to be drawn.

    Returns: float32 [batch], one loss per example, >= 0.
    Raises: ValueError if the distance is unknown or there are no aims.
    Reference: HuyaInc/huya_face, of Huang et al. 2020, https://arxiv.org/abs/2006.04518; weight there 10, or 1 with
        the published script.
    """

    def __init__(self, decoder: keras.Model, distance: str = "smooth_l1", **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})
        if distance not in DISTANCES:
            raise ValueError(f"distance must be one of {', '.join(DISTANCES)}, got {distance!r}")
        self.decoder = decoder
        self.distance = distance

    def call(
        self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False, aims: tf.Tensor | None = None
    ) -> tf.Tensor:
        if aims is None:
            raise ValueError(f"{self.name} must be called with aims=, got None")
        drawn = tf.cast(self.decoder(embeddings, training=training), tf.float32)
        return DISTANCES[self.distance](drawn, tf.cast(aims, tf.float32) / 255.0)

    def draw(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Returns what the decoder makes of embeddings, uint8 [batch, height, width, 3]."""
        drawn = tf.cast(self.decoder(embeddings, training=False), tf.float32)
        return tf.cast(tf.round(255.0 * tf.clip_by_value(drawn, 0.0, 1.0)), tf.uint8)

    def compared(self, embed: Callable[[tf.Tensor], tf.Tensor], batch: Mapping[str, tf.Tensor]) -> np.ndarray:
        """Returns lines of 8 crops, of what should be drawn where that is not the crops, and of what is drawn.

        Args:
            embed: From `images` to their embeddings, [n, embedding_size].
            batch: `images` uint8 [n, height, width, 3], of which 16 are taken, and `aims` likewise where there are any.

        Returns: uint8 [lines * 8, height, width, 3], black where the batch has no further crop.
        """
        shown = {key: batch[key][:16].numpy() for key in ("images", "aims") if key in batch}
        shown["drawn"] = self.draw(embed(shown["images"])).numpy()
        blank = -len(shown["drawn"]) % 8
        lines = [np.pad(images, [[0, blank], [0, 0], [0, 0], [0, 0]]) for images in shown.values()]
        lines = [images.reshape(-1, 8, *images.shape[1:]) for images in lines]
        return np.stack(lines, axis=1).reshape(-1, *shown["drawn"].shape[1:])


class MeanImages:
    """The running mean image of each identity, in a file of identities * height * width * 3 bytes that is mapped.

    The first photo of an identity is its mean; then mean <- momentum * mean + (1 - momentum) * photo. Rounding is up or
    down at random, drawn from seed and step, so that a mean does not stand still a few grey levels from where it goes.

    Args:
        folder: Where the file lies, and its copies at the steps of checkpoints, the last two.
        num_identities: Labels 0, 1, ...
        image_size: (height, width), pixels.
        momentum: In [0, 1). huya_face: 0.9, and 0, each photo itself, in its script.
        seed: Of the rounding.
    """

    def __init__(self, folder: Path, num_identities: int, image_size: tuple[int, ...], momentum: float, seed: int = 0):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._momentum, self._seed = folder, momentum, seed
        self._shape = (num_identities, *image_size, 3)
        self.means = np.lib.format.open_memmap(folder / "mean_images.npy", "w+", np.uint8, self._shape)
        self.seen = np.zeros(num_identities, bool)

    def update(self, step: int, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Takes in the photos of a step one after the other, and returns the mean of each one's identity then.

        Args:
            step: Number of the step.
            images: uint8 [batch, height, width, 3].
            labels: integer [batch]; where it is negative, the photo itself is returned.

        Returns: uint8 [batch, height, width, 3].
        """
        aims = images.copy()
        up = np.random.default_rng([self._seed, step]).random(self._shape[1:], np.float32)
        for number, label in enumerate(labels):
            if label < 0:
                continue
            if self.seen[label]:
                mean = self._momentum * self.means[label].astype(np.float32) + (1.0 - self._momentum) * images[number]
                aims[number] = np.minimum(np.floor(mean + up), 255).astype(np.uint8)
            self.means[label], self.seen[label] = aims[number], True
        return aims

    def with_aims(self, step: int, batch: Mapping[str, Any], strategy: tf.distribute.Strategy) -> dict[str, Any]:
        """Takes in the batch of a step, and returns it with `aims`, the mean image of each photo's identity.

        Args:
            step: Number of the step.
            batch: `images` and `labels`, as `update`, of the strategy's replicas.
            strategy: Where they lie, and where the aims are to.
        """
        images, labels = (
            [share.numpy() for share in strategy.experimental_local_results(batch[key])] for key in ("images", "labels")
        )
        aims = self.update(step, np.concatenate(images), np.concatenate(labels))
        shares = np.split(aims, np.cumsum([len(share) for share in labels])[:-1])
        placed = strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(shares[context.replica_id_in_sync_group])
        )
        return {**batch, "aims": placed}

    def save(self, step: int) -> Path:
        """Copies the means as they are now, for a run that will go on from this step, and returns the copy."""
        saved = self._folder / f"mean_images-{step}.npy"
        with files.opened_whole(saved) as file:
            np.save(file, self.means)
            np.save(file, self.seen)
        steps = sorted(int(match.group(1)) for path in os.listdir(self._folder) if (match := _SNAPSHOT.fullmatch(path)))
        for old in steps[:-2]:  # two, as the run may be killed before the checkpoint of this step is written
            (self._folder / f"mean_images-{old}.npy").unlink()
        return saved

    def restore(self, step: int) -> None:
        """Goes back to the means that were saved at a step.

        Raises: ValueError if there are none, or of other identities or another size.
        """
        path = self._folder / f"mean_images-{step}.npy"
        if not path.is_file():
            raise ValueError(f"{path}: expected the mean images of step {step}, found no such file")
        saved = np.load(path, mmap_mode="r")
        if saved.shape != self._shape:
            raise ValueError(f"{path}: expected mean images of shape {self._shape}, got {saved.shape}")
        for start in range(0, len(saved), 1024):
            self.means[start : start + 1024] = saved[start : start + 1024]
        with path.open("rb") as file:
            file.seek(-len(self.seen), os.SEEK_END)
            self.seen = np.frombuffer(file.read(), bool).copy()
