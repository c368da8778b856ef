"""Photos a second through a SavedModel, files to embeddings, beside the bare call of the SavedModel on ready batches.

    python benchmarks/embedding.py [--model_path DIR] [--backbone iresnet18] [--batch_size 64] [--photos 256]

Rounds of both take turns, and the best of each counts: other work on the machine slows both; where it is much, the
ratio of processor times says more. Photos are LFW's aligned
ones where they are (KERAS_FACE_DATA), else noise, which is slower to decode. Without --model_path a fresh network is
exported. It fails if the ratio is below 0.95.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import app, flags

from keras_face import building
from keras_face import config as configuration
from keras_face.backend import tf
from keras_face.export import ServedModel, export_model, load_embedder
from keras_face.measurement.photos import embed, pixels

MODEL_PATH = flags.DEFINE_string("model_path", None, "Exported model; default: a fresh network.")
BACKBONE = flags.DEFINE_string("backbone", "iresnet18", "Of the fresh network, at 112x112.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Photos per call of the model.", lower_bound=1)
PHOTOS = flags.DEFINE_integer("photos", 256, "Photos of a round.", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of each.", lower_bound=1)
FLIP = flags.DEFINE_bool("flip", True, "Embed each photo and its mirror image.")

RATIO = 0.95  # at least


def photo_files(folder: Path, number: int) -> list[Path]:
    """Returns files of aligned photos: LFW's, or noise written into a folder."""
    data = Path(os.environ.get("KERAS_FACE_DATA") or Path(__file__).parent / ".." / ".." / "shared" / "data")
    files = sorted((data / "lfw" / "aligned112").glob("*/*.jpg"))[:number]
    if len(files) < number:
        random = np.random.default_rng(0)
        files = [folder / f"{index}.jpg" for index in range(number)]
        for file in files:
            noise = random.integers(0, 256, (112, 112, 3), np.uint8)
            file.write_bytes(tf.io.encode_jpeg(noise).numpy())
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
            export_model(ServedModel(building.build_backbone(config.model, (112, 112))), Path(folder, "export"), 0, {})
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

        bare(), whole()  # the first call of each is slower
        times = np.array([(seconds(bare), seconds(whole)) for _ in range(ROUNDS.value)])
    rates = PHOTOS.value / times[:, :, 0].min(axis=0)
    ratio = rates[1] / rates[0]
    each = ", ".join(f"{before / after:.3f}" for before, after in times[:, :, 0])
    processor = times[:, :, 1].min(axis=0)
    print(f"{PHOTOS.value} photos, batches of {BATCH_SIZE.value}{', with mirror images' if FLIP.value else ''}")
    print(f"  bare SavedModel call  {rates[0]:8.1f} photos/s")
    print(f"  files to embeddings   {rates[1]:8.1f} photos/s")
    print(f"  ratio {ratio:.3f} (at least {RATIO}); of each round: {each}")
    print(f"  processor time {processor[0]:.2f} s and {processor[1]:.2f} s: ratio {processor[0] / processor[1]:.3f}")
    return 0 if ratio >= RATIO else 1


if __name__ == "__main__":
    app.run(main)
