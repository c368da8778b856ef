"""The embeddings of all photos of a folder or a dataset, by name: what a file of features has."""

import itertools
import re
from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from keras_face.evaluation.features import Features
from keras_face.export import EmbedderLike
from keras_face.measurement.photos import Photo, embed

_BLOCK = 2048  # photos that are in memory at a time, as they are on disk


def embed_all(
    embedder: EmbedderLike,
    photos: Iterable[tuple[str, Photo]],
    total: int,
    *,
    flip: bool = True,
    progress: bool = False,
) -> Features:
    """Returns the embeddings of named photos, the same that an evaluation of them computes.

    Args:
        embedder: What embeds.
        photos: Name and photo, in any number; one block of them is held at a time.
        total: How many they are, for the progress bar.
        flip: Add the mirror image, see `photos.embed`.
        progress: Show a progress bar on stderr.

    Raises: ValueError as `photos.embed`, for a name that comes twice, and if there are no photos.
    """
    names: list[str] = []
    parts = []
    stream = iter(photos)
    with tqdm(desc="embedding", total=total, unit=" photos", disable=not progress) as bar:
        while block := list(itertools.islice(stream, _BLOCK)):
            try:
                parts.append(embed(embedder, [photo for _, photo in block], flip=flip))
            except ValueError as error:
                # Photos of records have no path that an error could name.
                text = re.sub(r"^packed photo (\d+)", lambda match: block[int(match[1])][0], str(error))
                raise ValueError(text) from None
            names += [name for name, _ in block]
            bar.update(len(block))
    if not names:
        raise ValueError("expected photos to embed, got none")
    twice = len(names) - len(set(names))
    if twice:
        raise ValueError(f"expected each name once, got {twice} of {len(names)} again")
    embeddings = np.concatenate([part.embeddings for part in parts])
    return Features(tuple(names), embeddings, np.concatenate([part.norms for part in parts]), embedder.name)
