"""Measures a model on one's own people: a folder of aligned photos per person.

    python -m eval.test_folder --model_path output/run --source crops/mine --save_thresholds
    python -m eval.test_folder --features mine.npz --source crops/mine --seed 1 --folds 10 --num_pairs 300

Pairs are made by LFW's rule, as many genuine as impostor ones in each fold, nobody in two folds; the seed says which.
Then each photo is looked up among all others. Prints tables, and writes results.json and report.html.
"""

from pathlib import Path

from absl import flags

from keras_face import commands
from keras_face.evaluation.protocols import folder_identification, folder_pairs
from keras_face.measurement import verification
from keras_face.measurement.drawn import marked_pairs, marked_search
from keras_face.measurement.identification import measure_folder
from keras_face.measurement.runs import Run
from keras_face.photos import checked, people
from keras_face.photos.lists import PhotoFolder

EVALUATION = commands.evaluation_flags("output/eval/folder")
SOURCE = commands.photos_flag("Folder with one folder of aligned photos per person.")
FOLDS = flags.DEFINE_integer("folds", 10, "Folds; each needs two people, one of them with two photos.", lower_bound=2)
PAIRS = flags.DEFINE_integer(
    "num_pairs", None, "Genuine, and impostor, pairs in each fold; default: as many as there are, up to 300.",
    lower_bound=1,
)  # fmt: skip
SEED = flags.DEFINE_integer("seed", 0, "Of the pairs.")


def main() -> str:
    run = Run(**EVALUATION())
    if run.scores and not SOURCE.value:
        return run.finish([run.measured_scores()])
    source = SOURCE.value
    if not source:
        raise ValueError("expected --source")
    name, found_people = Path(source).name, people.list_people(source).photos
    if run.model_path:
        checked.check_aligned(source, [photo for photos in found_people.values() for photo in photos])
    pairs = folder_pairs(found_people, name, num_folds=FOLDS.value, num_pairs=PAIRS.value, seed=SEED.value)
    pairs, searches = marked_pairs(pairs, source), marked_search(folder_identification(found_people, name), source)
    run.refuse_drawn([pairs])
    locate = PhotoFolder(source)
    if run.scores:
        return run.finish([run.measured_scores(pairs)], locate=locate)
    measured = verification.measure_pairs(run.source, verification.Task(source, pairs, locate), rule=run.threshold_rule)
    found = measure_folder(run.source, searches, source, locate)
    return run.finish([measured], [found], locate=locate)


if __name__ == "__main__":
    commands.run(main)
