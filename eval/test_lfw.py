"""Measures a model on pairs of photos: LFW, CFP, CPLFW, or anything in their formats.

    python -m eval.test_lfw --model_path output/run/export --source lfw/aligned112 --pairs lfw/protocol/pairs.txt
    python -m eval.test_lfw --model_path output/run --source lfw.bin
    python -m eval.test_lfw --features lfw.npz --pairs lfw/protocol/pairs.txt
    python -m eval.test_lfw --scores scores.csv

Prints a table, and writes results.json, report.html, lfw_roc.png and lfw_histogram.png.
"""

from absl import flags

from keras_face import commands
from keras_face.measurement import verification
from keras_face.measurement.runs import Run

EVALUATION = commands.evaluation_flags("output/eval/lfw")
SOURCE = commands.photos_flag(
    "Folder of aligned photos, InsightFace .bin, or margin-centre-face's lfw.np; --features may do without."
)
PAIRS = flags.DEFINE_string(
    "pairs", None, "List of pairs: LFW's pairs.txt (View 2) or pairsDevTest.txt (View 1), SeqFace's, CPLFW's; or CFP's "
    "folder Protocol. Default: pairs.txt in the folder of photos."
)  # fmt: skip
VIEWS = flags.DEFINE_enum("views", "FP", ["FF", "FP"], "Of CFP: frontal with frontal, or frontal with profile.")
SUBTRACT_MEAN = flags.DEFINE_bool(
    "subtract_mean", False, "Take the mean embedding of the other folds off for the accuracy, as SphereFace does."
)


def main() -> str:
    run = Run(**EVALUATION())
    task = verification.read_task(SOURCE.value, PAIRS.value, views=VIEWS.value) if SOURCE.value or PAIRS.value else None
    if run.scores:
        if SUBTRACT_MEAN.value:
            raise ValueError("--scores has no use for --subtract_mean")
        measured = run.measured_scores(task.pairs if task else None)
    elif task is None:
        raise ValueError("expected --source, or --pairs for --features")
    else:
        measured = verification.measure_pairs(
            run.source, task, rule=run.threshold_rule, subtract_mean=SUBTRACT_MEAN.value
        )
    verification.save_plots(measured, run.output_dir, "lfw")
    return run.finish([measured], locate=task.locate if task and SOURCE.value else None)


if __name__ == "__main__":
    commands.run(main)
