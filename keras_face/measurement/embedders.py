"""A baseline to measure beside models, and what an embedder is known by."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_face.export import Embedder, EmbedderLike
from keras_face.photos.luminance import LUMINANCE

_BLOCK = 2**20  # bytes of a file that are hashed at a time


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
    """Returns the SHA-256 of an exported model's content, its graph and weights; None for another embedder.

    The facts and thresholds beside them, warm-up requests and file times do not matter.
    """
    if not isinstance(embedder, Embedder):
        return None
    folder = Path(embedder.name)
    found = hashlib.sha256()
    for path in [folder / "saved_model.pb", *sorted((folder / "variables").iterdir())]:
        found.update(f"{path.name} {path.stat().st_size}\0".encode())
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
    return found.hexdigest()
