"""Losses beside each other at the same budget, over several seeds: on drawn people, and on LFW's View 1.

    python benchmarks/compare_losses.py [--sets synthetic,lfw] [--seeds 0,1,2] [--steps 400] --output_dir DIR

The drawn people are the quick start's, tested on its harder set (`synthetic.test_difficulty` 0.8); LFW is the recipe
lfw_view1.ini, shortened, with photos of 40x40. Everything but the loss is the same. Prints a Markdown table: mean and
lowest to highest over the seeds; the last row goes on from another one, with a quarter of the steps. Runs that are
there already are not run again. One core for each of `--parallel` runs at a time.
"""

import itertools
import json
import multiprocessing
import os
import statistics
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

SETS = flags.DEFINE_list("sets", ["synthetic", "lfw"], "Data to compare on.")
LOSSES = flags.DEFINE_list("losses", [], "Losses of the table to run; default: all.")
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of each loss.")
STEPS = flags.DEFINE_integer("steps", 400, "Steps of each run.", lower_bound=1)
PARALLEL = flags.DEFINE_integer("parallel", os.cpu_count() or 1, "Runs at a time.", lower_bound=1)
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of all runs.", required=True)

ROOT = Path(__file__).resolve().parent.parent
CENTRE = "ArcFace + centre 0.3"
THEN = f"{CENTRE}, then triplets"
HEADS = {
    "softmax": ["loss.head=softmax"],
    # Annealed over the first half of the steps, as SphereFace's 1659 of 28,000 steps would end too late here.
    "A-Softmax, m 4": ["loss.head=a_softmax", "loss a_softmax.lambda_gamma={gamma}"],
    "CosFace, m 0.2, s 32": ["loss.head=cosface", "loss cosface.margin=0.2", "loss cosface.scale=32"],
    "ArcFace, m 0.3, s 32": ["loss.head=arcface", "loss arcface.margin=0.3", "loss arcface.scale=32"],
    CENTRE: [
        "loss.head=arcface", "loss arcface.margin=0.3", "loss arcface.scale=32",
        "loss angular_centre.weight=0.3", "loss angular_centre.scale=32",
    ],
    "linear phi, s 16": ["loss.head=linear_phi"],
    "CurricularFace, m 0.3, s 32": [
        "loss.head=curricularface", "loss curricularface.margin=0.3", "loss curricularface.scale=32",
    ],
    "AdaFace, m 0.2, s 32": ["loss.head=adaface", "loss adaface.margin=0.2", "loss adaface.scale=32"],
    # Goes on from the model of that name, on batches of 16 people x 4 photos.
    THEN: [
        "model.model_path={first}", "loss.head=none", "loss batch_hard_triplet.weight=10",
        "data.images_per_identity=4", "training.batch_size=64", "schedule.learning_rate=0.005",
        "training.steps={quarter}",
    ],
}  # fmt: skip


def settings(name: str, kind: str, seed: str, steps: int, folder: Path) -> tuple[str, list[str]]:
    """Returns the configuration file of a run and its overrides."""
    overrides = [
        f"run.output_dir={folder}", f"run.seed={seed}", "loss angular_centre.weight=0",
        f"training.steps={steps}", "training.epochs=0", "training.validate_interval=0", "validation.baselines=False",
        "training.ckpt_interval=1000000",
    ]  # fmt: skip
    given = {"gamma": 2 * 199 / steps, "quarter": steps // 4, "first": folder.parents[1] / in_path(CENTRE) / seed}
    own = [override.format(**given) for override in HEADS[name]]
    if kind == "lfw":  # smaller photos, for time; a warm-up of 500 steps is meant for 9,000
        shorter = ["data.image_size=40, 40", f"schedule.warmup_steps={steps // 8}"]
        return str(ROOT / "recipes" / "lfw_view1.ini"), [*overrides, *shorter, *own]
    return str(ROOT / "keras_face" / "quick_start.ini"), [*overrides, "synthetic.test_difficulty=0.8", *own]


def run(name: str, kind: str, seed: str, steps: int, folder: Path, core: int) -> None:
    """Trains and measures one loss with one seed, on one core."""
    os.sched_setaffinity(0, {core})
    from keras_face import config
    from keras_face.training.run import train

    if kind == "lfw":
        os.environ.setdefault("KERAS_FACE_DATA", str(ROOT.parent / "shared" / "data"))
    train(config.load(*settings(name, kind, seed, steps, folder)))


def runs(core: int, todo: multiprocessing.Queue) -> None:
    """Does what is to be done, each run in a process of its own, until nothing is left."""
    while True:
        task = todo.get()
        if task is None:
            return
        process = multiprocessing.get_context("spawn").Process(target=run, args=(*task, core))
        process.start()
        process.join()


def folder_of(name: str, kind: str, seed: str) -> Path:
    return Path(OUTPUT_DIR.value) / kind / in_path(name) / seed


def in_path(name: str) -> str:
    return name.replace(" ", "_").replace(",", "")


def accuracies(folder: Path) -> dict[str, float]:
    """Returns the accuracy of a run by protocol."""
    rows = json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]
    corrected = ("", ", corrected")
    return {
        row["protocol"].split(" (")[0] + corrected["without wrong tracks" in row["protocol"]]: row["accuracy"]["mean"]
        for row in rows
    }


def main(argv):
    if len(argv) > 1:
        raise app.UsageError("Too many arguments.")
    names = [name for name in HEADS if not LOSSES.value or name in LOSSES.value]
    for of_round in ([name for name in names if name != THEN], [name for name in names if name == THEN]):
        todo: multiprocessing.Queue = multiprocessing.Queue()
        for seed, kind, name in itertools.product(SEEDS.value, SETS.value, of_round):
            folder = folder_of(name, kind, seed)
            if not (folder / "results.json").exists():
                todo.put((name, kind, seed, STEPS.value, folder))
        workers = []
        for core in sorted(os.sched_getaffinity(0))[: PARALLEL.value]:
            todo.put(None)
            workers.append(multiprocessing.Process(target=runs, args=(core, todo)))
            workers[-1].start()
        for worker in workers:
            worker.join()
    for kind in SETS.value:
        found = {name: [accuracies(folder_of(name, kind, seed)) for seed in SEEDS.value] for name in names}
        protocols = list(found[names[0]][0])
        print(f"\n| {kind}, {STEPS.value} steps, seeds {', '.join(SEEDS.value)} | {' | '.join(protocols)} |")
        print(f"|---|{'---|' * len(protocols)}")
        for name in names:
            cells = []
            for protocol in protocols:
                values = [each[protocol] for each in found[name]]
                cells.append(f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
            print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    app.run(main)
