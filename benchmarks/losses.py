"""Time and memory of every classification head, forward and backward, beside a plain softmax of the same size.

    python benchmarks/losses.py [--identities 10000,100000,1000000] [--heads arcface,cosface] [--rounds 5]
    python benchmarks/losses.py --quickest --identities 100000 --rounds 25 [--heads arcface,cosface]

Batch 64, embeddings of 512 numbers. Every head runs in a process of its own: its memory is the peak above the weights
alone (so the gradient of the prototypes, as large as they are, counts). Then it takes turns with a plain softmax and
with the normalised softmax, which has no margin, so that what else the machine does hits all alike, and the ratios of
the medians are printed. --alone leaves these two out, for a head beside which they do not fit into memory.

With --quickest all heads take turns with a plain softmax in one process, and the quickest step of each is printed
beside the quickest of the softmax: what else the machine does can only make a step slower.
"""

import multiprocessing
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

IDENTITIES = flags.DEFINE_list("identities", ["10000", "100000", "1000000"], "Sizes of the heads.")
HEADS = flags.DEFINE_list("heads", [], "Heads to measure; default: all.")
QUICKEST = flags.DEFINE_bool("quickest", False, "All heads in one process, the quickest step of each.")
ALONE = flags.DEFINE_bool("alone", False, "Without the two softmaxes.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Timed steps of each.", lower_bound=1)

BATCH, SIZE = 64, 512


def peak_memory() -> int:
    """Returns the largest resident memory since the last `forget_peak`, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def training_step(name: str, identities: int, keras_face_losses, tf):
    """Returns a function that computes the gradient of a new head by its weights and by the embeddings."""
    head = keras_face_losses.get(name, num_identities=identities)
    head.build((None, SIZE))
    embeddings = tf.random.normal([BATCH, SIZE], seed=1)
    labels = tf.random.uniform([BATCH], 0, identities, tf.int64, seed=2)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = tf.reduce_mean(head(embeddings, labels, training=True))
        return tape.gradient(loss, [embeddings, *head.trainable_weights])

    def step() -> float:
        begun = time.perf_counter()
        gradients()[0].numpy()
        return time.perf_counter() - begun

    return step


def measure(name: str, identities: int, rounds: int, beside: tuple[str, ...]) -> tuple[list[float], int]:
    """Returns the median seconds of the head and of those beside it, and the head's memory in bytes."""
    from keras_face import losses
    from keras_face.backend import tf

    training_step(name, 100, losses, tf)()  # what is loaded and compiled once
    forget_peak()
    before = peak_memory()
    step = training_step(name, identities, losses, tf)
    forget_peak()
    step()
    step()
    weights = 4 * identities * SIZE * losses.settings(name).get("sub_centres", 1)
    memory = peak_memory() - before - weights
    steps = [step, *(training_step(other, identities, losses, tf) for other in beside)]
    for other in steps:
        other()
    times = [[each() for each in steps] for _ in range(rounds)]
    return [statistics.median(each) for each in zip(*times, strict=True)], memory


def quickest(heads: list[str], identities: int, rounds: int) -> None:
    """Prints the quickest step of each head beside that of a plain softmax."""
    from keras_face import losses
    from keras_face.backend import tf

    steps = {name: training_step(name, identities, losses, tf) for name in dict.fromkeys(["softmax", *heads])}
    for step in steps.values():
        step()
    best = {name: float("inf") for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            best[name] = min(best[name], step())
    print(f"{'head':22}{'identities':>11}{'ms':>9}{'x softmax':>11}")
    for name, seconds in best.items():
        print(f"{name:22}{identities:>11,}{1e3 * seconds:>9.1f}{seconds / best['softmax']:>11.2f}", flush=True)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError("Too many arguments.")
    from keras_face.losses import register

    heads = HEADS.value or [*register.SOFTMAX_HEADS, *register.OTHER_HEADS]
    if QUICKEST.value:
        for identities in map(int, IDENTITIES.value):
            quickest(heads, identities, ROUNDS.value)
        return
    spawn = multiprocessing.get_context("spawn")
    beside = () if ALONE.value else ("softmax", "norm_softmax")
    print(f"{'head':22}{'identities':>11}{'ms':>9}{'x softmax':>11}{'x norm_softmax':>16}{'MiB':>8}{'x logits':>10}")
    for identities in map(int, IDENTITIES.value):
        for name in heads:
            with spawn.Pool(1) as pool:
                (own, *others), memory = pool.apply(measure, (name, identities, ROUNDS.value, beside))
            # Beside a gradient of [identities, 512], in copies of the [batch, identities] logits.
            copies = (memory - 4 * identities * SIZE) / (4 * identities * BATCH)
            ratios = "".join(f"{own / other:>{width}.2f}" for other, width in zip(others, (11, 16), strict=False))
            print(
                f"{name:22}{identities:>11,}{1e3 * own:>9.1f}{ratios:27}{memory / 2**20:>8.0f}{copies:>10.1f}",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
