"""Photos a second through a SavedModel, files to embeddings, beside the bare call of the SavedModel on ready batches.

    python benchmarks/embedding.py [--model_path DIR] [--backbone iresnet18] [--batch_size 64] [--photos 256]

Rounds of both take turns, and the best of each counts. Where other work, or the host, takes processor time the ratio of
the clocks swings by tens of per cent; so what everything but the model costs is measured beside it, with a model that
answers at once: were nothing of it done while the model computes, the ratio would be the "at worst" that is printed.
Photos are LFW's aligned ones where they are (KERAS_FACE_DATA), else noise, which is slower to decode. Without
--model_path a fresh network is exported. It fails if that ratio is below 0.95.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import app, flags

from keras_face import config as configuration
from keras_face.backend import tf
from keras_face.export import ServedModel, export_model, load_embedder
from keras_face.measurement.photos import embed, pixels
from keras_face.photos.encoding import jpeg
from keras_face.training.build_backbone import build_backbone

MODEL_PATH = flags.DEFINE_string("model_path", None, "Exported model; default: a fresh network.")
BACKBONE = flags.DEFINE_string("backbone", "iresnet18", "Of the fresh network, at 112x112.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Photos per call of the model.", lower_bound=1)
PHOTOS = flags.DEFINE_integer("photos", 256, "Photos of a round.", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of each.", lower_bound=1)
FLIP = flags.DEFINE_bool("flip", True, "Embed each photo and its mirror image.")

RATIO = 0.95  # at least


class Instant:
    """An embedder that takes no time."""

    def __init__(self, image_size: tuple[int, int], batch_size: int, embedding_size: int):
        self.image_size, self.batch_size, self.name = image_size, batch_size, "instant"
        self._answer = np.ones((batch_size, embedding_size), np.float32)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        tf.convert_to_tensor(images)  # what a model does with them first
        return self._answer[: len(images)]


def photo_files(folder: Path, number: int) -> list[Path]:
    """Returns files of aligned photos: LFW's, or noise written into a folder."""
    data = Path(os.environ.get("KERAS_FACE_DATA") or Path(__file__).parent / ".." / ".." / "shared" / "data")
    files = sorted((data / "lfw" / "aligned112").glob("*/*.jpg"))[:number]
    if len(files) < number:
        random = np.random.default_rng(0)
        files = [folder / f"{index}.jpg" for index in range(number)]
        for file in files:
            noise = random.integers(0, 256, (112, 112, 3), np.uint8)
            file.write_bytes(jpeg(noise))
    return files


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Returns the seconds that the work takes by the clock, and of all processors."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    with tempfile.TemporaryDirectory() as folder:
        model_path = MODEL_PATH.value
        if model_path is None:
            config = configuration.load(None, [f"model.backbone={BACKBONE.value}"])
            export_model(ServedModel(build_backbone(config.model, (112, 112))), Path(folder, "export"), 0, {})
            model_path = Path(folder, "export")
        embedder = load_embedder(model_path, BATCH_SIZE.value)
        files = photo_files(Path(folder), PHOTOS.value)
        height, width = embedder.image_size
        ready = np.stack([pixels(file) for file in files])[:, :height, :width]
        if ready.shape[1:3] != embedder.image_size:
            raise ValueError(f"expected a model for photos of up to 112x112, got {embedder.image_size}")
        batches = [ready[start : start + BATCH_SIZE.value] for start in range(0, len(ready), BATCH_SIZE.value)]
        calls = 1 + FLIP.value

        def bare() -> None:
            for batch in batches:
                for _ in range(calls):
                    embedder.signature(images=tf.convert_to_tensor(batch))["embedding"].numpy()

        def whole() -> None:
            embed(embedder, files, flip=FLIP.value)

        instant = Instant(embedder.image_size, BATCH_SIZE.value, embedder(ready[:1]).shape[1])

        def beside() -> None:
            embed(instant, files, flip=FLIP.value)

        bare(), whole(), beside()  # the first call of each is slower
        times = np.array([(seconds(bare), seconds(whole)) for _ in range(ROUNDS.value)])
        others = min(seconds(beside)[0] for _ in range(ROUNDS.value))
    rates = PHOTOS.value / times[:, :, 0].min(axis=0)
    model = times[:, 0, 0].min()
    at_worst = model / (model + others)
    each = ", ".join(f"{before / after:.3f}" for before, after in times[:, :, 0])
    processor = times[:, :, 1].min(axis=0)
    print(f"{PHOTOS.value} photos, batches of {BATCH_SIZE.value}{', with mirror images' if FLIP.value else ''}")
    print(f"  bare SavedModel call  {rates[0]:8.1f} photos/s")
    print(f"  files to embeddings   {rates[1]:8.1f} photos/s")
    print(f"  ratio {rates[1] / rates[0]:.3f}; of each round: {each}")
    print(f"  all but the model: {PHOTOS.value / others:.1f} photos/s, so at worst {at_worst:.3f} (at least {RATIO})")
    print(f"  processor time {processor[0]:.2f} s and {processor[1]:.2f} s: ratio {processor[0] / processor[1]:.3f}")
    return 0 if at_worst >= RATIO else 1


if __name__ == "__main__":
    app.run(main)
