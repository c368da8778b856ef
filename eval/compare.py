"""Compares two models on the same pairs: differences with intervals, and McNemar's test of their decisions.

    python -m eval.compare --first output/eval/lfw_a --second output/eval/lfw_b
    python -m eval.compare --first a.csv --second b.csv
    python -m eval.compare --first output/run_a --second output/run_b --source lfw/aligned112 --pairs pairs.txt
      [--noflip] [--batch_size N] [--nocache] [--cache_dir DIR] [--threshold_rule RULE] [--noreport] [--output_dir DIR]

Each is a results.json or its folder, or a file of similarities; with --source, an exported model. Prints the
comparison, and writes results.json and report.html of both.
"""

from absl import flags

from keras_face import commands
from keras_face.measurement import comparison, verification
from keras_face.measurement.runs import CACHE_DIR, Run, write_run

commands.pixel_limit_flag()
FIRST = flags.DEFINE_string("first", None, "Results, similarities, or a model.", required=True)
SECOND = flags.DEFINE_string("second", None, "Likewise.", required=True)
SOURCE = commands.photos_flag("Folder of aligned photos, or .bin: compares two models on them.")
PAIRS = flags.DEFINE_string("pairs", None, "List of pairs; default: pairs.txt in the folder of photos.")
FLIP = flags.DEFINE_bool("flip", True, "Embed each photo and its mirror image.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Photos per call of the model.", lower_bound=1)
CACHE = flags.DEFINE_bool("cache", True, "Keep embeddings, by content of model and photos.")
CACHE_FOLDER = flags.DEFINE_string("cache_dir", CACHE_DIR, "Folder of kept embeddings.")
RULE = flags.DEFINE_string("threshold_rule", "best_accuracy", "Threshold of the accuracy.")
REPORT = flags.DEFINE_bool("report", True, "Write report.html, which takes seconds.")
OUTPUT_DIR = flags.DEFINE_string("output_dir", "output/eval/compare", "Folder for results.json and report.html.")


def main() -> str:
    paths, locate = (FIRST.value, SECOND.value), None
    if SOURCE.value:
        task = verification.read_task(SOURCE.value, PAIRS.value)
        locate = task.locate
        sides = [[verification.measure_pairs(_run(path).source, task, rule=RULE.value)] for path in paths]
    else:
        unused = [flag.name for flag in (PAIRS, FLIP, BATCH_SIZE, CACHE, CACHE_FOLDER) if flag.present]
        if unused:
            raise ValueError(f"expected --source with --{', --'.join(unused)}: results have been measured before")
        sides = [comparison.read_measured(path, rule=RULE.value) for path in paths]
    compared = comparison.compare(*sides, rule=RULE.value)
    measured = [each for side in sides for each in side]
    return write_run(OUTPUT_DIR.value, measured, locate=locate, report=REPORT.value, comparisons=compared)


def _run(model_path: str) -> Run:
    return Run(
        OUTPUT_DIR.value,
        model_path,
        flip=FLIP.value,
        batch_size=BATCH_SIZE.value,
        cache=CACHE.value,
        cache_dir=CACHE_FOLDER.value if CACHE.value else None,
        threshold_rule=RULE.value,
    )


if __name__ == "__main__":
    commands.run(main)
