"""Several datasets mixed into one: whose people are which labels, and whose turn it is."""

import dataclasses
import itertools
import logging
import math
from collections.abc import Sequence
from fractions import Fraction

from keras_face.backend import tf
from keras_face.photos.template import UNKNOWN
from keras_face.records.dataset import DatasetInfo

logger = logging.getLogger("keras_face")

_MODULUS = 2**64
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: the multiples of it fill the circle most evenly

# What it means that nobody has a second photo.
ONE_PHOTO = "nothing shows what stays the same from one photo of a person to another, and no genuine pair can be made"


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Datasets, and the share that each has in the training; made by `mix`.

    The identities of a dataset follow those of the datasets before it, and so do its sequences.

    Args:
        datasets: In the order of their labels.
        weights: Probability of each, summing to 1.
        balance: Whether identities, not photos, are equally frequent within each dataset.
    """

    datasets: tuple[DatasetInfo, ...]
    weights: tuple[float, ...]
    balance: bool = False

    @property
    def num_images(self) -> int:
        return sum(dataset.num_images for dataset in self.datasets)

    @property
    def num_identities(self) -> int:
        return sum(dataset.num_identities for dataset in self.datasets)

    @property
    def num_sequences(self) -> int:
        return sum(dataset.num_sequences for dataset in self.datasets)

    @property
    def template(self) -> str:
        """What the crops are aligned to, by those of the datasets that know it."""
        return next((dataset.template for dataset in self.datasets if dataset.template != UNKNOWN), UNKNOWN)

    @property
    def identity_offsets(self) -> tuple[int, ...]:
        """The label of each dataset's identity 0."""
        return _before([dataset.num_identities for dataset in self.datasets])

    @property
    def sequence_offsets(self) -> tuple[int, ...]:
        """The number of sequences before each dataset's first."""
        return _before([dataset.num_sequences for dataset in self.datasets])


def mix(datasets: Sequence[DatasetInfo], weights: Sequence[float | None], balance: bool = False) -> Mixture:
    """Returns the mixture of datasets.

    Args:
        datasets: At least one, each once, all aligned to one template; those that do not know theirs are warned of.
        weights: Share of each relative to the others; or all None or negative: by the number of photos, or of people
            and tracks with `balance`, but datasets of tracks alone have half together, beside those of people (SeqFace:
            one to one). Not both kinds: a weight of 1 beside a photo count is a trap.
        balance: Whether every identity (and track) of a dataset is equally frequent, instead of every photo.

    Raises: ValueError if any of this is not so.

    Examples:
        >>> dataset = keras_face.records.open_dataset("output/run/records/synthetic")
        >>> keras_face.records.mix([dataset], [None]).num_identities
        4
    """
    if not datasets or len(weights) != len(datasets):
        raise ValueError(f"expected datasets and a weight for each, got {len(datasets)} and {len(weights)} weights")
    paths = [dataset.path.resolve() for dataset in datasets]
    if twice := {str(path) for path in paths if paths.count(path) > 1}:
        raise ValueError(f"each dataset can be mixed in once, or its people would count twice; got {twice} again")
    _check_templates(datasets)
    given = [weight for weight in weights if weight is not None and not weight < 0]
    if not given:
        given = [
            dataset.num_identities + dataset.num_sequences if balance else dataset.num_images for dataset in datasets
        ]
        of_kind = {
            kind: sum(weight for dataset, weight in zip(datasets, given, strict=True) if _tracks_alone(dataset) == kind)
            for kind in (True, False)
        }
        given = [weight / of_kind[_tracks_alone(dataset)] for dataset, weight in zip(datasets, given, strict=True)]
    elif len(given) < len(weights) or not all(0 < weight < math.inf for weight in given):
        raise ValueError(f"weights must be all positive, or all None or negative (automatic), got {list(weights)}")
    return Mixture(tuple(datasets), tuple(weight / sum(given) for weight in given), balance)


def _check_templates(datasets: Sequence[DatasetInfo]) -> None:
    """Raises ValueError where datasets are aligned differently, and warns where it is not known whether they are."""
    found = {dataset.template for dataset in datasets}
    if len(found) < 2:
        return
    told = ", ".join(f"{dataset.name}: {dataset.template}" for dataset in datasets)
    if len(found - {UNKNOWN}) > 1:
        raise ValueError(f"datasets must be aligned to the same template, got {told}")
    logger.warning("the datasets may be aligned differently: %s; a section's `template` says it", told)


def _tracks_alone(dataset: DatasetInfo) -> bool:
    return not dataset.num_identities


def mixing_table(mixture: Mixture) -> str:
    """Returns a table of text, a line for each dataset and the total: name, photos, people, tracks and weight."""
    rows = [
        (dataset.name, dataset.num_images, dataset.num_identities, dataset.num_sequences, weight)
        for dataset, weight in zip(mixture.datasets, mixture.weights, strict=True)
    ]
    rows.append(("total", mixture.num_images, mixture.num_identities, mixture.num_sequences, 1.0))
    name_width = max(len("dataset"), *(len(row[0]) for row in rows))
    head = f"{'dataset':<{name_width}} {'photos':>12} {'people':>10} {'tracks':>10} {'weight':>8}"
    return "\n".join([head, *(f"{n:<{name_width}} {p:>12,} {i:>10,} {s:>10,} {w:>8.4g}" for n, p, i, s, w in rows)])


class Turns:
    """Whose turn it is: a sequence of dataset numbers, each as often as its weight says, evenly spread.

    Turn n is the dataset in whose interval of the unit circle the n-th multiple of the golden ratio falls. So how
    often each had its turn before the n-th is a sum of floors, known without counting (`counts`).

    Args:
        weights: Probability of each dataset, summing to 1.
        seed: Where on the circle the sequence begins, any integer.
    """

    def __init__(self, weights: Sequence[float], seed: int):
        total = sum(map(Fraction, weights))
        shares = itertools.accumulate(map(Fraction, weights))
        self.bounds = [int(share / total * _MODULUS) for share in shares]  # the last is the modulus itself
        self.start = seed % _MODULUS

    def turns(self, first: int, times: int) -> tf.data.Dataset:
        """Returns the sequence from turn `first` on, endless, each turn `times` times: int64 scalars."""
        bounds = tf.constant(self.bounds[:-1], tf.uint64)

        def which(numbers: tf.Tensor) -> tf.Tensor:
            places = tf.cast(numbers, tf.uint64) * tf.constant(_GOLDEN, tf.uint64) + tf.constant(self.start, tf.uint64)
            return tf.repeat(tf.reduce_sum(tf.cast(places[:, tf.newaxis] >= bounds, tf.int64), axis=1), times)

        return tf.data.Dataset.range(first, tf.int64.max).batch(256).map(which).unbatch()

    def counts(self, turns: int) -> list[int]:
        """Returns how often each dataset has its turn among the first `turns`."""
        below = [_count_below(turns, bound, self.start) for bound in self.bounds]
        return [stop - start for start, stop in zip([0, *below], below, strict=False)]


def _count_below(turns: int, bound: int, start: int) -> int:
    """Returns for how many of the first turns the place on the circle is below the bound."""
    # A place x is below b if floor(x / m) - floor((x - b) / m) is 1; one modulus more keeps the numerators positive.
    return turns + _floor_sum(turns, start) - _floor_sum(turns, start + _MODULUS - bound)


def _floor_sum(turns: int, start: int) -> int:
    """Returns the sum over n < turns of floor((golden * n + start) / modulus), by Euclid's algorithm."""
    total, step, modulus = 0, _GOLDEN, _MODULUS
    while turns > 0:
        total += (turns - 1) * turns // 2 * (step // modulus) + turns * (start // modulus)
        step, start = step % modulus, start % modulus
        last = step * turns + start
        turns, start = divmod(last, modulus)
        step, modulus = modulus, step
    return total


def _before(counts: Sequence[int]) -> tuple[int, ...]:
    return tuple(itertools.accumulate(counts[:-1], initial=0))
