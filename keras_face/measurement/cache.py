"""Embeddings that were computed before, found again by the content of model and photos."""

import hashlib
import logging
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_face import files
from keras_face.measurement.photos import Embeddings

logger = logging.getLogger("keras_face")

_VERSION = 3  # of how photos become embeddings: reading, fitting, mirror images


@dataclass(frozen=True)
class EmbeddingCache:
    """A folder of embeddings. An entry that is damaged is not trusted.

    Args:
        folder: Made when an entry is written.
    """

    folder: Path

    def key(self, model_hash: str, data_hash: str, flip: bool, image_size: tuple[int, int]) -> str:
        """Returns the name of an entry: another model, photo, size or flip has another."""
        text = f"{_VERSION} {model_hash} {data_hash} {flip} {image_size}"
        return hashlib.sha256(text.encode()).hexdigest()

    def get(self, key: str, num_photos: int) -> Embeddings | None:
        """Returns the embeddings of a key; None if there are none, or they are damaged."""
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                arrays = np.load(file, allow_pickle=False)
                found = Embeddings(arrays["embeddings"], arrays["norms"])
                checksum = str(arrays["checksum"])
        except FileNotFoundError:
            return None
        except (
            OSError,
            ValueError,
            KeyError,
            EOFError,
            TypeError,
            IndexError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            logger.warning("%s is damaged (%s): computing again", path, " ".join(str(error).split()))
            return None
        if len(found.embeddings) != num_photos or checksum != _checksum(key, found):
            logger.warning("%s is damaged: computing again", path)
            return None
        return found

    def put(self, key: str, found: Embeddings) -> None:
        """Writes the embeddings of a key; the entry appears whole or not at all."""
        with files.opened_whole(self._path(key)) as file:
            checksum = np.array(_checksum(key, found))
            np.savez(file, embeddings=found.embeddings, norms=found.norms, checksum=checksum)

    def _path(self, key: str) -> Path:
        return Path(os.fspath(self.folder), f"{key}.npz")


def _checksum(key: str, found: Embeddings) -> str:
    checksum = hashlib.sha256(key.encode())
    for array in found:
        checksum.update(f"{array.dtype} {array.shape}".encode())
        checksum.update(np.ascontiguousarray(array).data)
    return checksum.hexdigest()
