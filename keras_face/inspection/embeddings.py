"""The embeddings of a dataset's photos, in batches, of the photos as they are on disk."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_face.export import EmbedderLike
from keras_face.inspection.facts import decode_all
from keras_face.inspection.sources import Photos
from keras_face.photos.images import fit


def embed(photos: Photos, embedder: EmbedderLike, progress: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields int64 [n], numbers of good photos, and their unit embeddings, float32 [n, embedding_size].

    Args:
        photos: The dataset; what cannot be decoded is left out.
        embedder: What embeds; photos of another size than its own are fitted to it.
        progress: Whether to show a progress bar.

    Raises: ValueError at an embedding that is not finite.
    """
    contents = enumerate(photos.encoded())
    with tqdm(total=len(photos), desc=f"embedding {photos.name}", unit=" photos", disable=not progress) as bar:
        while batch := list(itertools.islice(contents, embedder.batch_size)):
            decoded = decode_all([content for _, content in batch], photos.image_size or embedder.image_size)
            good = [
                (number, image) for (number, _), (_, image) in zip(batch, decoded, strict=True) if image is not None
            ]
            bar.update(len(batch))
            if not good:
                continue
            size = embedder.image_size
            fitted = [image if image.shape[:2] == size else fit(image, size).numpy() for _, image in good]
            embeddings = np.asarray(embedder(np.stack(fitted)), np.float32)
            numbers = np.array([number for number, _ in good])
            if not np.isfinite(embeddings).all():
                broken = photos.photo_name(int(numbers[~np.isfinite(embeddings).all(axis=1)][0]))
                raise ValueError(f"expected finite embeddings, got NaN or infinity for {broken}")
            yield numbers, embeddings


def embed_all(
    photos: Photos, embedder: EmbedderLike, folder: str | os.PathLike, progress: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which photos are good, bool [photos], and the embeddings, float32 [photos, size], 0 of the others.

    The embeddings are in a file, mapped into memory: of ten million photos they are 20 GB.

    Args:
        photos: The dataset.
        embedder: See `embed`.
        folder: For the file.
        progress: Whether to show a progress bar.
    """
    good = np.zeros(len(photos), bool)
    stored: np.ndarray | None = None
    for numbers, embeddings in embed(photos, embedder, progress):
        if stored is None:
            shape = len(photos), embeddings.shape[1]
            stored = np.lib.format.open_memmap(Path(folder) / "embeddings.npy", "w+", np.float32, shape)
        stored[numbers] = embeddings
        good[numbers] = True
    if stored is None:
        raise ValueError(f"{photos.path}: expected photos that can be decoded, got none")
    return good, stored


def half_sums(photos: Photos, embedder: EmbedderLike, progress: bool = False) -> np.ndarray:
    """Returns float32 [2, num_identities, embedding_size], sums of embeddings: of every other photo of each identity.

    Args: as `embed`.
    """
    sums: np.ndarray | None = None
    seen = np.zeros(len(photos.identities), np.int64)
    for numbers, embeddings in embed(photos, embedder, progress):
        if sums is None:
            sums = np.zeros((2, len(photos.identities), embeddings.shape[1]), np.float32)
        for label, embedding in zip(photos.labels[numbers].tolist(), embeddings, strict=True):
            if 0 <= label < len(seen):
                sums[seen[label] % 2, label] += embedding
                seen[label] += 1
    if sums is None:
        raise ValueError(f"{photos.path}: expected photos that can be decoded, got none")
    return sums
