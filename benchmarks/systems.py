"""What each published system's idea does, on drawn people whose truth is known, over several seeds.

    python benchmarks/systems.py [--effects centre,seqface] [--seeds 0,1,2] [--steps 300] --output_dir DIR

Each effect compares trainings that differ in the idea alone; every one has a network of its own, the quick start's
small iResNet-18, on photos of 40x40. They are measured on 300 other drawn people, 3,000 genuine and 3,000 impostor
pairs, others for each seed. Prints a Markdown table for each effect: mean and lowest to highest over the seeds, and
below it the differences, seed by seed. Arms that are there already are not trained again.
"""

import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
import statistics
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags

PARALLEL = flags.DEFINE_integer("parallel", os.cpu_count() or 1, "Effects at a time, one core each.", lower_bound=1)
EFFECTS = flags.DEFINE_list("effects", [], "Effects to show; default: all.")
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of people, weights and order.")
STEPS = flags.DEFINE_integer("steps", 300, "Steps of each training.", lower_bound=10)
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of all runs.", required=True)

DIFFICULTY = 0.8  # of the people that all are measured on
FIRST_TEST_PERSON, FIRST_NEW_PERSON = 2_000_000, 3_000_000  # trainings draw theirs from 0 on, tracks from 1,000,000 on
WRONG_LABELS = 0.2
PLAIN = ("accuracy", "TAR at FAR 0.01")
OWN = ("angle to the own prototype, degrees", "angular Fisher score, training", "angular Fisher score, test")
MASKED = ("accuracy, masked with unmasked", "rank-1, masked among unmasked", "mAP, masked among unmasked")


@dataclasses.dataclass(frozen=True)
class Arm:
    """A training: what differs from the quick start, and the arm that it goes on from.

    Attributes:
        overrides: `section.key=value` each; {run}: folder of the run it goes on from; {data}: folder of further data.
        after: Name of that arm.
        steps: Its share of --steps.
    """

    overrides: tuple[str, ...]
    after: str = ""
    steps: float = 1.0


@dataclasses.dataclass(frozen=True)
class Effect:
    """Trainings by name, the figures they are compared by, and which are compared: the one at (i, j) is i less j."""

    arms: dict[str, Arm]
    figures: tuple[str, ...] = PLAIN
    differences: tuple[tuple[int, int], ...] = ((1, 0),)


IDENTITIES = (
    "data.train=synthetic", "synthetic.photos_per_person=10", "loss.head=norm_softmax", "loss norm_softmax.scale=16",
    "model.embedding_size=64",  # more people than dimensions, or all unknown people fit off the head
)  # fmt: skip
SECOND = (*IDENTITIES, "model.model_path={run}", "model.keep_prototypes=True", "schedule.learning_rate=0.03")
TRACKS = (
    "data.train=synthetic, synthetic_tracks", "synthetic.tracks=100", "synthetic.frames_per_track=5",
    "synthetic.weight=4", "synthetic_tracks.weight=1",
)  # fmt: skip
AGENTS = tuple(
    f"loss sequence_agents.{setting}"
    for setting in ("weight=16", "scale=1", "margin=0.25", "dropout_ratio=0.5", "agent_rate=1")
)
NOISY = (
    "data.train=noisy", "noisy.train_list={data}/noisy.txt", "noisy.prefix={data}/people", "loss.head=linear_phi",
)  # fmt: skip
SHOWN = {
    "centre": Effect(
        {
            "ArcFace": Arm(()),
            "ArcFace + angular centre 0.3": Arm(("loss angular_centre.weight=0.3",)),
            "then batch-hard triplets on other people": Arm(
                (
                    "loss.head=none", "loss batch_hard_triplet.weight=10", "data.images_per_identity=4",
                    "data.train=new", "new.photos={data}/new", "model.model_path={run}", "schedule.learning_rate=0.005",
                ),
                after="ArcFace + angular centre 0.3",
                steps=0.5,
            ),
        },
        (*PLAIN, *OWN),
        ((1, 0), (2, 1)),
    ),
    "sphereface": Effect(
        {
            "softmax": Arm(("loss.head=softmax",)),
            "A-Softmax, m 4": Arm(("loss.head=a_softmax", "loss a_softmax.lambda_gamma={gamma}")),
        },
    ),
    "seqface": Effect(
        {
            "first stage, identities": Arm(IDENTITIES, steps=0.7),
            "second stage, identities alone": Arm(SECOND, after="first stage, identities", steps=0.7),
            "with sequence agents": Arm((*SECOND, *AGENTS), after="first stage, identities", steps=0.7),
            "with tracks, uniform labels": Arm((*SECOND, *TRACKS), after="first stage, identities", steps=0.7),
            "with tracks, uniform labels and sequence agents": Arm(
                (*SECOND, *TRACKS, *AGENTS), after="first stage, identities", steps=0.7
            ),
        },
        differences=((4, 1), (4, 2), (4, 3)),
    ),
    "masks": Effect(
        {
            "plain": Arm(()),
            "half of the photos masked": Arm(("augmentation.mask=0.5",)),
            "half of the photos masked, twice the steps": Arm(("augmentation.mask=0.5",), steps=2),
            "plain, twice the steps": Arm((), steps=2),
        },
        (*PLAIN, *MASKED),
        ((1, 0), (2, 3)),
    ),
    "latse": Effect(
        {
            "a fifth of the labels wrong": Arm(NOISY),
            "the same, taught by the first's mask": Arm(
                (*NOISY, "teacher.model_path={run}", "teacher.mask=top_k"), after="a fifth of the labels wrong"
            ),
        },
    ),
}  # fmt: skip


def run(effect: str, seed: int, steps: int, folder: Path) -> None:
    """Trains the arms of an effect with a seed, one after the other, and writes their figures."""
    data = folder / "data"
    _write_data(effect, data, seed)
    found: dict[str, dict[str, float]] = {}
    for number, (name, arm) in enumerate(SHOWN[effect].arms.items()):
        output_dir = folder / str(number)
        if not list(output_dir.glob("export/*/saved_model.pb")):
            before = list(SHOWN[effect].arms).index(arm.after) if arm.after else number
            _train(arm, output_dir, folder / str(before), data, seed, round(arm.steps * steps))
        found[name] = _figures(SHOWN[effect].figures, output_dir, data)
    (folder / "figures.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


def _train(arm: Arm, output_dir: Path, before: Path, data: Path, seed: int, steps: int) -> None:
    from keras_face import config
    from keras_face.training.run import train

    overrides = [
        f"run.output_dir={output_dir}", f"run.seed={seed}", f"training.steps={steps}", "training.validate_interval=0",
        "training.ckpt_interval=100000", "validation.baselines=False", "lfw.enable=False", "ytf.enable=False",
        "loss angular_centre.weight=0", "data.image_size=40, 40",
    ]  # fmt: skip
    given = {"run": before, "data": data, "gamma": 2 * 199 / steps}  # A-Softmax is annealed over half of the steps
    overrides += [override.format(**given) for override in arm.overrides]
    train(config.load(config.QUICK_START, overrides))


def _write_data(effect: str, folder: Path, seed: int) -> None:
    """Draws the people that all arms are measured on, and what the effect needs beside the quick start's people."""
    from keras_face import synthetic
    from keras_face.alignment import masked, masked_landmarks
    from keras_face.masks.wardrobe import Wardrobe

    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "test").exists():
        synthetic.write_lfw_style(
            folder / "test", pairs_per_fold=300, people_per_fold=30, photos_per_person=5, seed=seed,
            difficulty=DIFFICULTY, first_person=FIRST_TEST_PERSON,
        )  # fmt: skip
    if effect == "masks":
        masked.mask_folder(
            folder / "test", folder / "masked", masked_landmarks.aligned, Wardrobe(), {"landmarks": "aligned"},
            seed=seed, progress=False,
        )  # fmt: skip
    if effect == "centre" and not (folder / "new").exists():
        synthetic.write_photos(folder / "new", 200, 20, seed=seed, difficulty=DIFFICULTY, first_person=FIRST_NEW_PERSON)
    if effect == "latse" and not (folder / "noisy.txt").exists():
        people, photos = 200, 20
        synthetic.write_photos(folder / "people", people, photos, seed=seed)
        random = np.random.default_rng(seed)
        labels = np.repeat(np.arange(people), photos)
        wrong = random.random(labels.size) < WRONG_LABELS
        labels[wrong] = (labels[wrong] + random.integers(1, people, wrong.sum())) % people
        files = sorted((folder / "people").glob("*/*.jpg"))
        lines = [f"{file.relative_to(folder / 'people')} {label}" for file, label in zip(files, labels, strict=True)]
        (folder / "noisy.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _figures(names: tuple[str, ...], output_dir: Path, data: Path) -> dict[str, float]:
    """Returns the figures of a trained model by name."""
    from keras_face.evaluation.angles import angular_fisher_score
    from keras_face.evaluation.protocols import read_masked, read_pairs
    from keras_face.evaluation.results import Origin, verify
    from keras_face.export import load_embedder
    from keras_face.measurement import PhotoSource
    from keras_face.measurement.identification import measure_masked
    from keras_face.measurement.photos import embed_photos
    from keras_face.training.named_prototypes import read_prototypes

    embedder = load_embedder(output_dir / "export")
    pairs = read_pairs(data / "test" / "pairs.txt")
    keys = sorted({*pairs.left, *pairs.right})
    row = {key: number for number, key in enumerate(keys)}
    left, right = ([row[key] for key in side] for side in (pairs.left, pairs.right))
    test = embed_photos(embedder, [data / "test" / key for key in keys])

    def verified(similarity: np.ndarray):
        return verify(pairs, similarity, Origin(str(output_dir), str(data), "")).result

    plain = verified(np.einsum("nd,nd->n", test[left], test[right]))
    found = {
        PLAIN[0]: plain.accuracy.mean,
        PLAIN[1]: next(point.tar for point in plain.tar_at_far if point.far == 0.01),
    }
    if OWN[2] in names:
        people = np.unique([key.split("/")[0] for key in keys], return_inverse=True)[1]
        found[OWN[2]] = angular_fisher_score(test, people)
    files = sorted((output_dir / "synthetic" / "train").glob("*/*.jpg"))
    if OWN[0] in names and files:  # triplets have no prototypes
        known = read_prototypes(output_dir)
        prototypes = known.values / np.linalg.norm(known.values, axis=1, keepdims=True)
        labels = np.array([known.names.index(file.parent.name) for file in files])
        trained = embed_photos(embedder, files, flip=False)
        cosine = np.clip(np.einsum("nd,nd->n", trained, prototypes[labels]), -1, 1)
        found |= {
            OWN[0]: float(np.degrees(np.arccos(cosine)).mean()),
            OWN[1]: angular_fisher_score(trained, labels),
        }
    if MASKED[0] in names:
        twins = embed_photos(embedder, [data / "masked" / key for key in keys])
        retrieval = measure_masked(
            *[PhotoSource(embedder, hashes=False)] * 2, read_masked(data / "masked" / "masked.csv"), data / "masked",
            data / "test",
        )  # fmt: skip
        found |= {
            MASKED[0]: verified(np.einsum("nd,nd->n", twins[left], test[right])).accuracy.mean,
            MASKED[1]: retrieval.cmc[0],
            MASKED[2]: retrieval.mean_average_precision,
        }
    return found


def _table(effect: str, steps: int, by_seed: list[dict[str, dict[str, float]]]) -> str:
    """Returns the Markdown table of an effect, and the differences of its last arm from those before."""
    arms, figures = list(SHOWN[effect].arms), SHOWN[effect].figures
    lines = [f"| {effect}, {steps} steps | {' | '.join(figures)} |", f"|---|{'---|' * len(figures)}"]
    for arm in arms:
        cells = []
        for figure in figures:
            values = [of_seed[arm][figure] for of_seed in by_seed if figure in of_seed[arm]]
            cells.append(f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" if values else "")
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    for later, earlier in SHOWN[effect].differences:
        cells = []
        for figure in figures:
            both = [(of_seed[arms[later]].get(figure), of_seed[arms[earlier]].get(figure)) for of_seed in by_seed]
            cells.append(", ".join(f"{after - before:+.3f}" for after, before in both if None not in (after, before)))
        lines.append(f"| {arms[later]} - {arms[earlier]}, seed by seed | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError("Too many arguments.")
    effects = EFFECTS.value or list(SHOWN)
    if unknown := set(effects) - set(SHOWN):
        raise app.UsageError(f"--effects: expected some of {', '.join(SHOWN)}, got {', '.join(sorted(unknown))}")
    folders = {(effect, seed): Path(OUTPUT_DIR.value, effect, seed) for seed in SEEDS.value for effect in effects}
    for library in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(library, "1")
    with concurrent.futures.ProcessPoolExecutor(
        PARALLEL.value, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        running = [
            pool.submit(run, effect, int(seed), STEPS.value, folder)
            for (effect, seed), folder in folders.items()
            if not (folder / "figures.json").exists()
        ]
        for one in running:
            one.result()
    for effect in effects:
        by_seed = [
            json.loads((folders[effect, seed] / "figures.json").read_text(encoding="utf-8")) for seed in SEEDS.value
        ]
        print(f"\n{_table(effect, STEPS.value, by_seed)}")


if __name__ == "__main__":
    app.run(main)
