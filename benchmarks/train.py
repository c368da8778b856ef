"""Training speed, as a share of this machine's matrix-product rate, all in one run.

    python benchmarks/train.py [--networks iresnet18,iresnet50] [--steps 16]

For each network and precision at batch 32 with a 10,000-way ArcFace: the bare training step on a batch that is already
there, and the whole training (records to step, validation off). The last line is the input alone.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

from keras_face import config
from keras_face.augmentation.augmentation import Augmentation
from keras_face.backend import tf
from keras_face.records import prepare
from keras_face.records.streams import mix, train_stream
from keras_face.training import building, optimizers
from keras_face.training.run import train
from keras_face.training.strategy import build_strategy

NETWORKS = flags.DEFINE_list("networks", ["iresnet18", "iresnet50"], "Networks to time.")
PRECISIONS = flags.DEFINE_list("precisions", ["float32", "bfloat16"], "Compute types.")
STEPS = flags.DEFINE_integer("steps", 16, "Steps that are timed, after a first one.")

BATCH, IDENTITIES = 32, 10_000
# Multiply-adds of one forward pass at 112x112, as InsightFace publishes them; a training step is three times that.
GIGA_MACS = {"iresnet18": 2.610, "iresnet34": 4.460, "iresnet50": 6.309, "iresnet100": 12.090}


def matrix_product_rate(dtype: str, size: int = 2048) -> float:
    """Returns floating-point operations per second of a large matrix product, the best of several."""
    left = tf.cast(tf.random.normal([size, size]), dtype)

    @tf.function
    def product(matrix):
        return tf.matmul(matrix, matrix)

    product(left)
    return max(2 * size**3 / seconds(lambda: product(left).numpy()) for _ in range(8))


def seconds(call) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def settings(network: str, precision: str, folder: str) -> config.Config:
    return config.load(
        config.QUICK_START,
        [
            f"run.output_dir={folder}/{network}-{precision}", f"run.precision={precision}", f"model.backbone={network}",
            "model.width=1", "model.embedding_size=512", "data.image_size=112,112",
            "data.train=people",
            f"people.records={folder}/records/synthetic",
            "augmentation.shift=0", f"training.batch_size={BATCH}", f"training.steps={STEPS.value + 1}",
            "training.validate_interval=0", "training.summary_interval=1000000", "training.ckpt_interval=1000000",
            "optimizer.ema=0", "lfw.enable=False", "ytf.enable=False", "validation.baselines=False",
        ],
    )  # fmt: skip


def bare_step(configured: config.Config, mixture, batch) -> float:
    """Returns images per second of the training step on one batch that is already there (the median step)."""
    strategy = build_strategy(configured.run)
    schedule = optimizers.schedule(configured.schedule, 1000, BATCH)
    with strategy.scope():
        model = building.build_model(configured, mixture, schedule)

    @tf.function
    def step():
        return strategy.run(model.update, args=(batch,))

    step()
    return BATCH / statistics.median(seconds(lambda: float(step()["loss"])) for _ in range(STEPS.value))


def main(argv):
    del argv
    with tempfile.TemporaryDirectory() as folder:
        drawn = config.SyntheticConfig(people=IDENTITIES, photos_per_person=2)
        datasets, _ = prepare.training_datasets(["synthetic"], {}, drawn, 0, Path(folder))
        mixture = mix(datasets, [None])
        stream = train_stream(
            mixture, batch_size=BATCH, seed=0, augmentation=Augmentation(), image_size=(112, 112), shuffle_buffer=8192
        )
        batch = {key: value for key, value in next(iter(stream)).items() if key != "names"}
        rates = {precision: matrix_product_rate(precision) for precision in PRECISIONS.value}
        for precision, rate in rates.items():
            print(f"matrix product {precision}: {rate / 1e9:.0f} GFLOP/s")
        trained = []
        for network in NETWORKS.value:
            for precision in PRECISIONS.value:
                configured = settings(network, precision, folder)
                work = 6e9 * GIGA_MACS[network] + 6 * 512 * IDENTITIES
                bare = bare_step(configured, mixture, batch)
                whole = train(configured)["images_per_second"]
                for name, value in (("bare step", bare), ("whole training", whole)):
                    share = value * work / rates[precision]
                    print(f"{network} {precision} {name}: {value:.1f} images/s, {share:.0%} of the matrix-product rate")
                trained.append(whole)
        iterator = iter(stream)
        next(iterator)
        count = 100
        alone = count * BATCH / seconds(lambda: [next(iterator) for _ in range(count)])
        print(f"input alone: {alone:.0f} images/s, {alone / max(trained):.0f} times the fastest training above")


if __name__ == "__main__":
    app.run(main)
