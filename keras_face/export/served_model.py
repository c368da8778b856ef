"""From a trained backbone to a SavedModel that TF Serving loads."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_face import files
from keras_face.backbones.dropout import network_weights
from keras_face.backend import keras, tf
from keras_face.export.embedder import FACTS
from keras_face.export.warm_up import WARM_UP, requests_of
from keras_face.photos.images import decode, fit, has_too_large, standardise
from keras_face.photos.limit import too_many

_SHORTEST = 1e-12  # embeddings shorter than this stay short instead of becoming NaN


class ServedModel:
    """A backbone with what serving needs around it: standardisation before, unit length after.

    It is an embedder: called with photos it gives unit embeddings as a NumPy array.

    Args:
        backbone: float32 model of standardised images, [batch, height, width, 3] to [batch, embedding_size].
        batch_size: Photos that an evaluation should pass at once.
        name: What the model is called in tables and results.
        pixel_divisor: Of the pixels, less 127.5, in grey levels, as in the training; see `photos.images.standardise`.

    Call arguments:
        images: uint8 [n, height, width, 3], RGB aligned crops.

    Returns: float32 array [n, embedding_size], unit length.
    """

    def __init__(self, backbone: keras.Model, batch_size: int = 64, name: str = "model", pixel_divisor: float = 128.0):
        self.label = name
        height, width, _ = backbone.input_shape[1:]
        self.image_size: tuple[int, int] = (height, width)
        self.batch_size = batch_size
        self.name = name
        self.pixel_divisor = pixel_divisor
        self.embedding_size: int = backbone.output_shape[-1]
        # Only variables and functions are tracked: a SavedModel without Keras objects loads without our classes.
        self.module = tf.Module()
        self.module.weights_in_order = network_weights(backbone)

        def embed(images: tf.Tensor) -> dict[str, tf.Tensor]:
            pixels = standardise(images, divisor=pixel_divisor)
            embeddings = tf.cast(backbone(pixels, training=False), tf.float32)
            norm = tf.norm(embeddings, axis=1)
            return {"embedding": embeddings / tf.maximum(norm, _SHORTEST)[:, tf.newaxis], "norm": norm}

        def embed_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            def pixels(one: tf.Tensor) -> tf.Tensor:
                return tf.ensure_shape(fit(decode(one), self.image_size), [height, width, 3])

            small_enough = tf.debugging.Assert(
                tf.logical_not(has_too_large(image_bytes)), [f"expected photos of no {too_many()}"]
            )
            with tf.control_dependencies([small_enough]):  # before anything is decoded
                image_bytes = tf.identity(image_bytes)
            return embed(
                tf.map_fn(pixels, image_bytes, fn_output_signature=tf.TensorSpec([height, width, 3], tf.uint8))
            )

        images_spec = tf.TensorSpec([None, height, width, 3], tf.uint8, name="images")
        bytes_spec = tf.TensorSpec([None], tf.string, name="image_bytes")
        self.module.embed = tf.function(embed, input_signature=[images_spec])
        self.module.embed_bytes = tf.function(embed_bytes, input_signature=[bytes_spec])
        self.signature = self.module.embed

    def assign(self, weights: Sequence[tf.Tensor]) -> None:
        """Sets all weights, in the order of `network_weights`."""
        for variable, value in zip(self.module.weights_in_order, weights, strict=True):
            variable.assign(value)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.with_norms(images)[0]

    def with_norms(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the unit embeddings, and the lengths float32 [n] that they had."""
        found = self.module.embed(tf.convert_to_tensor(images, tf.uint8))
        return found["embedding"].numpy(), found["norm"].numpy()


def export_model(model: ServedModel, export_dir: str | os.PathLike, step: int, facts: Mapping[str, Any]) -> Path:
    """Writes `<export_dir>/<step>/`, the layout of TF Serving, and returns that folder.

    Signatures: `serving_default` takes `images` uint8 [n, height, width, 3] RGB and gives `embedding` float32
    [n, embedding_size] of unit length and `norm` float32 [n]; `serving_bytes` takes `image_bytes` string [n], encoded
    JPEG or PNG crops, and gives the same; photos of more pixels than `photos.limit.max_pixels` are refused undecoded.
    `assets/keras_face.json` holds the facts, `assets.extra/` warm-up requests. The folder appears whole or not at all.

    Args:
        model: What is served.
        export_dir: Folder of the numbered versions.
        step: Training step; the version number. A version that exists is replaced.
        facts: What else `keras_face.json` should say, JSON values.
    """
    target = Path(export_dir, str(step))
    signatures = {"serving_default": model.module.embed, "serving_bytes": model.module.embed_bytes}
    all_facts = {
        "image_size": list(model.image_size),
        "colour_order": "rgb",
        "pixel_divisor": model.pixel_divisor,
        "embedding_size": model.embedding_size,
        "step": step,
        "thresholds": {},
        **facts,
    }
    with files.scratch_folder(target) as scratch:
        unfinished = scratch / target.name
        tf.saved_model.save(model.module, os.fspath(unfinished), signatures=signatures)
        files.write_text(unfinished / FACTS, json.dumps(all_facts, indent=2) + "\n")
        with_warm_up = unfinished / WARM_UP
        with_warm_up.parent.mkdir()
        with tf.io.TFRecordWriter(os.fspath(with_warm_up)) as writer:
            for request in requests_of(model.image_size):
                writer.write(request)
        shutil.rmtree(target, ignore_errors=True)
        unfinished.rename(target)
    return target
