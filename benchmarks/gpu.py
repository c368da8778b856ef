"""What this machine's card makes of training and inference, each as a share of its matrix-product rate, in one run.

    python benchmarks/gpu.py [--quick] [--network iresnet50] [--batch_size 128] [--identities 100000]

Matrix products; the bare training step, compiled and not, with its first call and its memory; the whole training,
records to step; the input alone; every kind of head at two sizes beside a plain softmax; the export at three batch
sizes, bare and through the embedder. --quick leaves out what the bars of the project do not ask for. It works on a CPU
too, where nothing is compiled but what is said to be, and there is no memory to show.
"""

import os
import statistics
import tempfile
import time
import types
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags

from keras_face import config, losses
from keras_face.augmentation.augmentation import Augmentation
from keras_face.backend import keras, tf
from keras_face.export import ServedModel, export_model, load_embedder
from keras_face.records import prepare
from keras_face.records.streams import mix, train_stream
from keras_face.training import building, compiling, hardware, optimizers
from keras_face.training.build_backbone import build_backbone
from keras_face.training.run import train
from keras_face.training.strategy import build_strategy
from keras_face.training.update import Update

QUICK = flags.DEFINE_bool("quick", False, "Only what the bars ask for.")
NETWORK = flags.DEFINE_string("network", "iresnet50", "One of iresnet18, 34, 50 and 100.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Photos of a step.", lower_bound=1)
IDENTITIES = flags.DEFINE_integer("identities", 100_000, "Of the training's head.", lower_bound=2)
HEADS = flags.DEFINE_list("heads", ["softmax", "arcface", "curricularface", "airface", "subcentre_arcface"], "Heads.")
HEAD_IDENTITIES = flags.DEFINE_list("head_identities", ["100000", "1000000"], "Sizes of the heads.")
PEOPLE = flags.DEFINE_integer("people", 400, "Drawn people of the whole training, 8 photos each.", lower_bound=2)
STRATEGY = flags.DEFINE_enum("strategy", "one_device", ["one_device", "mirrored"], "One GPU, or all of the machine.")
STEPS = flags.DEFINE_integer("steps", 30, "Timed steps.", lower_bound=3)
SIDE = flags.DEFINE_integer("side", 112, "Height and width of the photos, a multiple of 16.", lower_bound=16)
MATRIX = flags.DEFINE_integer("matrix", 8192, "Rows of the matrices of a product.", lower_bound=1)

SIZE = 512
# Multiply-adds of one forward pass at 112x112, as InsightFace publishes them; a training step is three times that.
GIGA_MACS = {"iresnet18": 2.610, "iresnet34": 4.460, "iresnet50": 6.309, "iresnet100": 12.090}


def say(text: str) -> None:
    print(text, flush=True)


def matrix_rate(dtype: str) -> float:
    """Returns floating-point operations per second of a large matrix product, the best of several."""
    left = tf.cast(tf.random.normal([MATRIX.value] * 2), dtype)

    @tf.function
    def chain(matrix):
        for _ in range(4):  # so that what is read at the end is little beside the work
            matrix = tf.matmul(matrix, left) * tf.cast(0.01, dtype)
        return tf.reduce_sum(tf.cast(matrix, tf.float32))

    chain(left).numpy()
    return max(8 * MATRIX.value**3 / seconds(lambda: chain(left).numpy()) for _ in range(5))


def seconds(call) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def memory(forget: bool = False) -> float:
    """Returns the most GiB that TensorFlow held of the card since it was last forgotten; 0 on a CPU."""
    if not tf.config.list_logical_devices("GPU"):
        return 0.0
    peak = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30
    if forget:
        tf.config.experimental.reset_memory_stats("GPU:0")
    return peak


def settings(precision: str, folder: str, **more) -> config.Config:
    values = {
        "run.output_dir": f"{folder}/{precision}", "run.precision": precision, "run.strategy": STRATEGY.value,
        "model.backbone": NETWORK.value, "model.width": "1", "model.embedding_size": SIZE,
        "data.image_size": f"{SIDE.value},{SIDE.value}", "data.train": "people",
        "people.records": f"{folder}/records/synthetic",
        "training.batch_size": BATCH_SIZE.value, "training.steps": STEPS.value + 1, "training.validate_interval": 0,
        "training.summary_interval": 10**6, "training.ckpt_interval": 10**6, "optimizer.ema": 0,
        "loss angular_centre.weight": 0, "lfw.enable": False, "ytf.enable": False, "validation.baselines": False,
        **more,
    }  # fmt: skip
    return config.load(config.QUICK_START, [f"{key}={value}" for key, value in values.items()])


def bare_step(configured: config.Config, form: str, batch) -> tuple[float, float, float, str]:
    """Returns photos a second, seconds of the first call, GiB and the form that ran, on a batch that is there."""
    keras.backend.clear_session()
    memory(forget=True)
    strategy = build_strategy(configured.run)
    mixture = types.SimpleNamespace(num_identities=IDENTITIES.value, num_sequences=0)
    with strategy.scope():
        model = building.build_model(configured, mixture, optimizers.schedule(configured.schedule, 1000, 512))
    replicas = strategy.num_replicas_in_sync
    parts = {key: tf.split(whole, replicas) for key, whole in batch.items()}
    batch = {
        key: strategy.experimental_distribute_values_from_function(
            lambda context, key=key: parts[key][context.replica_id_in_sync_group]
        )
        for key in parts
    }
    update = Update(model, strategy, types.SimpleNamespace(asked=False), form)
    first = seconds(lambda: update([batch]).read())
    update([batch]).read()

    def some() -> None:
        for _ in range(STEPS.value // 3):
            seen = update([batch])
        seen.read()

    taken = statistics.median(seconds(some) for _ in range(3)) / (STEPS.value // 3)
    return BATCH_SIZE.value / taken, first, memory(), update.form


def training(rates: dict[str, float], folder: str, stream) -> None:
    """Prints the bare steps, the whole training and the input alone."""
    iterator = iter(stream)
    batch = {key: value for key, value in next(iterator).items() if key != "names"}
    batch["labels"] %= IDENTITIES.value
    work = 6e9 * GIGA_MACS[NETWORK.value] * (SIDE.value / 112) ** 2 + 6 * SIZE * IDENTITIES.value
    usual = compiling.STEP if hardware.on_gpus(build_strategy(settings("float32", folder).run)) else compiling.NOTHING
    forms = [usual] if QUICK.value else list(compiling.FORMS)
    best: dict[str, float] = {}
    for precision in rates:
        for form in forms:
            rate, first, peak, ran = bare_step(settings(precision, folder), form, batch)
            best[precision] = max(best.get(precision, 0.0), rate)
            share = rate * work / rates[precision]
            say(
                f"bare step {precision}, {compiling.WORDS[ran]}: {rate:.0f} images/s, {share:.0%} of the matrix rate, "
                f"first call {first:.0f} s, {peak:.1f} GiB"
            )
    precision = max(best, key=best.__getitem__)
    # As it is by default: compiled on a GPU alone.
    whole = train(settings(precision, folder, **{"training.show_info_interval": 10}))["images_per_second"]
    say(f"whole training {precision}: {whole:.0f} images/s, {whole / best[precision]:.2f} of the best bare step")
    alone = 50 * BATCH_SIZE.value / seconds(lambda: [next(iterator) for _ in range(50)])
    say(f"input alone: {alone:.0f} images/s, {alone / whole:.1f} of the whole training")


def head_step(name: str, identities: int, **more):
    """Returns a compiled call that computes a head's gradient by weights and embeddings, and reads a number."""
    head = losses.get(name, num_identities=identities, **more)
    head.build((None, SIZE))
    embeddings = tf.random.normal([BATCH_SIZE.value, SIZE])
    labels = tf.random.uniform([BATCH_SIZE.value], 0, identities, tf.int64)

    @tf.function(jit_compile=True)
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = tf.reduce_mean(head(embeddings, labels, training=True))
        by_embeddings, *by_weights = tape.gradient(loss, [embeddings, *head.trainable_weights])
        return tf.reduce_sum(by_embeddings), [tf.identity(gradient) for gradient in by_weights]

    return lambda: gradients()[0].numpy()


def heads() -> None:
    """Prints milliseconds and memory of heads, beside a softmax whose prototypes are not normalised."""
    for identities in map(int, HEAD_IDENTITIES.value):
        plain = None
        for name in HEADS.value:
            keras.backend.clear_session()
            step = head_step(name, identities)
            step()
            memory(forget=True)
            step()
            taken = statistics.median(seconds(step) for _ in range(5))
            peak = memory()
            rows = identities * losses.settings(name).get("sub_centres", 1)
            plain = plain or (taken, peak)
            ratios = (
                f"{taken / plain[0]:.2f} of the first's time, {peak / plain[1] if plain[1] else 0:.2f} of its memory"
            )
            say(
                f"head {name}, {identities:,} identities, {rows:,} rows: {1e3 * taken:.2f} ms, {peak:.1f} GiB; {ratios}"
            )
            del step


def inference(folder: str) -> None:
    """Prints photos a second of the export, bare and through the embedder."""
    configured = settings("float32", folder)
    backbone = build_backbone(configured.model, (SIDE.value, SIDE.value))
    path = export_model(ServedModel(backbone), Path(folder, "export"), 0, {})
    for batch_size in (256,) if QUICK.value else (1, 32, 256):
        embedder = load_embedder(path, batch_size)
        images = np.random.default_rng(0).integers(0, 256, (batch_size, SIDE.value, SIDE.value, 3), np.uint8)
        on_device = tf.convert_to_tensor(images)

        def bare(embedder=embedder, images=on_device) -> None:
            embedder.signature(images=images)["embedding"].numpy()

        def whole(embedder=embedder, images=images) -> None:
            embedder(images)

        bare(), whole()
        times = [(seconds(bare), seconds(whole)) for _ in range(max(3, STEPS.value // 3))]
        rate, through = (batch_size / statistics.median(each) for each in zip(*times, strict=True))
        say(f"export, batch {batch_size}: {rate:.0f} images/s, the embedder {through / rate:.2f} of that")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    strategy = build_strategy(config.RunConfig(strategy=STRATEGY.value))
    say(hardware.description(strategy, f"TensorFlow {tf.__version__}"))
    rates: dict[str, float] = {}
    fast = "bfloat16" if hardware.on_gpus(strategy) else "float32"
    for precision in (fast,) if QUICK.value else ("bfloat16", "float16", "float32"):
        rates[precision] = matrix_rate(precision)
        say(f"matrix product {precision}: {rates[precision] / 1e12:.3f} TFLOP/s")
    with tempfile.TemporaryDirectory() as folder:
        drawn = config.SyntheticConfig(people=PEOPLE.value, photos_per_person=8)
        datasets, _ = prepare.training_datasets(["synthetic"], {}, drawn, 0, Path(folder))
        order = {"batch_size": BATCH_SIZE.value, "image_size": [SIDE.value] * 2, "seed": 0, "shuffle_buffer": 2048}
        stream = train_stream(mix(datasets, [None]), augmentation=Augmentation(), **order)
        training(rates, folder, stream)
        heads()
        inference(folder)


if __name__ == "__main__":
    app.run(main)
