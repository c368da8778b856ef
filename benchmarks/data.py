"""How fast photos become records, and records become batches, beside a bare loop of `tf.io.decode_jpeg`.

    python benchmarks/data.py [--crops 10000] [--rounds 3]

The photos are LFW's where KERAS_FACE_DATA (default ../shared/data) has them, else crops of smooth noise. The rates are
the best of the rounds, which take turns, so that what else the machine does hits all alike.
"""

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import numpy as np
from absl import app, flags, logging

from keras_face.backend import tf
from keras_face.data import folders, records, streams
from keras_face.data.augment import Augmentation

CROPS = flags.DEFINE_integer("crops", 10_000, "Crops of noise to draw where LFW is absent.", lower_bound=100)
ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each rate.", lower_bound=1)
BATCH_SIZE, EPOCHS = 128, 2


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
        cv2.imwrite(os.fspath(folder / f"{number}.jpg"), crop, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return scratch / "photos"


def seconds(dataset: tf.data.Dataset) -> float:
    """Returns how long it takes to go through a dataset."""
    start = time.perf_counter()
    dataset.reduce(np.int64(0), lambda count, _: count + 1).numpy()
    return time.perf_counter() - start


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        photos = source(scratch)
        start = time.perf_counter()
        summary = folders.write_folder(photos, scratch / "records", progress=False)
        writing = summary.photos / (time.perf_counter() - start)
        dataset = records.open_dataset(scratch / "records")

        parsed = records.parse(list(tf.data.TFRecordDataset(dataset.shards)))
        encoded = tf.data.Dataset.from_tensor_slices(parsed["images"].flat_values)
        bare = encoded.repeat(EPOCHS).map(
            lambda image: tf.io.decode_jpeg(image, channels=3), num_parallel_calls=tf.data.AUTOTUNE
        )
        stream = streams.train_stream(
            streams.mix([dataset], [None]),
            batch_size=BATCH_SIZE,
            seed=0,
            image_size=dataset.image_size,
            augmentation=Augmentation(flip=0.5),
        ).take(EPOCHS * dataset.num_images // BATCH_SIZE)
        times = np.array([(seconds(bare), seconds(stream)) for _ in range(ROUNDS.value + 1)])[1:].min(axis=0)
    bare_rate = EPOCHS * dataset.num_images / times[0]
    stream_rate = EPOCHS * dataset.num_images // BATCH_SIZE * BATCH_SIZE / times[1]
    print(f"{dataset.num_images:,} crops of {photos}, {os.cpu_count()} cores")
    print(f"write_images            {writing:>9,.0f} crops/s, every photo decoded to check it")
    print(f"bare decode_jpeg        {bare_rate:>9,.0f} images/s")
    print(f"records to batches      {stream_rate:>9,.0f} images/s, shuffled and flipped")
    print(f"records to batches / bare decode_jpeg  {stream_rate / bare_rate:.2f}")


if __name__ == "__main__":
    app.run(main)
