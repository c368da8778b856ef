"""How fast a .rec file becomes records, and records a .rec file, beside copying the same bytes.

    python benchmarks/formats.py [--crops 20000] [--rounds 3]

The crops are LFW's, over and over, where KERAS_FACE_DATA (default ../shared/data) has them, else smooth noise. Rates
are the best of the rounds, which take turns, so that what else the machine does hits all alike.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import numpy as np
from absl import app, flags, logging

from keras_face.formats import image_records, rec_layout, rec_to_records, records_to_rec
from keras_face.formats.recordio import RecordFile, RecordWriter
from keras_face.photos.encoding import jpeg

CROPS = flags.DEFINE_integer("crops", 20_000, "Crops in the .rec file.", lower_bound=100)
ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each rate.", lower_bound=1)

PHOTOS_OF_A_PERSON = 20


def crops(count: int) -> list[bytes]:
    """Returns JPEG files of 112x112 pixels."""
    data = Path(os.environ.get("KERAS_FACE_DATA") or Path(__file__).parent / ".." / ".." / "shared" / "data")
    paths = sorted((data / "lfw" / "aligned112").glob("*/*.jpg"))
    if paths:
        return [paths[number % len(paths)].read_bytes() for number in range(count)]
    random = np.random.RandomState(0)
    images = []
    for _ in range(count):
        coarse = random.randint(0, 256, (14, 14, 3), np.uint8)
        images.append(jpeg(cv2.resize(coarse, (112, 112), interpolation=cv2.INTER_CUBIC)))
    return images


def write_rec(folder: Path, images: list[bytes]) -> None:
    """Writes the layout of InsightFace: photos, record 0, identities."""
    folder.mkdir()
    with RecordWriter(folder / "train.rec") as rec:
        for key, image in enumerate(images, 1):
            rec.write(key, image_records.pack([(key - 1) // PHOTOS_OF_A_PERSON, 1], key, image))
        starts = range(1, len(images) + 1, PHOTOS_OF_A_PERSON)
        end = len(images) + 1
        rec.write(0, image_records.pack([end, end + len(starts)], 0, b""))
        for key, start in enumerate(starts, end):
            ranges = [start, min(start + PHOTOS_OF_A_PERSON, end)]
            rec.write(key, image_records.pack(ranges, key, b""))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        rec, records, back = scratch / "rec", scratch / "records", scratch / "back"
        write_rec(rec, crops(CROPS.value))
        size = (rec / "train.rec").stat().st_size

        def scan() -> None:
            rec_layout.read_photos(RecordFile(rec / "train.rec"), "agreed", [])

        rounds = []
        for _ in range(ROUNDS.value):
            for path in (records, back):
                shutil.rmtree(path, ignore_errors=True)
            rounds.append(
                (
                    seconds(lambda: shutil.copyfile(rec / "train.rec", scratch / "copy")),
                    seconds(scan),
                    seconds(lambda: rec_to_records.write_from_rec(rec, records, progress=False)),
                    seconds(lambda: records_to_rec.write_rec(records, back, progress=False)),
                )
            )
        copying, scanning, reading, writing = CROPS.value / np.min(rounds, axis=0)
    print(f"{CROPS.value:,} crops, {size / CROPS.value / 1000:.1f} kB each, {os.cpu_count()} cores")
    print(f"copying the bytes   {copying:>9,.0f} crops/s, {size / CROPS.value * copying / 1e6:,.0f} MB/s")
    print(f"index and headers   {scanning:>9,.0f} crops/s")
    print(f"from_mxnet          {reading:>9,.0f} crops/s, {reading / copying:.2f} of copying, every photo checked")
    print(f"to_mxnet            {writing:>9,.0f} crops/s, {writing / copying:.2f} of copying")


if __name__ == "__main__":
    app.run(main)
