"""Time and memory of every classification head, forward and backward, beside a plain softmax of the same size.

    python benchmarks/losses.py [--identities 10000,100000,1000000] [--heads arcface,cosface] [--rounds 15]

Batch 64, embeddings of 512 numbers. Every head runs in a process of its own: its memory is the peak above the weights
alone (so the gradient of the prototypes, as large as they are, counts). Then it takes turns with a plain softmax of
TensorFlow's own operations, a matrix product and sparse_softmax_cross_entropy_with_logits, and with `norm_softmax`,
which has no margin. Printed are the medians over the turns of its time / theirs: what else the machine does comes and
goes, and hits one turn alike. --alone leaves these two out, for a head beside which they do not fit into memory.
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
ALONE = flags.DEFINE_bool("alone", False, "Without the plain and the normalised softmax.")
ROUNDS = flags.DEFINE_integer("rounds", 15, "Timed steps of each.", lower_bound=1)

BATCH, SIZE = 64, 512
PLAIN = "plain softmax"


def peak_memory() -> int:
    """Returns the largest resident memory since the last `forget_peak`, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def plain_softmax(identities: int):
    """Returns the head that TensorFlow's own operations make."""
    from keras_face.backend import keras, tf

    class PlainSoftmax(keras.layers.Layer):
        def build(self, input_shape):
            self.prototypes = self.add_weight("prototypes", (identities, SIZE))

        def call(self, embeddings, labels, training=False):
            logits = tf.matmul(embeddings, self.prototypes, transpose_b=True)
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    return PlainSoftmax()


def training_step(name: str, identities: int):
    """Returns a function that computes the gradient of a new head by its weights and by the embeddings."""
    from keras_face import losses
    from keras_face.backend import tf

    head = plain_softmax(identities) if name == PLAIN else losses.get(name, num_identities=identities)
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


def measure(name: str, identities: int, rounds: int, beside: tuple[str, ...]) -> tuple[float, list[float], int]:
    """Returns the head's median seconds, the median ratios to the steps of those beside it, and its memory in bytes."""
    from keras_face import losses

    training_step(name, 100)()  # what is loaded and compiled once
    forget_peak()
    before = peak_memory()
    step = training_step(name, identities)
    forget_peak()
    step()
    step()
    weights = 4 * identities * SIZE * losses.settings(name).get("sub_centres", 1)
    memory = peak_memory() - before - weights
    steps = [step, *(training_step(other, identities) for other in beside)]
    for other in steps:
        other()
    times = [[each() for each in steps] for _ in range(rounds)]
    ratios = [statistics.median(turn[0] / turn[place] for turn in times) for place in range(1, len(steps))]
    return statistics.median(turn[0] for turn in times), ratios, memory


def main(argv):
    if len(argv) > 1:
        raise app.UsageError("Too many arguments.")
    from keras_face.losses import entries

    heads = HEADS.value or [*entries.SOFTMAX_HEADS, *entries.OTHER_HEADS]
    spawn = multiprocessing.get_context("spawn")
    beside = () if ALONE.value else (PLAIN, "norm_softmax")
    print(f"{'head':22}{'identities':>11}{'ms':>9}{'x plain':>11}{'x norm_softmax':>16}{'MiB':>8}{'x logits':>10}")
    for identities in map(int, IDENTITIES.value):
        for name in heads:
            with spawn.Pool(1) as pool:
                seconds, ratios, memory = pool.apply(measure, (name, identities, ROUNDS.value, beside))
            # Beside a gradient of [identities, 512], in copies of the [batch, identities] logits.
            copies = (memory - 4 * identities * SIZE) / (4 * identities * BATCH)
            columns = "".join(f"{ratio:>{width}.2f}" for ratio, width in zip(ratios, (11, 16), strict=False))
            print(
                f"{name:22}{identities:>11,}{1e3 * seconds:>9.1f}{columns:27}{memory / 2**20:>8.0f}{copies:>10.1f}",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
