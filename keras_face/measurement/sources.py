"""Where embeddings come from: photos through a model, or a file of embeddings."""

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_face.alignment.templates import differ
from keras_face.evaluation.features import Features
from keras_face.evaluation.results import Origin
from keras_face.export import Embedder, EmbedderLike
from keras_face.measurement.cache import EmbeddingCache
from keras_face.measurement.embedders import model_hash
from keras_face.measurement.photos import Photo, content_hash, embed
from keras_face.photos.template import recorded

logger = logging.getLogger("keras_face")

FLIP = {True: "each photo with its mirror image, unit(unit + unit)", False: "each photo alone, no mirror image"}
Locate = Callable[[str], Photo]  # from a protocol's key to its photo


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings of a protocol's photos.

    Attributes:
        features: Of the keys asked for, in their order.
        data_hash: SHA-256 of the photos' content (of the embeddings, where these were given); None: not asked for.
    """

    features: Features
    data_hash: str | None


class PhotoSource:
    """Embeddings of photos through a model.

    Args:
        embedder: The model.
        flip: Add the mirror image of each photo.
        cache: Where embeddings are kept; an exported model's only, as no other has a content to be known by.
        progress: Show a progress bar on stderr.
        hashes: Whether to hash the content of model and photos for the results.
    """

    def __init__(
        self,
        embedder: EmbedderLike,
        *,
        flip: bool = True,
        cache: EmbeddingCache | None = None,
        progress: bool = False,
        hashes: bool = True,
    ):
        self.embedder, self.flip = embedder, flip
        self._cache, self._progress, self._hashes = cache, progress, hashes
        self._model_hash = model_hash(embedder) if hashes else None

    def __call__(self, keys: Sequence[str], locate: Locate) -> Embedded:
        """Returns the embeddings of the keys, and warns if the photos are aligned otherwise than the model's are.

        Raises: FileNotFoundError and ValueError as `photos.embed`.
        """
        photos = [locate(key) for key in keys]
        _warn_of_template(self.embedder, photos)
        if not self._hashes:
            return Embedded(self._features(keys, *embed(self.embedder, photos, flip=self.flip)), None)
        data_hash = content_hash(photos) if photos else None
        found = key = None
        if self._cache is not None and self._model_hash is not None and data_hash is not None:
            key = self._cache.key(self._model_hash, data_hash, self.flip, self.embedder.image_size)
            found = self._cache.get(key, len(photos))
        if found is None:
            found = embed(self.embedder, photos, flip=self.flip, progress=self._progress)
            if self._cache is not None and key is not None:
                self._cache.put(key, found)
        return Embedded(self._features(keys, *found), data_hash)

    def origin(self, data: str, how: str = "", data_hash: str | None = None) -> Origin:
        """Returns what is said of a result; `how` is what is done to embeddings of photos."""
        photos = f"{how}; {FLIP[self.flip]}" if how else FLIP[self.flip]
        return Origin(self.embedder.name, data, photos, self.flip, self._model_hash, data_hash)

    def _features(self, keys: Sequence[str], embeddings: np.ndarray, norms: np.ndarray) -> Features:
        return Features(tuple(keys), embeddings, norms, self.embedder.name)


def _warn_of_template(embedder: EmbedderLike, photos: Sequence[Photo]) -> None:
    """Warns of photos whose own record and the model's facts name templates that differ."""
    if not isinstance(embedder, Embedder):
        return
    expected = embedder.facts.get("template")
    folders = {os.path.dirname(photo) for photo in photos if isinstance(photo, (str, os.PathLike))}
    for name, folder in recorded(folders).items():
        if differ(name, expected, embedder.image_size):
            logger.warning(
                "%s: the photos are aligned to %s, but the model was trained on crops aligned to %s",
                *(folder, name, expected),
            )


class FeatureSource:
    """Embeddings that were computed before.

    Args:
        features: The embeddings.
    """

    flip = None

    def __init__(self, features: Features):
        self.features = features

    def __call__(self, keys: Sequence[str], locate: Locate) -> Embedded:
        """Returns the embeddings of the keys; photos are not looked at.

        Raises: ValueError if some are missing.
        """
        features = self.features.take(keys)
        data_hash = hashlib.sha256(np.ascontiguousarray(features.embeddings).data)
        data_hash.update(np.ascontiguousarray(features.norms).data)
        return Embedded(features, data_hash.hexdigest())

    def origin(self, data: str, how: str = "", data_hash: str | None = None) -> Origin:
        """Returns what is said of a result; `how` is what is done to the embeddings."""
        given = "embeddings as given"
        return Origin(self.features.source, data, f"{how}; {given}" if how else given, None, None, data_hash)


Source = PhotoSource | FeatureSource
