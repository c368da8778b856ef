"""Photos to embeddings, in batches; photos are read and decoded in threads while the model runs."""

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tqdm

from keras_face.alignment.templates import Template
from keras_face.alignment.transform import align
from keras_face.backend import tf
from keras_face.export import EmbedderLike
from keras_face.photos import headers
from keras_face.photos.files import PhotoError
from keras_face.photos.images import decode, fit
from keras_face.photos.pixels import pixels_of

_NUM_NAMED = 3  # photos that an error message lists
_GROUP = 64  # photos whose headers are looked at by one call into Python
_THREADS = 8


@dataclass(frozen=True)
class LooseCrop:
    """A photo around a face, which is aligned when it is read.

    Args:
        path: The file.
        landmarks: Five points, x and y in pixels of the photo, in the order of `Template.landmarks`.
        template: Where they are to lie.
    """

    path: Path
    landmarks: tuple[tuple[float, float], ...]
    template: Template

    def __str__(self) -> str:
        return os.fspath(self.path)


# A file, a loose crop, the content of a file, or uint8 RGB pixels [height, width, 3].
Photo = str | Path | LooseCrop | bytes | np.ndarray


class Embeddings(NamedTuple):
    """Unit embeddings float32 [n, embedding_size], and the lengths they had, float32 [n]; 1 where not known."""

    embeddings: np.ndarray
    norms: np.ndarray


def embed_photos(
    embedder: EmbedderLike, photos: Sequence[Photo], *, flip: bool = True, progress: bool = False
) -> np.ndarray:
    """Returns the unit embedding of each photo: `embed` without the norms."""
    return embed(embedder, photos, flip=flip, progress=progress).embeddings


def embed(embedder: EmbedderLike, photos: Sequence[Photo], *, flip: bool = True, progress: bool = False) -> Embeddings:
    """Returns the unit embedding of each photo, and its norm.

    With `flip` it is the unit vector along the sum of two: of the photo and of its horizontal mirror image; the norm
    is the mean of theirs.

    Args:
        embedder: What is measured.
        photos: Files, encoded images or pixels; fitted to the embedder's size, not aligned unless
            they are loose crops.
        flip: Add the mirror image.
        progress: Show a progress bar on stderr.

    Raises:
        FileNotFoundError: Photos are missing; says how many, and names the first.
        ValueError: A photo that is no image (named), or an embedding that is zero or not finite.
    """
    if not photos:
        raise ValueError("expected photos to embed, got none")
    found: Embeddings | None = None
    done = 0
    with tqdm.tqdm(total=len(photos), unit="photo", disable=not progress) as bar:
        for images in _image_batches(photos, embedder.image_size, embedder.batch_size):
            embeddings, norms = _embedded(embedder, images)
            embeddings = _unit(embeddings, photos, done)
            if flip:
                mirrored, mirrored_norms = _embedded(embedder, images[:, :, ::-1])
                embeddings = _unit(embeddings + _unit(mirrored, photos, done), photos, done)
                norms = (norms + mirrored_norms) / 2
            if found is None:  # one array from the start: a million embeddings are 2 GB
                found = Embeddings(
                    np.empty((len(photos), embeddings.shape[1]), np.float32), np.empty(len(photos), np.float32)
                )
            found.embeddings[done : done + len(images)] = embeddings
            found.norms[done : done + len(images)] = norms
            done += len(images)
            bar.update(len(images))
    if found is None or done != len(photos):
        raise RuntimeError(f"embedded {done} of {len(photos)} photos")
    return found


def content_hash(photos: Sequence[Photo]) -> str:
    """Returns the SHA-256 of the content of all photos in their order; names do not matter.

    Raises: FileNotFoundError as `embed`.
    """
    _check_files(photos)
    total = hashlib.sha256()
    with ThreadPool(_THREADS) as pool:
        for digest in pool.imap(_digest, photos, chunksize=64):
            total.update(digest)
    return total.hexdigest()


def pixels(photo: Photo) -> np.ndarray:
    """Returns uint8 RGB [height, width, 3] of a photo; a loose crop's are aligned.

    Raises: ValueError if it is no image; OSError if the file cannot be read.
    """
    if isinstance(photo, np.ndarray):
        return photo
    if isinstance(photo, LooseCrop):
        return align(_read(photo.path), np.array(photo.landmarks), photo.template)
    if not isinstance(photo, bytes):
        return _read(photo)
    try:
        return pixels_of(photo)
    except PhotoError as error:
        raise ValueError(f"packed photo: {error}") from None


def named_missing(names: Sequence[str], total: int, what: str) -> str:
    """Returns the line that says what is missing: how many of how many, and the first names."""
    dots = ", ..." if len(names) > _NUM_NAMED else ""
    return f"{len(names)} of {total} {what}: {', '.join(names[:_NUM_NAMED])}{dots}"


def _read(path: str | Path) -> np.ndarray:
    try:
        return pixels_of(Path(path).read_bytes())
    except PhotoError as error:
        raise ValueError(f"{path}: {error}") from None


def _digest(photo: Photo) -> bytes:
    found = hashlib.sha256()
    if isinstance(photo, np.ndarray):
        found.update(f"{photo.shape}".encode() + np.ascontiguousarray(photo).tobytes())
    elif isinstance(photo, LooseCrop):
        template = photo.template
        found.update(repr((photo.landmarks, template.landmarks.tolist(), template.image_size)).encode())
        found.update(template.anchors.encode() + photo.path.read_bytes())
    else:
        found.update(photo if isinstance(photo, bytes) else Path(photo).read_bytes())
    return found.digest()


def _embedded(embedder: EmbedderLike, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with_norms = getattr(embedder, "with_norms", None)
    if with_norms is not None:
        return with_norms(images)
    return embedder(images), np.ones(len(images), np.float32)


def _image_batches(photos: Sequence[Photo], image_size: tuple[int, int], batch_size: int) -> Iterator[np.ndarray]:
    """Yields uint8 [batch, height, width, 3], the photos in their order, fitted to `image_size`."""
    _check_files(photos)

    def read(numbers: np.ndarray) -> np.ndarray:
        return np.array([_plain_content(photos[number]) for number in numbers], object)

    def contents(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return numbers, tf.ensure_shape(tf.numpy_function(read, [numbers], tf.string), [None])

    def prepared(number: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
        def read_one() -> tf.Tensor:
            return tf.numpy_function(lambda index: pixels(photos[index]), [number], tf.uint8)

        image = tf.cond(tf.equal(content, b""), read_one, lambda: decode(content))
        return fit(tf.ensure_shape(image, [None, None, 3]), image_size)

    dataset = _mapped(tf.data.Dataset.range(len(photos)).batch(_GROUP), contents)
    dataset = _mapped(dataset.unbatch(), prepared)
    try:
        for images in dataset.batch(batch_size, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE):
            yield images.numpy()
    except tf.errors.OpError:
        # The pipeline does not say which photo it was.
        for number, photo in enumerate(photos):
            try:
                pixels(photo)
            except (ValueError, OSError) as error:
                raise ValueError(str(error).replace("packed photo:", f"packed photo {number}:")) from None
        raise


_mapped = functools.partial(tf.data.Dataset.map, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _plain_content(photo: Photo) -> bytes:
    """Returns the file of a photo that TensorFlow may decode, without a look at its pixels; empty where it may not."""
    if isinstance(photo, (np.ndarray, LooseCrop)):
        return b""
    content = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
    return content if headers.is_plain(content) else b""


def _check_files(photos: Sequence[Photo]) -> None:
    """Raises FileNotFoundError if photos are missing; says how many, and names the first."""
    files = [str(photo) for photo in photos if isinstance(photo, (str, Path, LooseCrop))]
    missing = [file for file in files if not os.path.isfile(file)]
    if missing:
        raise FileNotFoundError(named_missing(missing, len(files), "photos are missing"))


def _unit(vectors: np.ndarray, photos: Sequence, offset: int) -> np.ndarray:
    """Returns the rows at unit length; `photos[offset]` is what the first one came from, for the error."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(length) & (length > 0)))
    if bad.size:
        number = offset + int(bad[0])
        photo = photos[number]
        name = f"packed photo {number}" if isinstance(photo, (bytes, np.ndarray)) else str(photo)
        raise ValueError(f"{name}: expected an embedding with a direction, got length {length[bad[0], 0]}")
    return vectors / length
