"""One pass over the photos of a dataset: every one is decoded, and a few numbers of each are kept."""

import collections
import concurrent.futures
import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import cv2
import numpy as np
from tqdm import tqdm

from keras_face.backend import tf
from keras_face.inspection.descriptors import DESCRIPTOR_SIZE, SMALL, content_hash, describe
from keras_face.inspection.sources import Photos
from keras_face.photos import headers, images
from keras_face.photos.files import PhotoError
from keras_face.photos.limit import too_many
from keras_face.photos.luminance import LUMINANCE
from keras_face.photos.pixels import is_changed, pixels_of
from keras_face.photos.scan import scan_damage

GOOD, EMPTY, NO_PHOTO, DAMAGED, TOO_LARGE = range(5)
REASONS = (
    "good",
    "empty, or cannot be read",
    "of no kind that can be read here",
    "damaged or cut off",
    "more pixels than --max_pixels",
)
_CHUNK = 64  # photos that a thread takes at a time
_CENTRE = slice(SMALL // 4, 3 * SMALL // 4)  # where the skin is

FACTS = np.dtype(
    [
        ("verdict", "i1"),
        ("changed", "?"),
        ("height", "<i4"),
        ("width", "<i4"),
        ("bytes_hash", "<i8"),  # -1: none
        ("pixels_hash", "<i8"),  # -1: none, the photo is damaged
        ("red_over_blue", "<f4"),
        ("colour", "<f4"),
        ("contrast", "<f4"),
        ("descriptor", "i1", DESCRIPTOR_SIZE),
    ]
)


@dataclasses.dataclass(frozen=True)
class Scan:
    """What one pass over a dataset's photos found.

    Args:
        facts: FACTS [photos]. `verdict`: an index into REASONS; `changed`: in records, the training sees it otherwise
            than all else does (`pixels.is_changed`), sideways for one; `red_over_blue`: of the middle half of both
            sides, grey levels; `colour`: mean difference of a pixel's largest and smallest channel; `contrast`:
            standard deviation of the small grey photo; `descriptor`: see `descriptors.describe`.
        mean_photo: float32 [112, 112, 3], RGB, of all good photos.
    """

    facts: np.ndarray
    mean_photo: np.ndarray

    @property
    def good(self) -> np.ndarray:
        """Which photos can be decoded, bool [photos]."""
        return self.facts["verdict"] == GOOD


def scan(photos: Photos, progress: bool = False, threads: int | None = None) -> Scan:
    """Returns the facts of all photos of a dataset; 102 bytes of each are kept.

    Args:
        photos: The dataset.
        progress: Whether to show a progress bar.
        threads: That decode; None: as many as there are processors.

    Raises: ValueError if the records are damaged on disk.
    """
    size = photos.image_size or _first_size(photos.encoded())
    parts, total = [], np.zeros((112, 112, 3), np.float32)
    with tqdm(total=len(photos), desc=f"inspecting {photos.name}", unit=" photos", disable=not progress) as bar:
        work = functools.partial(chunk_facts, size=size)
        for facts, mean_sum in _ordered(work, _chunks(photos.encoded()), threads or os.cpu_count() or 1):
            parts.append(facts)
            total += mean_sum
            bar.update(len(facts))
    facts = np.concatenate(parts)
    return Scan(facts, total / max(1, int(np.count_nonzero(facts["verdict"] == GOOD))))


def chunk_facts(chunk: Sequence[bytes], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the facts of encoded photos, FACTS [n], and the sum of the good ones at 112x112, float32 [112, 112, 3].

    Args:
        chunk: Contents of files.
        size: (height, width) that most photos have: those are decoded together.
    """
    facts = np.zeros(len(chunk), FACTS)
    facts["pixels_hash"] = facts["bytes_hash"] = -1
    total = np.zeros((112, 112, 3), np.float32)
    small = np.zeros((len(chunk), SMALL, SMALL, 3), np.uint8)
    plain = [headers.is_plain(content) for content in chunk]
    decoded = decode_all(chunk, size, all(plain))
    for number, (content, (verdict, image)) in enumerate(zip(chunk, decoded, strict=True)):
        fact = facts[number]
        if image is not None and scan_damage(content):
            verdict, image = DAMAGED, None
        fact["verdict"] = verdict
        fact["changed"] = not plain[number] and is_changed(content)
        if content:
            fact["bytes_hash"] = content_hash(content)
        if image is None:
            continue
        fact["height"], fact["width"] = image.shape[:2]
        fact["pixels_hash"] = content_hash(np.ascontiguousarray(image).data) ^ (image.shape[0] << 32)
        if image.shape[:2] != (112, 112):
            image = cv2.resize(image, (112, 112), interpolation=cv2.INTER_AREA)
        cv2.accumulate(image, total)
        small[number] = cv2.resize(image, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    pixels = small.astype(np.float32)
    grey = pixels @ np.array(LUMINANCE, np.float32)
    facts["contrast"] = grey.std(axis=(1, 2))
    red, green, blue = np.moveaxis(pixels, -1, 0)  # NumPy reduces a last axis of three slowly
    brightest, darkest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    facts["colour"] = (brightest - darkest).mean(axis=(1, 2))
    facts["red_over_blue"] = (red - blue)[:, _CENTRE, _CENTRE].mean(axis=(1, 2))
    facts["descriptor"] = describe(grey)
    return facts, total


def decode_all(
    chunk: Sequence[bytes], size: tuple[int, int], plain: bool | None = None
) -> list[tuple[int, np.ndarray | None]]:
    """Returns verdict and pixels of each photo: uint8 [height, width, 3] RGB, None if it is not good.

    Args:
        chunk: As `chunk_facts`.
        size: Likewise.
        plain: Whether all are plain (`headers.is_plain`); None: to be found out.
    """
    if all(map(headers.is_plain, chunk)) if plain is None else plain:
        try:
            return [(GOOD, image) for image in _decoder(*size)(tf.constant(chunk)).numpy()]
        except tf.errors.OpError:
            pass  # one of them is damaged, or of another size
    return [_decode(content) for content in chunk]


def _decode(content: bytes) -> tuple[int, np.ndarray | None]:
    if not content:
        return EMPTY, None
    try:
        return GOOD, pixels_of(content)
    except PhotoError as error:
        reason = str(error)
    if reason == too_many():
        return TOO_LARGE, None
    return (NO_PHOTO if reason.startswith("neither") or "which needs" in reason else DAMAGED), None


@functools.cache
def _decoder(height: int, width: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function of encoded photos of one size: one call for many, which leaves Python free meanwhile."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def decoded(contents: tf.Tensor) -> tf.Tensor:
        def one(content: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(images.decode(content), [height, width, 3])

        return tf.map_fn(one, contents, fn_output_signature=tf.TensorSpec([height, width, 3], tf.uint8))

    return decoded


def _first_size(contents: Iterable[bytes]) -> tuple[int, int]:
    """Returns the (height, width) of the first good photo."""
    for content in contents:
        _, image = _decode(content)
        if image is not None:
            return image.shape[0], image.shape[1]
    return 112, 112


def _chunks(contents: Iterable[bytes]) -> Iterator[list[bytes]]:
    iterator = iter(contents)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        yield chunk


def _ordered(work: Callable, items: Iterable, threads: int) -> Iterator:
    """Yields work(item) in order, a few items ahead: a pool's `imap` would read all of them into memory."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        waiting: collections.deque[concurrent.futures.Future] = collections.deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
