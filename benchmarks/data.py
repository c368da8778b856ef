"""How fast photos become records, and records become batches, beside a bare loop of `tf.io.decode_jpeg`.

    python benchmarks/data.py [--crops 10000] [--rounds 4]

The photos are LFW's where KERAS_FACE_DATA (default ../shared/data) has them, else crops of smooth noise. The rates are
the best of the rounds, which take turns, so that what else the machine does hits all alike.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import numpy as np
from absl import app, flags, logging

from keras_face.augmentation.augmentation import Augmentation
from keras_face.backend import tf
from keras_face.photos.encoding import jpeg
from keras_face.records import from_photos, streams

CROPS = flags.DEFINE_integer("crops", 10_000, "Crops of noise to draw where LFW is absent.", lower_bound=100)
ROUNDS = flags.DEFINE_integer("rounds", 4, "Measurements of each rate.", lower_bound=1)
BATCH_SIZE = 128


def source(scratch: Path) -> Path:
    """Returns a folder with a folder of 112x112 crops per person."""
    data = Path(os.environ.get("KERAS_FACE_DATA") or Path(__file__).parent / ".." / ".." / "shared" / "data")
    if (data / "lfw" / "aligned112").is_dir():
        return data / "lfw" / "aligned112"
    random = np.random.RandomState(0)
    for number in range(CROPS.value):
        folder = scratch / "photos" / f"{number // 20:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = random.randint(0, 256, (14, 14, 3), np.uint8)
        crop = cv2.resize(coarse, (112, 112), interpolation=cv2.INTER_CUBIC)
        (folder / f"{number}.jpg").write_bytes(jpeg(crop))
    return scratch / "photos"


def writing_rate(photos: Path, output: Path) -> float:
    """Returns crops/s from a folder of photos to records."""
    start = time.perf_counter()
    summary = from_photos.write_folder(photos, output, progress=False)
    return summary.counts["photos"] / (time.perf_counter() - start)


def bare_rate(encoded: tf.Tensor, dct_method: str) -> float:
    """Returns images/s of a loop that decodes and does nothing else; it runs within tf.data, without Python."""
    loop = tf.data.Dataset.from_tensor_slices(encoded)
    loop = loop.map(
        lambda image: tf.io.decode_jpeg(image, channels=3, dct_method=dct_method), num_parallel_calls=tf.data.AUTOTUNE
    )
    start = time.perf_counter()
    list(loop.skip(len(encoded) - 1))
    return len(encoded) / (time.perf_counter() - start)


def stream_rate(batches: Iterator, count: int) -> float:
    """Returns images/s of the next `count` batches."""
    for _ in range(32):  # what was prefetched meanwhile does not count
        next(batches)
    start = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count * BATCH_SIZE / (time.perf_counter() - start)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        photos = source(scratch)
        writing = max(writing_rate(photos, scratch / f"records {number}") for number in range(ROUNDS.value))
        dataset = writing.open_dataset(scratch / "records 0")

        encoded = writing.parse(list(tf.data.TFRecordDataset(dataset.shards)))["images"].flat_values
        batches = iter(
            streams.train_stream(
                streams.mix([dataset], [None]),
                batch_size=BATCH_SIZE,
                seed=0,
                image_size=dataset.image_size,
                augmentation=Augmentation(flip=0.5),
            )
        )
        rounds = [
            (
                bare_rate(encoded, "INTEGER_ACCURATE"),
                stream_rate(batches, len(encoded) // BATCH_SIZE),
                bare_rate(encoded, ""),
            )
            for _ in range(ROUNDS.value)
        ]
    bare, stream, fast = np.max(rounds, axis=0)
    print(f"{dataset.num_images:,} crops of {photos}, {os.cpu_count()} cores")
    print(f"write_images            {writing:>9,.0f} crops/s, every photo's structure checked")
    print(f"bare decode_jpeg        {bare:>9,.0f} images/s, INTEGER_ACCURATE as the stream; its default: {fast:,.0f}")
    print(f"records to batches      {stream:>9,.0f} images/s, shuffled and flipped")
    print(f"records to batches / bare decode_jpeg  {stream / bare:.2f}")


if __name__ == "__main__":
    app.run(main)
