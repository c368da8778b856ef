"""How fast figures come from similarities and embeddings, beside the common ways and the bare matrix product.

    python benchmarks/evaluation.py [--pairs 15658489] [--images 469375] [--distractors 1000000] [--rounds 5]

Each part runs in a process of its own and says its peak memory, what it measures on included; a size of 0 leaves a part
out. All data are random. Where the machine is shared, the processor time of the main thread, which takes part in every
product, says what the clock would say of an idle one.
"""

import concurrent.futures
import functools
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from absl import app, flags

from keras_face.evaluation import scores
from keras_face.evaluation.distractors import identify_among_distractors
from keras_face.evaluation.pooling import Pooling

PAIRS = flags.DEFINE_integer("pairs", 15_658_489, "Pairs of IJB templates; IJB-C has 15,658,489.", lower_bound=0)
IMAGES = flags.DEFINE_integer("images", 469_375, "Photos and frames to pool; IJB-C has 469,375.", lower_bound=0)
DISTRACTORS = flags.DEFINE_integer("distractors", 1_000_000, "Distractors; MegaFace has 1,000,000.", lower_bound=0)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements of what takes less than a second; the best counts.")
SIZE = 512
NUM_GENUINE = 19_557  # of IJB-C's pairs
NUM_FACE_SETS = 23_124
NUM_PROBES, NUM_PEOPLE = 3_530, 80  # FaceScrub's photos in MegaFace


class Taken(NamedTuple):
    """Seconds by the clock, and of processor time of the main thread."""

    clock: float
    processor: float

    def __str__(self) -> str:
        return f"{self.clock:.2f} s (processor {self.processor:.2f})"


def taken(work: Callable[[], object], rounds: int = 1) -> Taken:
    """Returns the least time that the work takes."""
    times = []
    for _ in range(rounds):
        clock, processor = time.perf_counter(), time.thread_time()
        work()
        times.append((time.perf_counter() - clock, time.thread_time() - processor))
    return Taken(*(min(each) for each in zip(*times, strict=True)))


def loop_accuracy(distance: np.ndarray, genuine: np.ndarray, fold: np.ndarray) -> tuple[float, float]:
    """Returns mean and standard deviation by the common loop: 400 thresholds for each of 10 folds (facenet)."""
    thresholds = np.arange(0, 4, 0.01)
    accuracy = np.zeros(10)
    for number in range(10):
        outside, inside = fold != number, fold == number
        found = np.zeros(thresholds.size)
        for index, threshold in enumerate(thresholds):
            predicted = np.less(distance[outside], threshold)
            right = np.sum(np.logical_and(predicted, genuine[outside]))
            right += np.sum(np.logical_and(np.logical_not(predicted), np.logical_not(genuine[outside])))
            found[index] = right / genuine[outside].size
        predicted = np.less(distance[inside], thresholds[np.argmax(found)])
        accuracy[number] = np.mean(predicted == genuine[inside])
    return float(accuracy.mean()), float(accuracy.std())


def folds(rounds: int) -> str:
    """10-fold accuracy of LFW's 6,000 pairs."""
    random = np.random.default_rng(0)
    genuine = np.tile(np.repeat([True, False], 300), 10)
    similarity = np.clip(random.normal(np.where(genuine, 0.6, 0.05), 0.17), -1, 1)
    fold = np.repeat(np.arange(10), 600)
    distance = 2 - 2 * similarity
    loop = loop_accuracy(distance, genuine, fold)
    looped = taken(lambda: loop_accuracy(distance, genuine, fold), rounds).clock
    lines = [f"10 folds, 6,000 pairs: loop over 400 thresholds {looped * 1e3:.0f} ms, {loop[0]:.6f} +- {loop[1]:.6f}"]
    for rule in scores.RULES:
        result = scores.kfold_accuracy(similarity, genuine, fold, rule)
        clock = taken(functools.partial(scores.kfold_accuracy, similarity, genuine, fold, rule), 4 * rounds).clock
        same = ", the same" if (result.mean, result.std) == loop else ""
        lines.append(
            f"  {rule:18} {clock * 1e3:6.2f} ms, {looped / clock:4.0f} times the loop's speed, "
            f"{result.mean:.6f} +- {result.std:.6f}{same}"
        )
    return "\n".join(lines)


def curves(pairs: int) -> str:
    """ROC and operating points of IJB-C's pairs."""
    random = np.random.default_rng(0)
    genuine = np.arange(pairs) < min(NUM_GENUINE, pairs // 2)
    random.shuffle(genuine)
    similarity = random.standard_normal(pairs, np.float32) * 0.1 + np.where(genuine, np.float32(0.6), 0)
    roc, after_roc = taken(lambda: scores.roc(similarity, genuine)), peak()
    points = taken(lambda: scores.operating_points(similarity, genuine))
    equal = taken(lambda: (scores.equal_error(similarity, genuine), scores.auc(similarity, genuine)))
    return (
        f"{pairs:,} pairs: ROC {roc}, peak {after_roc:.2f} GiB; TAR at 6 FARs with intervals {points}; "
        f"EER and AUC {equal}; peak {peak():.2f} GiB"
    )


def face_sets(images: int) -> str:
    """Pooling of IJB-C's photos and frames by media, beside a loop over the face sets."""
    random = np.random.default_rng(0)
    count = min(NUM_FACE_SETS, images)
    face_set = np.concatenate([np.arange(count), random.integers(0, count, images - count)])
    media, quality = random.integers(0, 5, images), random.random(images)
    embeddings = random.standard_normal((images, SIZE), np.float32)
    pooling = Pooling("norm_quality", by_media=True)
    pooled = taken(lambda: pooling(embeddings, face_set, quality=quality, media=media))

    def loop() -> None:
        for number in range(0, count, 50):  # one in fifty
            inside = np.flatnonzero(face_set == number)
            values = embeddings[inside] * quality[inside, None]
            means = [values[media[inside] == medium].mean(axis=0) for medium in np.unique(media[inside])]
            total = np.sum(means, axis=0)
            total /= np.linalg.norm(total)

    looped = taken(loop)
    return (
        f"{images:,} photos to {count:,} face sets by media: {pooled}, {50 * looped.processor / pooled.processor:.0f} "
        f"times the speed of a loop over face sets (processor); peak {peak():.2f} GiB, of which "
        f"{embeddings.nbytes / 2**30:.2f} are the embeddings"
    )


def distractors(count: int) -> str:
    """Identification among MegaFace's distractors, beside the matrix product alone."""
    random = np.random.default_rng(0)
    labels = np.arange(NUM_PROBES) % NUM_PEOPLE
    people = random.standard_normal((NUM_PEOPLE, SIZE), np.float32)
    probes = people[labels] * 0.55 + random.standard_normal((NUM_PROBES, SIZE), np.float32)
    others = random.standard_normal((count, SIZE), np.float32)
    block = 4096
    product = np.empty((NUM_PROBES, block), np.float32)
    starts = range(0, max(1, count - block), max(block, count // 24))

    def bare() -> None:
        for start in starts:
            np.matmul(probes, others[start : start + block].T, out=product[:, : len(others[start : start + block])])

    before = taken(bare)
    found = []
    whole = taken(lambda: found.append(identify_among_distractors(probes, labels, others)))
    after = taken(bare)
    share = len(starts) * min(block, count) / count
    by_clock, by_processor = (
        (b + a) / 2 / share / w
        for b, a, w in zip(before, after, whole, strict=True)  # clock, processor
    )
    rate = 2e-9 * NUM_PROBES * SIZE * count / whole.clock
    return (
        f"{NUM_PROBES:,} probes among {count:,} distractors: {whole}, {rate:.0f} GFLOP/s; of the rate of the product "
        f"alone, before and after: {by_clock:.0%} by the clock, {by_processor:.0%} by processor time; peak "
        f"{peak():.2f} GiB, of which {others.nbytes / 2**30:.2f} are the distractors\n"
        f"  rank-1 {found[0].rank_1:.4f}, TAR at FAR 1e-6 {found[0].operating_points[0]}"
    )


def peak() -> float:
    """Returns the peak memory of this process, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    parts = [
        (folds, ROUNDS.value),
        (curves, PAIRS.value),
        (face_sets, IMAGES.value),
        (distractors, DISTRACTORS.value),
    ]
    for part, size in parts:
        if size:
            context = multiprocessing.get_context("spawn")
            with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
                print(pool.submit(part, size).result(), flush=True)


if __name__ == "__main__":
    app.run(main)
