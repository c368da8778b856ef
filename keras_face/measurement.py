"""Measures an embedder: photos to embeddings, a protocol's pairs to similarities, similarities to figures."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import tqdm

from keras_face.backend import tf
from keras_face.data.images import decode, fit
from keras_face.evaluation.pickles import read_bin, read_np
from keras_face.evaluation.plots import save_histogram, save_roc
from keras_face.evaluation.protocols import Pairs, read_pairs, read_ytf_splits
from keras_face.evaluation.results import VerificationResult, verify

Photo = str | Path | bytes | np.ndarray  # a file, an encoded JPEG or PNG, or uint8 RGB pixels [height, width, 3]

_FLIP = {True: "each photo with its mirror image, unit(unit + unit)", False: "each photo alone, no mirror image"}
_NUM_NAMED = 3  # photos that an error message lists


class EmbedderLike(Protocol):
    """What can be measured: a callable from images to unit embeddings.

    Call arguments:
        images: uint8 [n, height, width, 3], RGB aligned crops of `image_size`.

    Returns: float32 array [n, embedding_size], unit length.
    """

    @property
    def name(self) -> str: ...
    @property
    def image_size(self) -> tuple[int, int]: ...
    @property
    def batch_size(self) -> int: ...
    def __call__(self, images: np.ndarray, /) -> np.ndarray: ...


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
        grey = images.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as in JPEG
        flat = grey.reshape(len(images), -1)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)  # a black photo stays 0


def embed_photos(
    embedder: EmbedderLike, photos: Sequence[Photo], *, flip: bool = True, progress: bool = False
) -> np.ndarray:
    """Returns the unit embedding of each photo.

    With `flip` it is the unit vector along the sum of two: of the photo and of its horizontal mirror image.

    Args:
        embedder: What is measured.
        photos: Files, encoded images or pixels, all of one kind; fitted to the embedder's size, not aligned.
        flip: Add the mirror image.
        progress: Show a progress bar on stderr.

    Returns: float32 [n, embedding_size].

    Raises:
        FileNotFoundError: Photos are missing; says how many, and names the first.
        ValueError: A photo that is no image (named), or an embedding that is zero or not finite.
    """
    return np.concatenate(list(_embed_batches(embedder, photos, flip, progress)))


def measure_lfw(
    embedder: EmbedderLike,
    data: str | os.PathLike,
    pairs_file: str | os.PathLike | None = None,
    *,
    flip: bool = True,
    plots_dir: str | os.PathLike | None = None,
    progress: bool = False,
) -> VerificationResult:
    """Returns the figures on pairs of photos.

    Args:
        embedder: What is measured.
        data: Folder of aligned photos, an InsightFace `.bin`, or margin-centre-face's `lfw.np`.
        pairs_file: Pairs of the photos in a folder, a format of `read_pairs`; None: `pairs.txt` in the folder.
        flip: Add the mirror image, see `embed_photos`.
        plots_dir: Folder for `lfw_roc.png` and `lfw_histogram.png`; None: no plots.
        progress: Show a progress bar on stderr.

    Raises: ValueError or FileNotFoundError, as `embed_photos`, `read_pairs`, `read_bin`, `read_np` and `verify`.
    """
    root = Path(data)
    photos: Sequence[Photo]
    if root.is_dir():
        pairs = read_pairs(pairs_file if pairs_file is not None else root / "pairs.txt")
        keys = pairs.distinct_keys()
        photos = [root / key for key in keys]
    elif root.suffix in (".bin", ".np"):
        if pairs_file is not None:
            raise ValueError(f"{root}: expected no pairs file beside packed pairs, got {pairs_file}")
        packed = read_bin(root) if root.suffix == ".bin" else read_np(root)
        pairs, photos = packed.pairs, packed.photos
        keys = tuple(map(str, range(len(photos))))
    else:
        raise FileNotFoundError(f"{root}: expected a folder of photos, a .bin or a .np file")
    embeddings = embed_photos(embedder, photos, flip=flip, progress=progress)
    similarity = _similarity(pairs, keys, embeddings)
    result = verify(pairs, similarity, model=embedder.name, data=os.fspath(data), photos=_FLIP[flip], flip=flip)
    _plot(result, similarity, pairs.genuine, plots_dir, "lfw")
    return result


@dataclass(frozen=True)
class YtfResult:
    """Figures on YTF-style pairs of tracks.

    Attributes:
        raw: On all pairs, with the original labels.
        corrected: With the corrected labels, without the wrong tracks; None if there is nothing to correct by.
    """

    raw: VerificationResult
    corrected: VerificationResult | None

    def rows(self) -> tuple[VerificationResult, ...]:
        """Returns raw and corrected side by side, for `table` and `write_results`."""
        return (self.raw,) if self.corrected is None else (self.raw, self.corrected)


def measure_ytf(
    embedder: EmbedderLike,
    frames_dir: str | os.PathLike,
    splits_file: str | os.PathLike,
    error_file: str | os.PathLike | None = None,
    *,
    flip: bool = True,
    max_frames: int = 0,
    plots_dir: str | os.PathLike | None = None,
    progress: bool = False,
) -> YtfResult:
    """Returns the figures on pairs of tracks, raw and corrected.

    The template of a track is the unit vector along the mean of the unit embeddings of its frames.

    Args:
        embedder: What is measured.
        frames_dir: Folder of aligned frames, `Name/number/*.jpg` (also .jpeg, .png, in any case).
        splits_file: Pairs of tracks, see `read_ytf_splits`.
        error_file: List of wrong tracks to leave out of the corrected figures; None: none.
        flip: Add the mirror image of each frame, see `embed_photos`.
        max_frames: Frames of a track that are used, evenly spaced in order of file name; 0: all.
        plots_dir: Folder for `ytf_raw_roc.png`, `ytf_raw_histogram.png` and the same for corrected; None: no plots.
        progress: Show a progress bar on stderr.

    Raises:
        FileNotFoundError: Tracks without frames; says how many, and names the first.
        ValueError: As `embed_photos`, `read_ytf_splits` and `verify`.
    """
    raw = read_ytf_splits(splits_file, label="original")
    corrected = read_ytf_splits(splits_file, label="corrected", error_file=error_file)
    tracks = raw.distinct_keys()
    frames = [_frames(Path(frames_dir) / track, max_frames) for track in tracks]
    without = [track for track, files in zip(tracks, frames, strict=True) if not files]
    if without:
        raise FileNotFoundError(
            _missing(without, len(tracks), f"tracks have no frames (.jpg, .jpeg, .png) in {frames_dir}")
        )
    owner = np.repeat(np.arange(len(tracks)), [len(files) for files in frames])
    sums, done = np.zeros(()), 0
    for batch in _embed_batches(embedder, [file for files in frames for file in files], flip, progress):
        if done == 0:
            sums = np.zeros((len(tracks), batch.shape[1]))
        np.add.at(sums, owner[done : done + len(batch)], batch)
        done += len(batch)
    templates = _unit(sums, tracks, 0)
    used = f"at most {max_frames} frames of a track, evenly spaced" if max_frames else "all frames of a track"
    photos = f"{used}, unit(mean of unit embeddings); {_FLIP[flip]}"

    def result(pairs: Pairs, name: str) -> VerificationResult:
        similarity = _similarity(pairs, tracks, templates)
        row = verify(pairs, similarity, model=embedder.name, data=os.fspath(frames_dir), photos=photos, flip=flip)
        _plot(row, similarity, pairs.genuine, plots_dir, f"ytf_{name}")
        return row

    same = error_file is None and np.array_equal(raw.genuine, corrected.genuine)
    return YtfResult(result(raw, "raw"), None if same else result(corrected, "corrected"))


def _embed_batches(embedder: EmbedderLike, photos: Sequence[Photo], flip: bool, progress: bool) -> Iterator[np.ndarray]:
    """Yields float32 [batch, embedding_size], the unit embeddings of the photos in their order."""
    if not photos:
        raise ValueError("expected photos to embed, got none")
    done = 0
    with tqdm.tqdm(total=len(photos), unit="photo", disable=not progress) as bar:
        for images in _image_batches(photos, embedder.image_size, embedder.batch_size):
            embeddings = _unit(embedder(images), photos, done)
            if flip:
                embeddings = _unit(embeddings + _unit(embedder(images[:, :, ::-1]), photos, done), photos, done)
            yield embeddings
            done += len(images)
            bar.update(len(images))


def _image_batches(photos: Sequence[Photo], image_size: tuple[int, int], batch_size: int) -> Iterator[np.ndarray]:
    """Yields uint8 [batch, height, width, 3], the photos in their order, fitted to `image_size`."""

    def prepare(photo: tf.Tensor) -> tf.Tensor:
        if photo.dtype != tf.uint8:
            photo = decode(photo if encoded else tf.io.read_file(photo))
        return fit(photo, image_size)

    encoded = isinstance(photos[0], bytes)
    if isinstance(photos[0], np.ndarray):
        pixels = tf.TensorSpec([None, None, 3], tf.uint8)
        dataset = tf.data.Dataset.from_generator(lambda: iter(photos), output_signature=pixels)
    elif encoded:
        dataset = tf.data.Dataset.from_tensor_slices(list(photos))
    else:
        files = [str(photo) for photo in photos]
        missing = [file for file in files if not os.path.isfile(file)]
        if missing:
            raise FileNotFoundError(_missing(missing, len(files), "photos are missing"))
        dataset = tf.data.Dataset.from_tensor_slices(files)
    dataset = dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    try:
        for images in dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE):
            yield images.numpy()
    except tf.errors.OpError:
        # The pipeline does not say which photo it was.
        for number, photo in enumerate(photos):
            try:
                prepare(tf.convert_to_tensor(str(photo) if isinstance(photo, Path) else photo))
            except tf.errors.OpError:
                raise ValueError(f"{_name(photo, number)}: expected a whole JPEG or PNG image") from None
        raise


def _frames(folder: Path, max_frames: int) -> list[Path]:
    if not folder.is_dir():
        return []
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not max_frames or len(files) <= max_frames:
        return files
    return [files[(2 * number + 1) * len(files) // (2 * max_frames)] for number in range(max_frames)]


def _similarity(pairs: Pairs, keys: Sequence[str], embeddings: np.ndarray) -> np.ndarray:
    """Returns [n], the cosine of the unit embeddings of each pair; `keys` has the key of each row of embeddings."""
    index = {key: row for row, key in enumerate(keys)}
    left, right = (embeddings[[index[key] for key in side]] for side in (pairs.left, pairs.right))
    return np.einsum("nd,nd->n", left, right)


def _plot(
    result: VerificationResult, similarity: np.ndarray, genuine: np.ndarray, folder: str | os.PathLike | None, name: str
) -> None:
    """Writes `<name>_roc.png` and `<name>_histogram.png` into the folder, if there is one."""
    if folder is None:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    title = f"{result.model}\n{result.protocol}"
    threshold = float(np.mean(result.accuracy.thresholds))
    save_roc(Path(folder, f"{name}_roc.png"), similarity, genuine, title=title)
    save_histogram(Path(folder, f"{name}_histogram.png"), similarity, genuine, threshold=threshold, title=title)


def _unit(vectors: np.ndarray, photos: Sequence, offset: int) -> np.ndarray:
    """Returns the rows at unit length; `photos[offset]` is what the first one came from, for the error."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(length) & (length > 0)))
    if bad.size:
        number = offset + int(bad[0])
        raise ValueError(
            f"{_name(photos[number], number)}: expected an embedding with a direction, got length {length[bad[0], 0]}"
        )
    return vectors / length


def _name(photo: Photo, number: int) -> str:
    return os.fspath(photo) if isinstance(photo, (str, os.PathLike)) else f"packed photo {number}"


def _missing(names: Sequence[str], total: int, what: str) -> str:
    return (
        f"{len(names)} of {total} {what}: {', '.join(names[:_NUM_NAMED])}{', ...' if len(names) > _NUM_NAMED else ''}"
    )
