"""How often 95 % intervals hold the truth: by people, and as if pairs were independent.

    python benchmarks/coverage.py [--worlds 300] [--graphs 20x6,60x10,300x5,lfw,ytf,masked] [--data ../shared/data]

Worlds are drawn in which the truth is known, on the pairs that protocols really compare: LFW's pairs.txt (of the
folder --data, $KERAS_FACE_DATA or ../shared/data), `eval.test_folder`'s of so many people x photos, pairs of tracks as
many as YTF's, and a search of masked photos among others (30 people x 4). Two kinds of world: `embeddings` (people are
directions, some easy and some hard, photos scatter about them) and `effects` (similarities are sums of what people and
pairs add, more than half of it people's). Prints a table for docs/scores.md: the share of the worlds whose interval
holds the truth.
"""

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import app, flags

from keras_face.evaluation import scores
from keras_face.evaluation.angles import d_prime
from keras_face.evaluation.certainty import by_pairs, by_people
from keras_face.evaluation.identification import identification_rate, search, tpir_at_fpir
from keras_face.evaluation.intervals import Interval
from keras_face.evaluation.protocols import Pairs, deal_people, pairs_by_rule, read_pairs

WORLDS = flags.DEFINE_integer("worlds", 300, "Worlds of each kind on each graph.", lower_bound=1)
GRAPHS = flags.DEFINE_list("graphs", ["20x6", "60x10", "300x5", "lfw", "ytf", "masked"], "What is compared with what.")
DATA = flags.DEFINE_string("data", None, "Folder with lfw/protocol/pairs.txt; default: $KERAS_FACE_DATA.")
FARS = (0.1, 0.01, 0.001)
SIZE = 24
Draw = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]  # people [n, 2], photos [n, 2] to [n]


class Graph(NamedTuple):
    """Pairs, the number of the person [n, 2] and of the photo [n, 2] on their sides."""

    pairs: Pairs
    people: np.ndarray
    photos: np.ndarray


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    print("| pairs | world | figure | truth | by people | as if independent |\n|---|---|---|---|---|---|")
    for name in GRAPHS.value:
        for kind, draw in (("embeddings", of_embeddings), ("effects", of_effects)):
            if name == "masked":
                rows = masked(WORLDS.value) if draw is of_embeddings else {}
            else:
                rows = verification(graph(name), draw, WORLDS.value)
            for figure, (true, ours, old) in rows.items():
                print(f"| {name} | {kind} | {figure} | {true:.3f} | {_share(ours)} | {_share(old)} |", flush=True)


def graph(name: str) -> Graph:
    """Returns the pairs of a name."""
    if name == "lfw":
        folder = Path(DATA.value or os.environ.get("KERAS_FACE_DATA") or "../shared/data")
        pairs = read_pairs(folder / "lfw" / "protocol" / "pairs.txt")
    elif name == "ytf":
        random = np.random.default_rng(0)
        counts = np.minimum(random.geometric(0.47, 1595), 6)
        people = {f"p{person}": tuple(f"p{person}/{track}" for track in range(n)) for person, n in enumerate(counts)}
        pairs = pairs_by_rule(deal_people(people, 10, 0), name=name, num_pairs=250)
    else:
        num_people, num_photos = map(int, name.split("x"))
        people = {f"p{one}": tuple(f"p{one}/{photo}" for photo in range(num_photos)) for one in range(num_people)}
        pairs = pairs_by_rule(deal_people(people, 10, 0), name=name)
    number = {key: place for place, key in enumerate(pairs.distinct_keys())}
    photos = np.array([[number[key] for key in side] for side in (pairs.left, pairs.right)]).T
    found = pairs.identities()
    if found is None:
        raise ValueError(f"{name}: expected keys that name people")
    return Graph(pairs, found, photos)


def of_effects(random: np.random.Generator, people: np.ndarray, photos: np.ndarray) -> np.ndarray:
    """Returns similarities: what each person, and each pair, adds."""
    own = random.normal(size=people.max() + 1)
    with_others = 0.5 * own + 0.75**0.5 * random.normal(size=own.size)
    noise = 0.1 * random.normal(size=len(people))
    genuine = people[:, 0] == people[:, 1]
    return noise + np.where(genuine, 0.55 + 0.12 * own[people[:, 0]], 0.1 + 0.05 * with_others[people].sum(axis=1))


def of_embeddings(random: np.random.Generator, people: np.ndarray, photos: np.ndarray) -> np.ndarray:
    """Returns cosines of photos that scatter about people's directions."""
    owner = np.zeros(photos.max() + 1, np.int64)
    owner[photos] = people
    rows = embedded(random, owner)
    return np.einsum("ij,ij->i", rows[photos[:, 0]], rows[photos[:, 1]])


def embedded(random: np.random.Generator, owner: np.ndarray, blur: float = 1.0) -> np.ndarray:
    """Returns unit embeddings of photos of people; `blur` scatters them more."""
    centres = random.normal(size=(owner.max() + 1, SIZE))
    centres[:, 0] += 0.35 * SIZE**0.5 * np.exp(0.5 * random.normal(size=len(centres)))
    return around(random, centres, 0.9 * np.exp(0.35 * random.normal(size=len(centres))), owner, blur)


def around(random: np.random.Generator, centres: np.ndarray, spread: np.ndarray, owner: np.ndarray, blur: float = 1.0):
    """Returns unit embeddings of photos about the centres of their people."""
    scatter = blur * spread[owner] * np.exp(0.25 * random.normal(size=owner.size))
    rows = centres[owner] + scatter[:, None] * random.normal(size=(owner.size, SIZE))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Population(NamedTuple):
    """Similarities of very many pairs of other people, in rising order."""

    genuine: np.ndarray
    impostor: np.ndarray

    def far(self, threshold: float) -> float:
        return 1 - np.searchsorted(self.impostor, threshold, "right") / self.impostor.size

    def figures(self) -> dict[str, float]:
        """Returns the true figures."""
        grid = np.linspace(self.impostor[0], self.genuine[-1], 4001)
        far = 1 - np.searchsorted(self.impostor, grid) / self.impostor.size
        frr = np.searchsorted(self.genuine, grid) / self.genuine.size
        equal = int(np.argmin(np.abs(far - frr)))
        found = {"accuracy": float(1 - (far + frr).min() / 2), "EER": float(far[equal] + frr[equal]) / 2}
        found["AUC"] = float(np.searchsorted(self.impostor, self.genuine).mean() / self.impostor.size)
        variance = (self.genuine.var() + self.impostor.var()) / 2
        found["d-prime"] = float((self.genuine.mean() - self.impostor.mean()) / variance**0.5)
        for rate in FARS:
            found[f"TAR at FAR {rate:g}"] = float(np.mean(self.genuine > np.quantile(self.impostor, 1 - rate)))
        return found


def population(draw: Draw, size: int = 300_000) -> Population:
    """Returns pairs of `size` people, each of whom is in one genuine pair and few impostor pairs."""
    random, one = np.random.default_rng(10**6), np.arange(size)
    other = np.roll(one, 1)
    people = np.concatenate([np.stack([one, one], 1), np.stack([one, other], 1)])
    photos = np.concatenate([np.stack([one, one + size], 1), np.stack([one, other + size], 1)])
    similarity = draw(random, people, photos)
    return Population(np.sort(similarity[:size]), np.sort(similarity[size:]))


def verification(one: Graph, draw: Draw, worlds: int) -> dict[str, tuple[float, list[bool], list[bool]]]:
    """Returns for each figure the truth, and which intervals hold it: by people, and as if pairs were independent."""
    everybody = population(draw)
    truth = everybody.figures()
    genuine, fold = one.pairs.genuine, one.pairs.fold
    held: dict[str, tuple[list[bool], list[bool]]] = defaultdict(lambda: ([], []))
    for world in range(worlds):
        similarity = draw(np.random.default_rng(world), one.people, one.photos)
        accuracy = scores.kfold_accuracy(similarity, genuine, fold)
        right = scores.right_decisions(similarity, genuine, fold, accuracy.thresholds)
        points = scores.operating_points(similarity, genuine, FARS)
        sure = by_people(
            similarity, genuine, one.people, points, auc=scores.auc(similarity, genuine),
            equal_error_rate=scores.equal_error(similarity, genuine).rate, d_prime=d_prime(similarity, genuine),
            accuracy=accuracy.mean, right=right, fold=fold,
        )  # fmt: skip
        alone = by_pairs(points, right)
        for column, found in enumerate((sure, alone)):
            intervals = {"accuracy": found.accuracy, "AUC": found.auc, "EER": found.equal_error_rate}
            intervals["d-prime"] = found.d_prime
            for point in found.tar_at_far:
                intervals[f"TAR at FAR {point.far:g}"] = point.bootstrap_interval
            for name, interval in intervals.items():
                if interval is not None:
                    held[name][column].append(_holds(interval, truth[name]))
            for point in found.tar_at_far:
                if point.threshold is not None and point.far_interval is not None:
                    true = everybody.far(point.threshold)
                    held[f"FAR at the threshold for {point.far:g}"][column].append(_holds(point.far_interval, true))
    # The truth of a threshold's FAR differs from world to world.
    return {name: (truth[name] if name in truth else float(name.split()[-1]), *both) for name, both in held.items()}


def masked(worlds: int, num_people: int = 30, num_photos: int = 4) -> dict[str, tuple[float, list[bool], list[bool]]]:
    """Returns `verification` of masked photos looked up among others, without their own; a third have no mate.

    The truth is the mean over as many worlds again and no fewer than 300, of galleries of the same size.
    """
    owner = np.repeat(np.arange(num_people), num_photos)
    known = owner >= num_people // 3  # the others are in no gallery
    per_world = []
    for world in range(max(worlds, 300) + worlds):
        random = np.random.default_rng(world)
        centres = random.normal(size=(num_people, SIZE))
        spread = 0.9 * np.exp(0.35 * random.normal(size=num_people))
        gallery = around(random, centres, spread, owner)[known]
        probes = around(random, centres, spread, owner, blur=1.6)
        itself = np.where(known, np.cumsum(known) - 1, -1)
        found = search(probes, owner, gallery, owner[known], itself=itself)
        per_world.append(
            {
                name: [rate(people) for people in (owner, None)]
                for name, rate in (
                    ("rank 1", lambda people, found=found: identification_rate(found, 1, people=people)),
                    ("rank 5", lambda people, found=found: identification_rate(found, 5, people=people)),
                    ("TPIR at FPIR 0.1", lambda people, found=found: tpir_at_fpir(found, 0.1, people=people)),
                )
            }
        )
    judged, others = per_world[:worlds], per_world[worlds:]
    rows = {}
    for name in judged[0]:
        true = float(np.mean([each[name][0].rate for each in others]))
        rows[name] = (true, *([_holds(each[name][side].interval, true) for each in judged] for side in (0, 1)))
    return rows


def _holds(interval: Interval, true: float) -> bool:
    return interval.low <= true <= interval.high


def _share(held: list[bool]) -> str:
    return f"{np.mean(held):.3f}" if held else "none"


if __name__ == "__main__":
    app.run(main)
