"""A baseline to measure beside models, and what an embedder is known by."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_face.export import Embedder, EmbedderLike, exported_weights
from keras_face.photos.luminance import LUMINANCE

# What they are where an export of an earlier version does not say them.
_FACTS = {"backbone": None, "image_size": None, "template": None, "colour_order": "rgb", "pixel_divisor": 128.0}


class GreyPixels:
    """A baseline that knows nothing about faces: the grey pixels themselves, at unit length, are the embedding.

    Args:
        image_size: (height, width), pixels.

    Call arguments:
        images: uint8 [n, height, width, 3], RGB.

    Returns: float32 [n, height * width], unit length; the mean is not subtracted.
    """

    name = "grey pixels"
    batch_size = 256

    def __init__(self, image_size: Sequence[int] = (112, 112)):
        height, width = image_size
        self.image_size = (height, width)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        grey = images.astype(np.float32) @ np.array(LUMINANCE, np.float32)
        flat = grey.reshape(len(images), -1)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)  # a black photo stays 0


def model_hash(embedder: EmbedderLike) -> str | None:
    """Returns the SHA-256 of what makes an exported model's embeddings; None for another embedder.

    That is its network and weights, and the standardisation, size and template of its crops. Thresholds, versions and
    how TensorFlow has written it do not matter: two exports of equal weights have one hash.
    """
    if not isinstance(embedder, Embedder):
        return None
    makes = {key: embedder.facts.get(key, default) for key, default in _FACTS.items()}
    found = hashlib.sha256(json.dumps(makes, sort_keys=True).encode())
    for weight in exported_weights(Path(embedder.name) / "variables" / "variables"):
        found.update(f"{weight.dtype} {weight.shape}\0".encode())
        found.update(np.ascontiguousarray(weight).data)
    return found.hexdigest()
